"""The checks behind the exercises of the lessons: they say at once what is right, and name the known mistakes.

    exercises.check("2.1", my_function)              # in the cell after a stub
    exercises.check("2.1", my_function, seed=7)      # the same exercise on other numbers: for grading

One module a lesson, lesson_01.py, lesson_02.py, ...; in each, CHECKS maps the number of an exercise to an `Exercise`:
its solution, which the lesson prints, and `(answer, rng)`, which judges an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from exercises.exercise import ByHand, Exercise
from exercises.guard import explained, guarded, refuse
from tinymaml.check import WrongAnswer

__all__ = ["WrongAnswer", "check", "prediction"]


def check(number: str, answer: Callable, *, seed: int = 0) -> None:
    """Check the answer to exercise `number` on numbers drawn from `seed`.

    Not attempted (the stub's NotImplementedError): says so and goes on. Wrong: raises `WrongAnswer` with the hint.
    """
    if judged(number, answer, seed):
        print(f"Exercise {number} is right.")
    else:
        print(f"Exercise {number} is not attempted yet: write it in the cell above, and run that. The lesson goes on without it.")


def judged(number: str, answer: Callable, seed: int) -> bool:
    """True: the answer is right; False: it is not attempted; `WrongAnswer`: what is wrong."""
    exercise = of_number(number)
    if not callable(answer):
        sentence = f"Exercise {number}: the answer is {answer!r}, expected a function: pass the name of yours"
        raise WrongAnswer(sentence, name=number, error=np.inf)
    mine = guarded(answer)
    try:
        exercise(mine, np.random.default_rng(seed))
        if mine.whole:
            refuse(f"Exercise {number}", mine.whole)
    except WrongAnswer as wrong:
        raise explained(wrong, mine) from wrong.__cause__
    except (TypeError, ValueError, AttributeError, KeyError, IndexError) as error:  # the check could not read the answer
        sentence = f"Exercise {number}: the check could not read the answer, {mine.kind}: see what the stub says it returns"
        raise WrongAnswer(sentence, name=number, error=np.inf) from error
    except NotImplementedError:
        return False
    return True


def of_number(number: str) -> Exercise | ByHand:
    """The exercise "2.1" of lesson 02."""
    lesson = import_module(f"exercises.lesson_{int(number.split('.')[0]):02d}")
    if number not in lesson.CHECKS:
        raise ValueError(f"there is no exercise {number!r}: lesson {number.split('.')[0]} has {', '.join(lesson.CHECKS)}")
    return lesson.CHECKS[number]


def prediction(mine: Any, outcome: str) -> None:
    """Say whether a prediction, one of the letters in the question or None, agreed with what the run showed."""
    if mine is None:
        print(f"No prediction made. The run says: {outcome}")
    elif not isinstance(mine, str):
        print(f'A prediction is a letter in quotes: my_prediction = "{outcome}" would agree with the run')
    elif mine.strip().lower() == outcome:
        print(f"Your prediction agrees with the run: {outcome}")
    else:
        print(f"You predicted {mine}; the run says: {outcome}. What did you expect to happen instead?")
