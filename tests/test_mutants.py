"""The mutants that benchmarks/mutants.py makes."""

from __future__ import annotations

import ast

import pytest
from mutants import ROOT, TESTED, mutants


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("x = a < b", ["x = (a <= b)"]),
        ("x = a < b == c", ["x = (a <= b == c)", "x = (a < b != c)"]),
        ("x = a + b * c", ["x = (a - b * c)", "x = a + (b / c)"]),
        ("x = a and not b", ["x = (a or not b)", "x = a and (b)"]),
        ("x = a[-1]", ["x = a[(1)]", "x = a[-(2)]"]),
        ("x = 'é', 0, None", ["x = 'é', (1), None"]),
        ("x = 0.25, 0.0", ["x = (0.5), 0.0", "x = 0.25, (1.0)"]),
        ("x = True", ["x = (False)"]),
        ("f(g())", ["pass"]),
        ("a.b = c", ["pass"]),
        ("a += b", ["pass"]),
        ("a = b", []),
        ("raise E", ["pass"]),
        ("'é'; f()", ["'é'; pass"]),
        ("x = a if b else c", ["x = a if (not b) else c"]),
        ("while a > b: break", ["while (a >= b): break", "while a > b: continue"]),
        ("def g(x: a | b = 2) -> c[3]: return x", ["def g(x: a | b = (3)) -> c[3]: return x",
                                                   "def g(x: a | b = 2) -> c[3]: return None"]),
        ("@f(1)\ndef g(): return", []),
        ("if TYPE_CHECKING: x = 1", []),
        ("x = zip(a, strict=True), f'{a + 1}'", []),
    ],
)  # fmt: skip
def test_one_thing_is_wrong_in_each(text, changed):
    found = [mutant.text for mutant in mutants(text)]
    assert found == changed
    for each in found:
        ast.parse(each)


def test_every_file_has_its_tests():
    for file, tests in TESTED.items():
        assert mutants((ROOT / "naslab" / file).read_text()), file
        assert all((ROOT / "tests" / test.partition("::")[0]).is_file() for test in tests.split()), file
