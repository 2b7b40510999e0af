"""The pages of docs/ run as they stand there."""

import re
from pathlib import Path

import pytest
import torch

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("name", "fewest", "shown"), [("your-own-search-space", 8, 5), ("mobile-networks", 3, 1), ("transnas", 1, 4)]
)
def test_a_page_runs(name, fewest, shown, capsys, threads, tmp_path, monkeypatch):
    """At least so many blocks, and so many lines that show what is printed."""
    monkeypatch.chdir(tmp_path)  # where it writes
    file = DOCS / f"{name}.md"
    page = file.read_text()
    blocks = list(re.finditer(r"```python\n(.*?)```", page, re.DOTALL))
    assert len(blocks) >= fewest
    namespace = {"__name__": "page"}
    for block in blocks:
        line = page.count("\n", 0, block.start(1))
        code = "\n" * line + block[1]  # so that a traceback states the page's line
        exec(compile(code, str(file), "exec"), namespace)
    printed = capsys.readouterr().out
    announced = re.findall(r"print\(.*\)  # (.*)$", page, re.MULTILINE)
    assert len(announced) >= shown
    for text in announced:
        assert text.partition(" ...")[0].partition(" = ")[0] in printed
