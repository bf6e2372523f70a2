"""Every lesson runs, as the student finds it and with the solutions filled in; and is built as a lesson is built."""

import ast
import asyncio
import copy
import json
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import nbformat
import numpy as np
import psutil
import pytest
import teach
from answering import LESSONS, solution_of, tagged
from nbclient import NotebookClient

NAMES = [path.stem for path in LESSONS]
BUDGET, CELL_BUDGET = 30.0, 10.0  # seconds, of a lesson and of a cell: the lessons are built to take a third
LARGEST = 300_000  # bytes of a notebook with its outputs


def read(path):
    return nbformat.read(path, as_version=4)


def solved(notebook):
    """The notebook with every stub replaced by its solution."""
    notebook = copy.deepcopy(notebook)
    stubs, solutions = tagged(notebook, "exercise"), tagged(notebook, "solution")
    for number, cell in stubs.items():
        cell.source = solution_of(solutions[number])
    return notebook


def execute(notebook):
    """Run from top to bottom in a fresh kernel: the executed notebook, and the seconds of every code cell.

    The seconds are the kernel's own, of computing: what else the machine does meanwhile is no fault of the lesson.
    """
    notebook = copy.deepcopy(notebook)
    clock = []

    def read_clock(**_):
        times = psutil.Process(client.km.provisioner.pid).cpu_times()
        clock.append(times.user + times.system)

    client = NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(LESSONS[0].parent)}},
        on_cell_execute=read_clock, on_cell_executed=read_clock,
    )  # fmt: skip
    asyncio.run(client.async_execute())  # which closes its event loop, in whatever thread this is
    return notebook, np.diff(clock)[::2]


