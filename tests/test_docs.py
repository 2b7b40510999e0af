"""The pages of docs/ run as they stand there."""

import re
from pathlib import Path

import pytest
import torch

PAGE = Path(__file__).parent.parent / "docs" / "your-own-search-space.md"


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_your_own_search_space(capsys, threads):
    page = PAGE.read_text()
    blocks = list(re.finditer(r"```python\n(.*?)```", page, re.DOTALL))
    assert len(blocks) >= 8
    namespace = {"__name__": "page"}
    for block in blocks:
        line = page.count("\n", 0, block.start(1))
        code = "\n" * line + block[1]  # so that a traceback states the page's line
        exec(compile(code, str(PAGE), "exec"), namespace)
    printed = capsys.readouterr().out
    announced = re.findall(r"print\(.*\)  # (.*)$", page, re.MULTILINE)
    assert len(announced) >= 5
    for text in announced:
        assert text.partition(" ...")[0].partition(" = ")[0] in printed
