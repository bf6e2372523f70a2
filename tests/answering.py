"""Answers to the exercises of the lessons: as the lessons print them, and how a wrong one is refused."""

import re
from pathlib import Path

import exercises
import nbformat
import pytest
from exercises.exercise import function

LESSONS = sorted((Path(__file__).parents[1] / "lessons").glob("[0-9][0-9]_*.ipynb"))


def tagged(notebook, tag):
    """The cells with a tag, by the number of their exercise, which is their other tag."""
    found = {}
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if tag in tags:
            (number,) = set(tags) - {tag}
            found[number] = cell
    return found


def solution_of(cell):
    """The Python block inside the collapsed solution."""
    (block,) = re.findall(r"```python\n(.*?)```", cell.source, re.DOTALL)
    return block


def printed():
    """{number: (stub, solution)} of all lessons, as functions."""
    found = {}
    for path in LESSONS:
        notebook = nbformat.read(path, 4)
        stubs, solutions = tagged(notebook, "exercise"), tagged(notebook, "solution")
        found |= {number: (function(stub.source), function(solution_of(solutions[number]))) for number, stub in stubs.items()}
    return found


def refused(number, answer, *words, seed=0):
    """What the check says against this answer, in which all `words` must be."""
    with pytest.raises(exercises.WrongAnswer) as caught:
        exercises.check(number, answer, seed=seed)
    assert "could not read" not in str(caught.value), caught.value.__cause__
    for word in words:
        assert word in str(caught.value)
    return str(caught.value)


def accepted(number, answer, seeds=range(5)):
    """The answer is right on all seeds."""
    for seed in seeds:
        exercises.check(number, answer, seed=seed)


def handed_in(lesson):
    """(number, is it right, words of the diagnosis, source) of each answer in tests/lessons/answers/lesson_NN.txt.

    A block begins with `# 2.1 right`, or with `# 2.1 wrong: words`, where no words stand for a mistake that is not named.
    """
    text = (Path(__file__).parent / "lessons" / "answers" / f"lesson_{lesson}.txt").read_text(encoding="utf-8")
    blocks = re.findall(r"^# (\d+\.\d+) (right|wrong:)(.*)\n((?:(?!# \d+\.\d+ ).*\n)*)", text, re.MULTILINE)
    return [(number, verdict == "right", words.strip(), source) for number, verdict, words, source in blocks]
