"""Grading: a student's notebooks are run in fresh kernels, failing cells and all, and then judged by the checks of this folder.

A crash, an endless loop or an endless output of a student is one row of the table, not the end of the run. It executes what
students wrote, with the rights of whoever grades.
"""

from __future__ import annotations

import ast
import contextlib
import csv
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from queue import Empty
from typing import Any

from teach import LESSONS, notebooks, read, tags

OURS = ("exercises", "figures", "tinymaml", "teach.py", "grading.py")  # never taken from a student's folder

LARGEST = 10_000_000  # characters that a cell may print
GRACE = 10.0  # seconds in which an interrupted cell must end
RESTARTS = 5  # of the kernel, for one notebook


@dataclass(frozen=True)
class Grade:
    """A row of the table."""

    student: str
    exercise: str
    result: str  # "right", "wrong", "not attempted" or "not handed in"
    points: int
    sentence: str = ""


def answer_names() -> dict[str, str]:
    """The name of the function that each exercise asks for, by its number, read from the stubs."""
    names = {}
    for path in notebooks():
        for cell in read(path):
            if "exercise" in tags(cell):
                (number,) = set(tags(cell)) - {"exercise"}
                names[number] = next(line.name for line in ast.parse(cell["source"]).body if isinstance(line, ast.FunctionDef))
    return names


def grade(folder: Path, seed: int, timeout: float) -> list[Grade]:
    """Grade every student's notebooks, print the table and write grades.csv."""
    students = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] not in "._")
    if not students:
        raise SystemExit(f"{folder} has no folder in it: one for each student is expected, with their notebooks")
    handed_in = {student: _lessons_of(student) for student in students}
    numbers = [n for n in answer_names() if any(n.split(".")[0] in lessons for lessons in handed_in.values())]
    rows: list[Grade] = []
    with tempfile.TemporaryDirectory(prefix="tinymaml-grading-") as scratch:
        print(f"This executes what {len(students)} students wrote, with your rights, in copies in {scratch}.", flush=True)
        for student, lessons in handed_in.items():
            place = Path(scratch) / student.name
            shutil.copytree(student, place, ignore=shutil.ignore_patterns(".*", "__pycache__", *OURS))
            found: dict[str, tuple[str, str]] = {}
            for lesson, path in lessons.items():
                mine = {n: name for n, name in answer_names().items() if n.split(".")[0] == lesson}
                began = time.monotonic()
                found |= grade_notebook(path, mine, place, seed, timeout)
                print(f"    {student.name}: {path.name}, {time.monotonic() - began:.0f} s", flush=True)
            for n in numbers:
                result, sentence = found.get(n, ("not handed in", ""))
                rows.append(Grade(student.name, n, result, int(result == "right"), sentence))
            shutil.rmtree(place, ignore_errors=True)
    _table(rows)
    with open(folder / "grades.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Grade)])
        writer.writerows(map(astuple, rows))
    print(f"The same in {folder / 'grades.csv'}.")
    return rows


def _lessons_of(student: Path) -> dict[str, Path]:
    """The notebook of each lesson, {"7": path}: by the exercises that it checks, else by its name; of two, the last changed."""
    found = {}
    for path in sorted(student.glob("*.ipynb"), key=lambda path: path.stat().st_mtime):
        try:
            asked = re.findall(r"exercises\.check\(\s*[\"'](\d+)\.", "\n".join(cell["source"] for cell in read(path)))
        except (ValueError, KeyError, TypeError):  # not a notebook: its row will say so
            asked = []
        asked = asked or [number.lstrip("0") for number in re.findall(r"\d+", path.name)[:1]]
        if asked:
            found[Counter(asked).most_common(1)[0][0]] = path
    return found


def grade_notebook(path: Path, names: Mapping[str, str], place: Path, seed: int, timeout: float) -> dict[str, tuple[str, str]]:
    """Run one notebook, failing cells and all, then the checks: {number: (result, sentence)}.

    A cell that kills its kernel, or that cannot be interrupted, is left out and the notebook run again.
    """
    try:
        cells = [cell["source"] for cell in read(path) if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError):
        return dict.fromkeys(names, ("wrong", f"{path.name} is not a notebook"))
    found: dict[str, tuple[str, str]] = {}
    stopped: dict[int, str] = {}  # what became of a cell that did not end well
    for _ in range(RESTARTS):
        with Kernel(place, timeout) as kernel:
            kernel.run("import grading; grading.prepare()")
            for i, source in enumerate(cells):
                if kernel.alive and not stopped.get(i, "").startswith("its cell"):
                    said = kernel.run(source).trouble
                    stopped |= {i: said} if said else {}
            for number, name in names.items():
                if kernel.alive and number not in found:
                    found[number] = _judged(kernel, number, name, seed, cells, stopped)
        if len(found) == len(names):
            return found
    return dict.fromkeys(names, ("wrong", f"its kernel died {RESTARTS} times")) | found


def _judged(kernel: Kernel, number: str, name: str, seed: int, cells: list[str], stopped: Mapping[int, str]) -> tuple[str, str]:
    """The result and the sentence of one exercise, in the kernel in which its notebook was run."""
    mark = secrets.token_hex()  # the student's own prints cannot be taken for the verdict
    run = kernel.run(f"__import__('grading').report({number!r}, globals().get({name!r}), {seed}, {mark!r})")
    if mark in run.printed:
        result, sentence = json.loads(run.printed.rpartition(mark)[2].splitlines()[0])
        where = [i for i, source in enumerate(cells) if re.search(rf"^def {name}\(|^{name} *=", source, re.MULTILINE)]
        if result == "missing" and where:
            return "wrong", f"there is no function {name} after the run: {stopped.get(where[-1], 'something replaced it')}"
        return ("not attempted", "") if result == "missing" else (result, sentence)
    return "wrong", f"{name}: {run.trouble or 'the check did not end'}".replace("its cell", "it")


@dataclass(frozen=True)
class Run:
    """What a cell printed, and what went wrong: "" if nothing."""

    printed: str = ""
    trouble: str = ""


class Kernel:
    """A fresh kernel in which cells are run one after another, each for at most `timeout` seconds.

    After a cell that is late or prints without end it is interrupted; a cell that goes on is the end of the kernel.
    """

    def __init__(self, place: Path, timeout: float):
        self.place, self.timeout = place, timeout

    def __enter__(self) -> Kernel:
        from jupyter_client.manager import start_new_kernel

        path = os.pathsep.join([str(LESSONS), str(LESSONS.parent)])
        environment = os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # what a cell prints comes as messages
        self.manager, self.client = start_new_kernel(kernel_name="python3", cwd=str(self.place), env=environment, **silent)
        return self

    def __exit__(self, *_: Any) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    @property
    def alive(self) -> bool:
        return self.manager.is_alive()

    def run(self, source: str) -> Run:
        """Run a cell to its end, or to the end of its time."""
        asked = self.client.execute(source, allow_stdin=False, store_history=False)
        end = time.monotonic() + self.timeout
        printed, size, trouble, late = [], 0, "", ""
        for kind, content in self._messages(asked):
            if kind == "status" and content["execution_state"] == "idle":
                return Run("".join(printed), late or trouble)
            if kind == "stream":
                size += len(content["text"])
                printed = [*printed, content["text"]][-100:]
            elif kind == "error" and content["ename"] != "KeyboardInterrupt":
                trouble = f"{content['ename']}: {content['evalue']}".strip(": ")
            if not self.alive:
                return Run("".join(printed), late or "its cell ends the kernel")
            if not late and (size > LARGEST or time.monotonic() > end):
                much = f"printed more than {LARGEST:,} characters" if size > LARGEST else f"did not end within {self.timeout:g} s"
                late, end = f"its cell {much}", time.monotonic() + GRACE
                self.manager.interrupt_kernel()
            elif late and time.monotonic() > end:
                self.manager.shutdown_kernel(now=True)
                return Run("".join(printed), late)
        raise AssertionError("the messages do not end before the cell")

    def _messages(self, asked: str) -> Iterator[tuple[str, dict]]:
        """What the kernel says about one cell, and nothing, twice a second."""
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=0.5)
            except Empty:
                yield "", {}
            else:
                if message["parent_header"].get("msg_id") == asked:
                    yield message["msg_type"], message["content"]


