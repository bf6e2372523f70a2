"""What holds for every exercise of every lesson; the known mistakes of each are in test_exercises_01.py to _07.py."""

import importlib

import exercises
import numpy as np
import pytest
from answering import LESSONS, printed, refused
from exercises.answers import guarded

PRINTED = printed()


def test_every_exercise_has_a_check_and_every_check_an_exercise():
    lessons = [importlib.import_module(f"exercises.lesson_{path.stem[:2]}") for path in LESSONS]
    assert sorted(PRINTED) == sorted(number for lesson in lessons for number in lesson.CHECKS)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("number", PRINTED)
def test_the_printed_solution_is_right_on_every_seed(number, seed, capsys):
    exercises.check(number, PRINTED[number][1], seed=seed)
    assert capsys.readouterr().out.endswith(f"Exercise {number} is right.\n")


@pytest.mark.parametrize("number", PRINTED)
def test_the_stub_is_not_attempted(number, capsys):
    exercises.check(number, PRINTED[number][0])
    assert capsys.readouterr().out.startswith(f"Exercise {number} is not attempted yet")


@pytest.mark.parametrize("number", PRINTED)
def test_what_is_no_answer_is_refused_in_words(number):
    refused(number, lambda *given, **named: None, "it returns None: does it end with a return?")
    refused(number, lambda *given, **named: "a word", "expected")
    refused(number, lambda: 1, "TypeError")
    refused(number, 3, "expected a function")


def test_an_error_inside_the_function_says_what_it_was_given():
    def product(left, right):
        return left @ right

    with pytest.raises(exercises.WrongAnswer) as caught:
        guarded(product)(np.ones((2, 3)), np.ones((2, 3)))
    assert str(caught.value).startswith("product: it stops with ValueError")
    assert "It was given left (2, 3), right (2, 3): do the shapes fit" in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_function_that_writes_into_its_arrays_writes_into_copies():
    def spoil(array, *, other):
        array *= 0
        other *= 0
        return array

    mine = np.ones(3), np.ones(3)
    guarded(spoil)(mine[0], other=mine[1])
    assert mine[0].all() and mine[1].all()
