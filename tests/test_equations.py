"""The checks of eqs. 19 to 22: the library's answers pass, and every known mistake, made on purpose, is named."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from strategies import problems, quick

from tinymaml.check import Problem, WrongAnswer, check_equation
from tinymaml.check.compare import TOLERANCE
from tinymaml.check.equations import EQUATIONS, Given, equation_errors

PROBLEM = Problem((2, 4, 2), tasks=3, shots=4, queries=3, inner_lr=0.07)
OPTIONS = {
    19: {"inner_lr": 0.07, "steps": 3},
    20: {"rates": 0.07 * PROBLEM.v, "steps": 3},
    21: {"rates": 0.07 * PROBLEM.v, "weights": [0.2, 0.3, 0.5]},
    22: {"inner_lr": 0.05, "steps": 2, "strength": 10.0},
}
SLIPS = [(number, key) for number, equation in EQUATIONS.items() for key in equation.slips]


def of(number):
    return Given(PROBLEM.model, PROBLEM.theta, PROBLEM.batch, **OPTIONS[number])


def checked(number, mine, **more):
    return check_equation(number, mine, PROBLEM.model, PROBLEM.theta, PROBLEM.batch, **OPTIONS[number], **more)


@quick
@given(problems())
def test_the_library_is_right(problem):
    assert max(equation_errors(problem, problem.steps).values()) <= TOLERANCE


@pytest.mark.parametrize("number", EQUATIONS)
def test_a_right_answer_passes(number):
    given = replace(of(22), steps=150) if number == 22 else of(number)  # to the end of the loop
    line = checked(number, EQUATIONS[number].mine(given))
    assert line.startswith(f"eq. {number} ") and line.endswith("right")


@pytest.mark.parametrize(("number", "key"), SLIPS)
def test_every_known_mistake_is_named(number, key):
    with pytest.raises(WrongAnswer) as caught:
        checked(number, EQUATIONS[number].wrong(of(number), [key]))
    assert EQUATIONS[number].slips[key] in caught.value.diagnosis


@pytest.mark.parametrize("number", EQUATIONS)
def test_without_a_mistake_the_equation_as_it_is_written_is_right(number):
    checked(number, EQUATIONS[number].wrong(of(number), []))


@pytest.mark.parametrize("number", EQUATIONS)
def test_no_two_mistakes_are_one_and_none_is_right(number):
    answers = [EQUATIONS[number].wrong(of(number), made).flat for made in ([], *([key] for key in EQUATIONS[number].slips))]
    for i, one in enumerate(answers):
        assert all(np.abs(one - other).max() > 1e-4 * np.abs(one).max() for other in answers[:i])


def test_an_answer_that_no_mistake_explains_is_wrong_all_the_same():
    with pytest.raises(WrongAnswer, match="where 1e-08 would pass") as caught:
        checked(21, PROBLEM.v)
    assert caught.value.diagnosis == ""


def test_weights_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ValueError, match=r"^weights is \[0.5, 0.6\], expected .* whose sum is 1: divide by their sum"):
        check_equation(21, PROBLEM.v, PROBLEM.model, PROBLEM.theta, PROBLEM.batch, weights=[0.5, 0.6])
