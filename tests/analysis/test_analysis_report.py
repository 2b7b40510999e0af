import dataclasses
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toy_runs import comparison, info

from naslab.analysis.pdf import print_page
from naslab.analysis.report import write_report
from naslab.errors import InvalidValue, OutputError

HOSTILE = ["./file.py:Class[a=$x$]", "<b>&\"'</b>", "a_b%{}\\"]
CHROMIUM = shutil.which("chromium")


def write(data, folder, extra=(), **options):
    return write_report(
        data, folder, "A <title>", "naslab compare 'x' && y", {"python": "3.11"}, ["Note & more"], extra, **options
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    data = comparison([info(f"toy/{name}") for name in "abcd"], HOSTILE, 5, missing=[("toy/a", HOSTILE[0], 2)])
    extra = [("Published", pd.DataFrame({"method": ["RS", "REA"], "accuracy": [93.7, np.nan]}), "From the paper.")]
    return write(data, folder, extra)


class Page(HTMLParser):
    """Collects tags, ids, headings and where links point."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.headings, self.text = [], [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.open.append(tag)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes[key] for key in ("href", "src") if key in attributes]

    def handle_data(self, data):
        if self.open and self.open[-1] in ("script", "style") and "{" in data:
            return
        self.text += data
        if self.open and self.open[-1] == "h2" and data.strip():
            self.headings.append(data)
            self.open.append("")


def test_page_is_self_contained(report):
    text = report.read_text()
    page = Page(text)
    assert "http:" not in text
    assert "https:" not in text
    assert "@import" not in text
    assert not {"link", "iframe", "img"} & set(page.open)
    outside = [link for link in page.links if not link.startswith(("#", "data:"))]
    assert outside
    assert all((report.parent / link).is_file() for link in outside)
    assert all(link[1:] in page.ids for link in page.links if link.startswith("#"))
    assert len(page.ids) == len(set(page.ids))
    assert all(reference in page.ids for reference in re.findall(r"url\(#([^)]*)\)", text))


def test_sections_come_in_the_agreed_order(report):
    assert Page(report.read_text()).headings == [
        "Final quality",
        "Further tables",
        "Anytime performance",
        "Significance",
        "Quality against cost",
        "Good practice",
        "Runs",
        "Reproduce",
    ]


def test_page_shows_names_as_they_are_and_runs_no_markup_of_theirs(report):
    page = Page(report.read_text())
    for name in HOSTILE:
        assert name in page.text
    assert "b" not in page.open  # bold type is <strong>
    assert "naslab compare 'x' && y" in page.text
    assert "Note & more" in page.text


def test_missing_runs_are_named(report):
    page = Page(report.read_text())
    assert "1 of 60 runs have no result" in page.text
    assert f"toy/a: can't be ranked, {HOSTILE[0]} lacks 1 of 5 runs." in page.text
    frame = pd.read_csv(report.parent / "tables" / "runs-without-result.csv")
    assert frame.to_numpy().tolist() == [["toy/a", HOSTILE[0], "missing", 1, 2]]


def test_every_table_and_figure_has_its_files(report):
    tables = {path.suffix for path in (report.parent / "tables").iterdir()}
    figures = {path.suffix for path in (report.parent / "figures").iterdir()}
    assert tables == {".csv", ".md", ".tex"}
    assert figures == {".svg"}
    stems = {path.stem for path in (report.parent / "figures").iterdir()}
    kinds = ("final", "anytime", "ecdf-toy", "tradeoff-params", "tradeoff-latency-seconds")
    for kind in (*kinds, "improvement", "pairwise", "ranks", "critical-difference", "ecdf"):
        assert any(stem.startswith(kind) for stem in stems), kind
    assert (report.parent / "tables" / "paper.tex").read_text().startswith(r"\begin{tabular}")
    assert (report.parent / "tables" / "further-1-published.tex").is_file()
    assert not list(report.parent.rglob(".*"))


def test_figures_of_other_kinds_are_drawn_on_demand_and_not_left_when_old(tmp_path):
    data = comparison([info()], ["a"], 1)
    page = write(data, tmp_path, figures=["png"], figures_command="naslab report x --figures pdf,png")
    drawn = sorted((tmp_path / "figures").glob("*.png"))
    assert drawn
    assert drawn[0].read_bytes().startswith(b"\x89PNG")
    assert not list((tmp_path / "figures").glob("*.pdf"))
    assert f"figures/{drawn[0].name}" in Page(page.read_text()).links
    assert "naslab report x --figures pdf,png" in page.read_text()
    write(data, tmp_path)
    assert {path.suffix for path in (tmp_path / "figures").iterdir()} == {".svg"}
    with pytest.raises(InvalidValue, match="figures as 'eps'"):
        write(data, tmp_path, figures=["eps"])


def test_what_is_the_same_in_every_row_is_said_once(report):
    text = Page(report.read_text()).text
    assert "In every row: metric test accuracy (%)" in text
    assert "metric" in (report.parent / "tables" / "final-quality.csv").read_text().splitlines()[0]


def test_same_runs_same_report(tmp_path):
    data = comparison([info()], ["a", "b"], 3)
    first, second = write(data, tmp_path / "1"), write(data, tmp_path / "2")
    assert first.read_bytes() == second.read_bytes()


MISSING_B = [("toy/a", "b", seed) for seed in range(3)]
TASKS = [info("toy/a"), info("toy/b")]
RARE = "One run: no interval.; budget 10 evaluations; No cost is known"
SAME_CELLS = [dataclasses.replace(info(f"toy/{name}"), cells="toy-space") for name in "abc"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (lambda: comparison([info()], ["a"], 3), "No test: there is one optimizer"),
        (lambda: comparison(TASKS, ["a", "b"], 3), "No Friedman test: it compares three or more"),
        (lambda: comparison(TASKS, ["a", "b", "c"], 3), "No Friedman test: it needs three or more tasks"),
        (lambda: comparison([info(budget=10, budget_unit="evaluations")], ["a", "b"], 1, costs=False), RARE),
        (lambda: comparison([info()], ["a", "b", "c"], 3, missing=MISSING_B), "3 of 9 runs have no result"),
        (lambda: comparison([info()], ["a", "b"], 3, infeasible=MISSING_B), "no-feasible"),
        (lambda: comparison([info()], ["a", "b"], 5, truth=lambda *_: 100.0), "a and b share the best"),
        (lambda: comparison(SAME_CELLS, ["a", "b", "c"], 5), "tests of ranks over tasks"),
        (lambda: comparison([info(optimum=None)], ["a", "b"], 3), "best seen; Too few runs: 3 per optimizer"),
        (lambda: comparison([info()], ["a"], 2, missing=[("toy/a", "a", 0), ("toy/a", "a", 1)]), "no run ended"),
        (lambda: comparison([info()], ["a"], 2, infeasible=[("toy/a", "a", 0), ("toy/a", "a", 1)]), "no run ended"),
        (lambda: comparison([info(direction="min", optimum=9.0, unit="")], ["a", "b"], 3), "lower is better"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_degenerate_comparisons_have_an_answer(data, said, tmp_path):
    text = Page(write(data(), tmp_path).read_text()).text
    assert all(each in text for each in said.split("; "))
    assert "nan" not in text.lower()


def test_unwritable_folder_is_one_clear_line(tmp_path):
    (tmp_path / "tables").write_text("in the way")
    with pytest.raises(OutputError, match="can't write") as caught:
        write(comparison([info()], ["a"], 2), tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "report.html").exists()


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path, monkeypatch):
    page = write(comparison([info()], ["a"], 1), tmp_path)
    before = page.read_bytes()

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match="no space left on device"):
        write(comparison([info()], ["a"], 2), tmp_path)
    assert page.read_bytes() == before
    assert not list(tmp_path.rglob(".*"))


def test_what_a_killed_report_left_is_removed_and_what_is_being_written_is_not(tmp_path):
    killed = subprocess.Popen(["sleep", "60"])
    killed.kill()
    killed.wait()
    dead, alive = killed.pid, os.getpid()
    left = [f".report.html.{dead}.draft", f"figures/.anytime.svg.{dead}.draft", f"tables/.a\nb.csv.{dead}.draft"]
    others = [f"figures/.anytime.svg.{alive}.draft", ".mine.draft", f"notes.{dead}.draft"]
    for name in (*left, *others):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("half")
    write(comparison([info()], ["a"], 1), tmp_path)
    assert [name for name in (*left, *others) if (tmp_path / name).exists()] == others


CLICKS = """<script>{
const out = [];
const find = (name) => [...document.querySelectorAll("th button")].filter((b) => b.textContent === name);
const header = find("mean")[0].closest("th"), table = header.closest("table");
const shown = () => [...table.tBodies[0].rows].filter((r) => !r.hidden);
const read = () => shown().map((r) => r.cells[header.cellIndex].textContent).join(" ");
header.querySelector("button").click(); out.push(read(), header.getAttribute("aria-sort"));
header.querySelector("button").click(); out.push(read(), header.getAttribute("aria-sort"));
const filter = table.closest(".table").querySelector(".filter");
filter.value = "toy/b A"; filter.dispatchEvent(new Event("input")); out.push(read());
const legend = document.querySelectorAll(".legend button");
const line = (n) => document.querySelector(`figure svg[data-axes] g[data-series="${n}"][data-part="line"]`);
const seen = (n) => getComputedStyle(line(n)).visibility;
const drawn = (n) => [...document.querySelectorAll(`figure [data-series="${n}"]`)].filter(
  (part) => getComputedStyle(part).visibility !== "hidden").length;
out.push([...document.querySelectorAll("figure")].every((f) => f.querySelector('[data-series="1"]')));
legend[1].click(); out.push(seen(0), seen(1), legend[1].getAttribute("aria-pressed"), drawn(1));
document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" })); out.push(seen(1));
document.querySelectorAll("details").forEach((each) => { each.open = true; });
const svg = line(0).closest("svg"), axes = JSON.parse(svg.dataset.axes);
svg.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
const said = document.getElementById("values").innerText.split("\\n");
out.push(said[0].replace(/[\\d.,]+/, "#"), said.slice(1).map((s) => s.trim()).join(";"));
const told = [...document.querySelectorAll("svg[tabindex]")].filter((each) => {
  each.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  return document.getElementById("values").textContent;
});
out.push(told.length === document.querySelectorAll("svg[tabindex]").length && told.length > 9);
const box = svg.getBoundingClientRect();
svg.dispatchEvent(new PointerEvent("pointermove", { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 }));
out.push(document.getElementById("values").innerText.split("\\n")[0].replace(/[\\d.,]+/, "#"));
const copied = [], clipboard = (value) => Object.defineProperty(navigator, "clipboard", { value, configurable: true });
const copy = () => ["[data-copy^=latex]", "pre"].forEach((name) => {
  const part = document.querySelector(name);
  (name === "pre" ? part.previousElementSibling : part).click();
});
clipboard({ writeText: async (text) => { copied.push(text); } }); copy();
clipboard(undefined);
document.execCommand = () => copied.push(document.activeElement.value.slice(
  document.activeElement.selectionStart, document.activeElement.selectionEnd)); copy();
out.push(copied.map((text) => text.slice(0, 15)).join(" "), copied[0] === copied[2] && copied[1] === copied[3]);
const path = line(0).querySelector("path"), before = path.getAttribute("d");
const button = svg.closest("figure").querySelector("figcaption button:nth-of-type(1)");
button.click(); out.push(button.textContent, path.getAttribute("d") !== before);
out.push(svg.querySelectorAll(".other-x text").length > 2);
button.click(); out.push(path.getAttribute("d") === before);
const high = [...document.querySelectorAll("figcaption button")].filter((each) => each.textContent.includes("y axis"));
const place = (part) => part.getAttribute("d") ?? part.getAttribute("y");
const drawing = (figure) => [...figure.querySelectorAll("path, use")].map(place).join();
const heights = (figure) => {
  figure.querySelector("svg").dispatchEvent(new FocusEvent("focusout"));
  figure.querySelector("svg").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
  const found = [...document.querySelectorAll("#values div")].map((row) => Number(row.textContent.split(" ").at(-1)));
  figure.querySelector("svg").dispatchEvent(new FocusEvent("focusout"));
  return found;
};
const kept = high.map((each) => {
  const figure = each.closest("figure"), first = drawing(figure), told = heights(figure);
  each.click();
  const moved = drawing(figure) !== first, again = heights(figure);
  each.click();
  const same = told.length > 0 && told.every((v, i) => Math.abs(v - again[i]) <= 0.02 * v + 0.01);
  return [moved, same, drawing(figure) === first];
});
out.push(high.length > 3, kept.every((each) => each[0] && each[1]), kept.every((each) => each[2]));
document.body.innerHTML = `<p id="result">${out.join("|")}</p>`;
}</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_in_a_browser_tables_sort_and_filter_and_figures_tell_their_values(tmp_path):
    ends = [100.0, 9.0, 50.0]
    data = comparison(
        [info("toy/b"), info("toy/c"), info("toy/d")], ["b", "a", "c"], 3, truth=lambda p, s, _: ends[p] + s
    )
    page = write(data, tmp_path)
    page.write_text(page.read_text().replace("</body>", CLICKS))
    arguments = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run([CHROMIUM, *arguments], capture_output=True, text=True, timeout=60, check=True)
    found = re.search(r'<p id="result">(.*?)</p>', done.stdout)
    assert found, done.stdout[-500:]
    rising = "10.00 10.00 10.00 51.00 51.00 51.00 101.00 101.00 101.00"
    assert found[1].split("|") == [
        *(rising, "ascending", " ".join(reversed(rising.split())), "descending", "10.00"),
        *("true", "visible", "hidden", "false", "0", "visible"),
        *("search time (s) #", "b 1.00;c 0.86;a 0.00", "true", "search time (s) #"),
        *(" ".join([r"\begin{tabular}", "naslab compare "] * 2), "true"),
        *("logarithmic x axis", "true", "true", "true", "true", "true", "true"),
    ]


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_page_is_printed_where_there_is_a_chromium(tmp_path):
    page = tmp_path / "report.html"
    page.write_text("<!DOCTYPE html><title>t</title><p>words")
    assert print_page(page) == tmp_path / "report.pdf"
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.pdf"]


def test_no_chromium_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    (tmp_path / "report.pdf").write_text("an older one")
    with pytest.raises(OutputError, match=r"there is no Chromium on the PATH .*Fix: print the page") as caught:
        print_page(tmp_path / "report.html")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "report.pdf").read_text() == "an older one"
