"""What a lecturer needs: handing out without answers, and grading what comes back, whatever it is."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise

import exercises
import grading
import nbformat
import psutil
import pytest
import teach
from answering import LESSONS, tagged
from submissions import cells, hand_in, notebook, write

RIGHT = {number: exercises.of_number(number).solution for number in ("2.1", "2.2", "2.3", "2.4")}


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
    assert {path.name for path in told} == {"__init__.py", "checks.zip"}
    for path in told:
        assert b"softmax" not in path.read_bytes() and b"-1.623" not in path.read_bytes()
    assert not list(out.glob("answer_key*")) and not list(out.glob("grading*"))
    assert "<!--" not in (out / "reference.md").read_text(encoding="utf-8")


def test_what_tells_how_a_prediction_came_out_is_folded_up_to_the_next_heading(out):
    folded = teach._folded("**What the figure shows.** A line.\n\nWhy?\n\n## 4 · Next\n\nText\n### Deeper", "Later")
    assert folded.startswith("<details><summary>Later</summary>")
    assert folded.endswith("</details>\n\n## 4 · Next\n\nText\n### Deeper")
    assert teach._folded("## Only a heading\n\nText", "Later") == "## Only a heading\n\nText"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem[:2])
def test_an_equation_behind_an_exercise_is_folded_in_a_handout(path):
    for before, after in pairwise(teach.read(path)):
        if "solution" in teach.tags(before) and after["cell_type"] == "markdown" and "\\tag{" in after["source"]:
            assert "spoiler" in teach.tags(after) or after["source"].startswith("#"), after["source"]


def test_the_checks_of_a_handout_work_without_the_lessons_of_the_teacher(out):
    sources = cells("02", RIGHT)
    code = "\n".join([*sources, "import figures.lesson_02", "print(exercises.__file__)"])
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    said = subprocess.run([sys.executable, "-c", code], cwd=out, env=clean, capture_output=True, text=True, timeout=120)
    assert said.stdout.count("is right.") == len(RIGHT), said.stderr
    assert said.stdout.rstrip().endswith(str(out / "exercises" / "__init__.py"))


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(SystemExit, match="is not empty"):
        teach.main(["handout", str(tmp_path)])


# -- grading -----------------------------------------------------------------------------------------------------


def table(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        return {row["student_id"]: row for row in csv.DictReader(file)}


NOT_RUN = ("empty", "broken zip", "bomb", "links", "linked", "odd files", "M\u00fcller", r"\udcff\udcfe")  # they need no kernel
RUN = ("changed checks", "ends its kernel", "endless answer", "endless output", "helper overwritten", "memory", "no Python",
       "one notebook", "own modules", "says so", "zip inside")  # fmt: skip


def test_whatever_a_student_hands_in_is_a_row_and_the_others_are_graded(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(grading, "GRACE", 2)
    expected = hand_in(tmp_path)
    for path in list(tmp_path.iterdir()):
        if grading.shown(path.name) not in NOT_RUN + RUN:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    asked = ["grade", str(tmp_path), "--seed", "3", "--lessons", "02,5", "--timeout", "4", "--memory", "2", "--jobs", "2"]
    teach.main(asked)
    assert f"This executes what {len(NOT_RUN + RUN)} students wrote" in capsys.readouterr().out
    assert (tmp_path / "grades.csv").read_bytes().startswith(b"\xef\xbb\xbfstudent_id,exercise 2.1,")
    rows = table(tmp_path / "grades.csv")
    assert len(rows) == len(NOT_RUN + RUN)
    for student in NOT_RUN + RUN:
        points, words = expected[student]
        row, said = rows[student], (tmp_path / "_feedback" / f"{student}.md").read_text(encoding="utf-8")
        assert (row["score"], row["max_score"]) == (str(points), "8"), said
        assert all(word in said for word in words), said

    (tmp_path / "empty" / "note.txt").write_text("new")
    teach.main(asked)
    assert capsys.readouterr().out.count("not changed since it was graded") == len(NOT_RUN + RUN) - 1


def test_a_table_of_another_seed_or_of_other_exercises_is_left_as_it_is(tmp_path, capsys):
    (tmp_path / "ada").mkdir()
    for more in ("--seed 1", "--seed 2", "--seed 2 --lessons 02 --weights 2.1=0.5,2.2=3", "--seed 1"):
        teach.main(["grade", str(tmp_path), *more.split()])
    assert sorted(path.name for path in tmp_path.glob("grades*")) == ["grades-2.csv", "grades-3.csv", "grades.csv"]
    assert capsys.readouterr().out.count("ada: not changed") == 1
    (row,) = table(tmp_path / "grades-3.csv").values()
    assert row["exercise 2.2 (of 3)"] == "0" and row["max_score"] == "5.5"
    (tmp_path / "grades-4.csv").write_text("mine")
    (tmp_path / "grades-5.csv").mkdir()
    teach.main(["grade", str(tmp_path), "--seed", "9"])
    assert (tmp_path / "grades-4.csv").read_text() == "mine" and table(tmp_path / "grades-6.csv")["ada"]["seed"] == "9"


@pytest.mark.parametrize("inherited", [signal.SIG_DFL, signal.SIG_IGN], ids=["in front", "in the background"])
def test_a_grading_that_is_stopped_leaves_what_is_done_and_no_kernel(tmp_path, inherited):
    write(tmp_path / "ada" / "02.ipynb", notebook(cells("02", RIGHT)))
    write(tmp_path / "bob" / "02.ipynb", notebook(["while True:\n    pass"]))
    asked = [sys.executable, teach.__file__, "grade", str(tmp_path), "--seed", "3", "--lessons", "02", "--timeout", "20"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(asked, **pipes, preexec_fn=lambda: signal.signal(signal.SIGINT, inherited)) as process:
        next(line for line in process.stdout if line.startswith("ada:"))
        while not (kernels := psutil.Process(process.pid).children()):
            time.sleep(0.1)
        process.terminate()
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 1 and said.startswith("Stopped. ") and said.count("\n") == 1
    assert not any(kernel.is_running() for kernel in kernels)
    assert table(tmp_path / "grades.csv").keys() == {"ada"} and table(tmp_path / "grades.csv")["ada"]["score"] == "4"


@pytest.mark.parametrize("arguments, words", {
    "grade NOWHERE --seed 1": "No such file", "grade FILE --seed 1": "Not a directory", "grade EMPTY --seed 1": "no folder in it",
    "grade EMPTY --seed -1": "a number from 0", "grade EMPTY --seed 1 --timeout 0": "a number from 1",
    "grade EMPTY --seed 1 --jobs 0": "a number from 1", "grade EMPTY --seed 1 --memory nan": "invalid int value",
    "grade EMPTY --seed 1 --lessons 02,99": "no lesson '99'", "grade EMPTY --seed 1 --weights 2.9=1": "exercise=points",
    "grade EMPTY --seed 1 --weights 2.1=-1": "exercise=points", "handout FILE": "Not a directory",
    "handout FILE/in": "Not a directory", "handout LESSONS/exercises/out": "name a folder elsewhere",
}.items())  # fmt: skip
def test_odd_arguments_are_refused_in_one_sentence(arguments, words, tmp_path, capsys):
    (tmp_path / "FILE").write_text("")
    (tmp_path / "EMPTY").mkdir()
    places = {"NOWHERE": tmp_path / "none", "FILE": tmp_path / "FILE", "EMPTY": tmp_path / "EMPTY", "LESSONS": teach.LESSONS}
    asked = re.sub("|".join(places), lambda found: str(places[found[0]]), arguments)
    with pytest.raises(SystemExit) as ended:
        teach.main(asked.split())
    assert words in f"{ended.value} {capsys.readouterr().err}"


# -- the answer key ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_questionnaire_has_six_to_ten_questions_and_the_key_an_answer_to_each(path):
    prose = "\n\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown")
    questions = re.findall(r"^(\d+)\. ", re.search(r"## Questionnaire\n(.*?)\*\*Next", prose, re.DOTALL)[1], re.MULTILINE)
    key = (teach.LESSONS / "answer_key.md").read_text(encoding="utf-8")
    (answers,) = re.findall(rf"^<details><summary>{path.stem[:2]} (.*?)</details>", key, re.DOTALL | re.MULTILINE)
    assert 6 <= len(questions) <= 10 and re.findall(r"^(\d+)\. \S", answers, re.MULTILINE) == questions
