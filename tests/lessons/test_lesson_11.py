"""The folded examples of lesson 11 print what stands below them."""

import re
from contextlib import redirect_stdout
from io import StringIO

import nbformat
import pytest
from answering import LESSONS

(PATH,) = [path for path in LESSONS if path.stem.startswith("11")]
PROSE = "\n".join(cell.source for cell in nbformat.read(PATH, as_version=4).cells if cell.cell_type == "markdown")
EXAMPLES = re.findall(r"```python\n(import numpy.*?)```\s+```\n(.*?)```", PROSE, re.DOTALL)


@pytest.mark.parametrize(("code", "printed"), EXAMPLES)
def test_a_folded_example_prints_what_it_says(code, printed):
    with redirect_stdout(StringIO()) as out:
        exec(code, {})
    assert out.getvalue() == printed


def test_both_folds_have_one():
    assert len(EXAMPLES) == 2