# In the student's kernel:


def prepare() -> None:
    """Take hold of the checks before the notebook runs; its own calls of them do nothing, and `exit` ends a cell, no more."""
    import builtins

    import exercises
    from IPython import get_ipython

    global check
    check, exercises.check = exercises.check, lambda *given, **named: None
    for name in ("exit", "quit"):
        setattr(builtins, name, sys.exit)
        get_ipython().user_ns[name] = sys.exit


class _Quiet:
    """Where a student's function prints to while it is judged: the end is kept."""

    text = ""

    def write(self, text: str) -> int:
        self.text = (self.text + text)[-200:]
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""


def report(number: str, answer: Any, seed: int, mark: str) -> None:
    """Print the mark, the result and the sentence of one exercise."""
    from exercises import WrongAnswer

    said, sentence = _Quiet(), ""
    try:
        if answer is not None:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                check(number, answer, seed=seed)
        result = "missing" if answer is None else "right" if said.text.endswith("is right.\n") else "not attempted"
    except WrongAnswer as error:
        result, sentence = "wrong", str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        result, sentence = "wrong", f"{getattr(answer, '__name__', 'it')} stops with {type(error).__name__}: {error}"
    print(mark + json.dumps([result, " ".join(sentence.split())[:1000]]), flush=True)


def _table(rows: list[Grade]) -> None:
    widths = [max(len(str(getattr(row, name))) for row in rows) for name in ("student", "exercise", "result")]
    for row in rows:
        cells = (f"{text:<{width}}" for text, width in zip((row.student, row.exercise, row.result), widths, strict=True))
        print("  ".join([*cells, f"{row.points:>2}", row.sentence[:160]]).rstrip())
    for student in dict.fromkeys(row.student for row in rows):
        own = [row.points for row in rows if row.student == student]
        print(f"{student}: {sum(own)} of {len(own)}")
