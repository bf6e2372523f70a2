"""The checks of eqs. 19 to 22: the library's answers pass, and every known mistake, made on purpose, is named."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from strategies import problems, quick

from tinymaml.check import Problem, WrongAnswer, check_equation
from tinymaml.check.compare import TOLERANCE
from tinymaml.check.equations import EQUATIONS, Given, equation_errors
from tinymaml.methods.imaml import implicit_gradient

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


def test_a_loop_that_crosses_a_kink_near_its_end_is_no_mistake_of_the_library():
    crossing = Problem((3, 3, 5, 5), "relu", tasks=1, shots=1, queries=1, steps=1, seed=2, inner_lr=0.1)
    assert max(equation_errors(crossing, 1).values()) <= TOLERANCE


@pytest.mark.parametrize("steps", [1, 3])
def test_eq_22_is_judged_at_the_end_of_the_inner_loop_whatever_steps_are_given(steps):
    problem = PROBLEM.model, PROBLEM.theta, PROBLEM.batch
    given = {"inner_lr": 0.1, "strength": 2.0}
    answer = lambda steps: implicit_gradient(*problem, **given, steps=steps, cg_steps=100, tolerance=1e-14).gradient
    check_equation(22, answer(2000), *problem, **given, steps=steps)
    with pytest.raises(WrongAnswer) as caught:
        check_equation(22, answer(steps), *problem, **given, steps=steps)
    assert caught.value.diagnosis == EQUATIONS[22].slips["not ended"]


def test_a_loop_that_does_not_end_is_no_wrong_answer():
    with pytest.raises(ValueError, match=r"^the inner loop does not end at inner_lr=5.0 and strength=2.0: .* Take a smaller"):
        check_equation(22, PROBLEM.v, PROBLEM.model, PROBLEM.theta, PROBLEM.batch, inner_lr=5.0)


def test_an_answer_that_no_mistake_explains_is_wrong_all_the_same():
    with pytest.raises(WrongAnswer, match="where 1e-08 would pass") as caught:
        checked(21, PROBLEM.v)
    assert caught.value.diagnosis == ""


def test_weights_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ValueError, match=r"^weights is \[0.5, 0.6\], expected .* whose sum is 1: divide by their sum"):
        check_equation(21, PROBLEM.v, PROBLEM.model, PROBLEM.theta, PROBLEM.batch, weights=[0.5, 0.6])