@cache
def run(path):
    """A lesson as the student finds it and with its solutions, two kernels side by side."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(("found", "solved"), pool.map(execute, (read(path), solved(read(path)))), strict=True))


def printed(notebook):
    return "\n".join(
        output.get("text", "") for cell in notebook.cells if cell.cell_type == "code" for output in cell.get("outputs", [])
    )


@pytest.mark.parametrize("path", LESSONS, ids=NAMES)
def test_runs_as_the_student_finds_it(path):
    notebook, seconds = run(path)["found"]
    numbers = list(tagged(notebook, "exercise"))
    for number in numbers:
        assert f"Exercise {number} is not attempted yet" in printed(notebook)
    assert sum(seconds) < BUDGET and max(seconds) < CELL_BUDGET


@pytest.mark.parametrize("path", LESSONS, ids=NAMES)
def test_runs_with_the_solutions_filled_in(path):
    notebook, seconds = run(path)["solved"]
    for number in tagged(notebook, "exercise"):
        assert f"Exercise {number} is right." in printed(notebook)
    assert "not attempted" not in printed(notebook)
    assert sum(seconds) < BUDGET and max(seconds) < CELL_BUDGET


@pytest.mark.parametrize("path", LESSONS, ids=NAMES)
def test_no_warning_reaches_the_student(path):
    for way in ("found", "solved"):
        for cell in run(path)[way][0].cells:
            for output in cell.get("outputs", []):
                assert output.get("name") != "stderr", output.get("text")


@pytest.mark.parametrize("path", LESSONS, ids=NAMES)
def test_stub_and_solution_have_the_same_signature(path):
    notebook = read(path)
    stubs, solutions = tagged(notebook, "exercise"), tagged(notebook, "solution")
    assert 2 <= len(stubs) <= 5 and stubs.keys() == solutions.keys() == tagged(notebook, "check").keys()
    for number, cell in stubs.items():
        assert number.split(".")[0] == str(int(path.stem[:2]))
        assert f'NotImplementedError("Exercise {number}' in cell.source
        signatures = []
        for source in (cell.source, solution_of(solutions[number])):
            functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
            signatures.append([(f.name, ast.unparse(f.args)) for f in functions])
        assert signatures[0] == signatures[1] and len(signatures[0]) >= 1


@pytest.mark.parametrize("path", LESSONS, ids=NAMES)
def test_is_stored_with_the_outputs_of_a_clean_run(path):
    assert path.stat().st_size < LARGEST
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not any(output["output_type"] == "error" for cell in cells for output in cell["outputs"])
    drawn = [cell for cell in cells if any("image/png" in output.get("data", {}) for output in cell["outputs"])]
    assert drawn and all(cell["metadata"].get("alt") for cell in drawn), "write them with `python lessons/teach.py refresh`"


@pytest.mark.parametrize("path", LESSONS, ids=NAMES)
def test_has_the_anatomy_of_a_lesson(path):
    notebook = read(path)
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    headings = [len(marks) for marks in re.findall(r"^(#+) ", prose, re.MULTILINE)]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(deeper <= level + 1 for level, deeper in pairwise(headings))
    for part in ("**Question.**", "**Time.**", "**Afterwards you can**", "**You need**", "<summary>Notation of this lesson",
                 "## Summary", "## Questionnaire", "## References", "What the figure shows", "<details>"):  # fmt: skip
        assert part in prose, part
    assert "my_prediction = None" in "\n".join(cell.source for cell in notebook.cells)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert len([line for line in cell.source.splitlines() if line.strip()]) <= 18, cell.source
    for word in ("clearly", "simply", "obviously", "trivial"):
        assert not re.search(rf"\b{word}\b", prose, re.IGNORECASE), word


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem[:2])
def test_keeps_the_style_of_all_lessons(path):
    """The example before the notation, numbered sections, the head of an exercise above its stub, predictions alike."""
    cells = read(path).cells
    code = [i for i, cell in enumerate(cells) if cell.cell_type == "code"]
    (notation,) = [i for i, cell in enumerate(cells) if "<!-- rows: " in cell.source]
    assert code[1] < notation, "an example comes before the notation"
    prose = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    *sections, summary, questionnaire, references = re.findall(r"^## (.*)$", prose, re.MULTILINE)
    assert (summary, questionnaire, references) == ("Summary", "Questionnaire", "References")
    assert [heading.split(" ")[0] for heading in sections] == [f"{k}." for k in range(1, len(sections) + 1)]
    for above, cell in pairwise(cells):
        if number := re.search(r'NotImplementedError\("Exercise ([\d.]+):', cell.source if cell.cell_type == "code" else ""):
            head = rf"^### Exercise {number[1]} · .* \(\d+ minutes\)$"
            assert re.search(head, above.source, re.MULTILINE), above.source
        if cell.source.startswith("my_prediction = None"):
            assert "**Predict.**" in above.source and "\n- a) " in above.source, above.source


FIGURE = "**What the figure shows.**"
NOT_CLAIMED = r"""`[^`]*` | _\{?\w+\}? | 95\s% | \b(?:19|20)\d\d\b | [A-Za-z]\d+  # names, not results
    | \b(?:eqs?\.|(?:lesson|section|exercise|table|figure|question)s?)\s[\d.,]+(?:\s(?:(?:and|or|to)\s)?[\d.,]+)*"""
POWER = r"(?:(\d+(?:\.\d+)?)\s*\\cdot\s*)?10\^\{?(-?\d+)\}?"
NUMBER = r"\d+(?:\.\d+)?(?:e[+-]?\d+)?"


def unprinted(told, above):
    """The numbers in a paragraph that are neither printed nor set by the code cells above it, as (number, in words)."""
    told = re.sub(NOT_CLAIMED, " ", told, flags=re.VERBOSE | re.IGNORECASE)
    shown = [float(number) for number in re.findall(NUMBER, above)]
    missing = []
    for factor, exponent in re.findall(POWER, told):
        digits = len(factor.partition(".")[2])
        known = [f"{number:.{digits if factor else 0}e}" for number in shown if number]
        wanted = f"{float(factor or 1) * 10.0 ** int(exponent):.{digits}e}"
        if not any(text == wanted if factor else text.endswith(wanted[-4:]) for text in known):
            missing.append(f"{factor or 1} * 10^{exponent}")
    for number, percent in re.findall(rf"({NUMBER})(\s*%)?", re.sub(POWER, " ", told)):
        digits = len(number.partition(".")[2])
        rounded = shown if not digits and not percent else [round(value, digits) for value in shown]
        if percent:
            rounded = [*rounded, *(round(100 * value, digits) for value in shown)]
        if float(number) not in rounded:
            missing.append(number)
    return missing


def test_a_number_that_is_not_printed_is_found():
    above = "print(steps)\nafter 10 steps: 2.734, error 3e-06, share 81%"
    told = "Eq. 9: after 10 steps 2.73, near $10^{-6}$, or $3 \\cdot 10^{-6}$; 81 %; `W1`, $u_3$, 95 % intervals; eqs. 4, 5 and 8"
    assert unprinted(told, above) == []
    assert unprinted("after 11 steps 2.72, near $10^{-5}$, or $2 \\cdot 10^{-6}$; 80 %", above) == [
        "1 * 10^-5", "2 * 10^-6", "11", "2.72", "80"]  # fmt: skip


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem[:2])
def test_what_the_figure_shows_has_only_numbers_that_a_cell_above_prints(path):
    """Integers as they are, decimals and percentages to the digits of the sentence. Settings in the code count as printed."""
    above, missing = "", {}
    for cell in read(path).cells:
        if cell.cell_type == "code":
            above += "\n".join([cell.source, *(output.get("text", "") for output in cell.outputs), ""])
            continue
        for after in cell.source.split(FIGURE)[1:]:
            told = after.strip().partition("\n\n")[0]
            missing[told[:60]] = unprinted(told, above)
    assert not any(missing.values()), {told: numbers for told, numbers in missing.items() if numbers}


def test_the_set_up_cell_is_the_same_in_all_lessons():
    assert len({next(cell.source for cell in read(path).cells if cell.cell_type == "code") for path in LESSONS}) == 1


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem[:2])
def test_the_notation_is_that_of_the_sheet(path):
    """Change it in reference.md, or the rows that a lesson needs in its cell; then `python lessons/teach.py refresh`."""
    (cell,) = [cell for cell in read(path).cells if "<!-- rows: " in cell.source]
    assert cell.source == teach.notation(re.search(r"<!-- rows: (.*?) -->", cell.source)[1])
