"""What a lecturer needs: handing out without answers, and grading what comes back, whatever it is."""

import csv
import os
import re
import subprocess
import sys

import grading
import nbformat
import pytest
import teach
from answering import LESSONS, solution_of, tagged
from nbformat.v4 import new_code_cell, new_notebook

LESSON = next(path for path in LESSONS if path.stem.startswith("07"))
NAMES = {number: name for number, name in grading.answer_names().items() if number[0] == "7"}  # 7.1: episode, ...
SOLUTIONS = {number: solution_of(cell) for number, cell in tagged(nbformat.read(LESSON, 4), "solution").items()}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("handed") / "out"
    teach.main(["handout", str(folder)])
    return folder


def test_a_handout_has_no_solution_no_output_and_no_answer_in_plain_sight(out):
    assert [path.name for path in teach.notebooks(out)] == [path.name for path in LESSONS]
    for path in teach.notebooks(out):
        notebook = nbformat.read(path, 4)
        nbformat.validate(notebook)
        assert not tagged(notebook, "solution") and tagged(notebook, "exercise").keys() == tagged(notebook, "check").keys()
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
        for before, after in zip(notebook.cells, notebook.cells[1:], strict=False):
            if "exercises.prediction(" in before.source and after.cell_type == "markdown":
                assert after.source.startswith(("<details>", "#"))
    told = [path for path in out.rglob("*") if path.is_file() and path.parent.name == "exercises"]
    assert all(path.suffix == ".packed" or path.name == "__init__.py" for path in told)
    for path in told:
        assert b"softmax" not in path.read_bytes() and b"-1.623" not in path.read_bytes()
    assert not list(out.glob("answer_key*")) and not list(out.glob("grading*"))
    assert "<!--" not in (out / "reference.md").read_text(encoding="utf-8")


def test_what_tells_how_a_prediction_came_out_is_folded_up_to_the_next_heading(out):
    folded = teach._folded("**What the figure shows.** A line.\n\nWhy?\n\n## 4 · Next\n\nText\n### Deeper")
    assert folded.startswith("<details>") and folded.endswith("</details>\n\n## 4 · Next\n\nText\n### Deeper")
    assert teach._folded("## Only a heading\n\nText") == "## Only a heading\n\nText"


def test_the_checks_of_a_handout_work_without_the_lessons_of_the_teacher(out):
    code = "import exercises, figures.lesson_07 as draw\n" + "\n".join(SOLUTIONS.values())
    code = "import numpy as np\n" + code + "".join(f"\nexercises.check({n!r}, {name})" for n, name in NAMES.items())
    code += "\nprint(exercises.__file__)"
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    said = subprocess.run([sys.executable, "-c", code], cwd=out, env=clean, capture_output=True, text=True, timeout=120)
    assert said.stdout.count("is right.") == len(NAMES), said.stderr
    assert said.stdout.rstrip().endswith(str(out / "exercises" / "__init__.py"))


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(SystemExit, match="is not empty"):
        teach.main(["handout", str(tmp_path)])


# -- grading -----------------------------------------------------------------------------------------------------


def hand_in(folder, answers, extra=()):
    """A notebook of lesson 07 with these answers by number, cut down to what its exercises need, after `extra` cells."""
    lesson = nbformat.read(LESSON, 4)
    cells = [next(cell for cell in lesson.cells if cell.cell_type == "code"), *map(new_code_cell, extra)]
    for number, stub in tagged(lesson, "exercise").items():
        cells += [new_code_cell(answers.get(number, stub.source)), tagged(lesson, "check")[number]]
    folder.mkdir()
    nbformat.write(new_notebook(cells=[new_code_cell(cell.source) for cell in cells]), folder / LESSON.name)


def test_three_students_all_right_half_right_with_an_endless_loop_and_nothing_attempted(tmp_path, capsys):
    hand_in(tmp_path / "ada", SOLUTIONS)
    loop = "def cross_entropy_twice(z, y, r):\n    while True:\n        pass"
    hand_in(tmp_path / "bob", SOLUTIONS | {"7.2": loop}, extra=["1 / 0"])
    hand_in(tmp_path / "cleo", {})
    teach.main(["grade", str(tmp_path), "--seed", "3", "--timeout", "8"])
    said = capsys.readouterr().out
    assert "This executes what 3 students wrote" in said and "ada: 3 of 3" in said and "cleo: 0 of 3" in said
    with open(tmp_path / "grades.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    results = {(row["student"], row["exercise"]): (row["result"], row["points"]) for row in rows}
    assert len(rows) == 9 and sum(int(row["points"]) for row in rows) == 5
    assert all(results["ada", number] == ("right", "1") for number in NAMES)
    assert [results["bob", number][0] for number in NAMES] == ["right", "wrong", "right"]
    assert rows[4]["sentence"] == "cross_entropy_twice: it did not end within 8 s"
    assert all(results["cleo", number] == ("not attempted", "0") for number in NAMES)


def test_whatever_a_student_writes_is_a_row(tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "GRACE", 1.0)
    answers = {
        "7.1": "import os\ndef episode(array, ways, shots, queries, rng):\n    os._exit(1)",
        "7.2": "def cross_entropy_twice(z, y, r):\n    exit()",
        "7.3": "def blind_loss(p):\n    return -np.log(p).sum()",
    }
    endless = "while True:\n    try:\n        print('x' * 10**6)\n    except BaseException:\n        pass"
    hand_in(tmp_path / "dan", answers, extra=["sys.exit()", endless])
    hand_in(tmp_path / "eve", {"7.1": "def episode(:", "7.2": "cross_entropy_twice = 3", "7.3": "print('no answer')"})
    (tmp_path / "eve" / "02 mine.ipynb").write_text("no notebook")
    (tmp_path / "eve" / "exercises.py").write_text("def check(*answers, **options): print('is right.')")
    rows = {(row.student, row.exercise): row for row in grading.grade(tmp_path, seed=1, timeout=10)}
    assert "ends the kernel" in rows["dan", "7.1"].sentence
    assert "SystemExit" in rows["dan", "7.2"].sentence
    assert "sum over the labels" in rows["dan", "7.3"].sentence and "\n" not in rows["dan", "7.3"].sentence
    assert "SyntaxError" in rows["eve", "7.1"].sentence
    assert "expected a function" in rows["eve", "7.2"].sentence
    assert rows["eve", "7.3"].result == "not attempted"
    assert rows["eve", "2.1"].result == "wrong" and rows["dan", "2.1"].result == "not handed in"
    assert not any(row.points for row in rows.values())


# -- the answer key ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_questionnaire_has_six_to_ten_questions_and_the_key_an_answer_to_each(path):
    prose = "\n\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown")
    questions = re.findall(r"^(\d+)\. ", re.search(r"## Questionnaire\n(.*?)\*\*Next", prose, re.DOTALL)[1], re.MULTILINE)
    key = (teach.LESSONS / "answer_key.md").read_text(encoding="utf-8")
    (answers,) = re.findall(rf"^<details><summary>{path.stem[:2]} (.*?)</details>", key, re.DOTALL | re.MULTILINE)
    assert 6 <= len(questions) <= 10 and re.findall(r"^(\d+)\. \S", answers, re.MULTILINE) == questions
