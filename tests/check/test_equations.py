"""The checks of eqs. 19 to 22 and 27: the library's answers pass, and wrong ones are rejected."""

from dataclasses import replace

import pytest
from hypothesis import given
from strategies import problems, quick

from tinymaml.check import Problem, WrongAnswer, check_equation
from tinymaml.check.compare import TOLERANCE
from tinymaml.check.equations import EQUATIONS, Given, equation_errors, labelled
from tinymaml.maml import meta_gradient
from tinymaml.methods.imaml import implicit_gradient
from tinymaml.methods.reptile import reptile_gradient

PROBLEM = Problem((2, 4, 2), tasks=3, shots=4, queries=3, inner_lr=0.07)
OPTIONS = {
    19: {"inner_lr": 0.07, "steps": 3},
    20: {"rates": 0.07 * PROBLEM.v, "steps": 3},
    21: {"rates": 0.07 * PROBLEM.v, "weights": [0.2, 0.3, 0.5]},
    22: {"inner_lr": 0.05, "steps": 2, "strength": 10.0},
    27: {},
}


def batch_for(number):
    return labelled(PROBLEM) if number == 27 else PROBLEM.batch


def of(number):
    return Given(PROBLEM.model, PROBLEM.theta, batch_for(number), **OPTIONS[number])


def checked(number, mine, **more):
    return check_equation(number, mine, PROBLEM.model, PROBLEM.theta, batch_for(number), **OPTIONS[number], **more)


@quick
@given(problems())
def test_the_library_is_right(problem):
    assert max(equation_errors(problem, problem.steps).values()) <= TOLERANCE


@pytest.mark.parametrize("number", EQUATIONS)
def test_a_right_answer_passes(number):
    given = replace(of(22), steps=150) if number == 22 else of(number)  # to the end of the loop
    line = checked(number, EQUATIONS[number].mine(given))
    assert line.startswith(f"eq. {number} ") and line.endswith("right")


MODEL, THETA, BATCH = PROBLEM.model, PROBLEM.theta, PROBLEM.batch
WRONG = {  # answers to (number) with one fault each
    (19, "one step"): lambda: reptile_gradient(MODEL, THETA, BATCH, inner_lr=0.07).gradient,
    (20, "inner_lr for the rates"): lambda: meta_gradient(MODEL, THETA, BATCH, inner_lr=0.07, steps=3).rates_gradient,
    (21, "the last step alone"): lambda: meta_gradient(MODEL, THETA, BATCH, inner_lr=0.07 * PROBLEM.v, steps=3).gradient,
    (22, "another lambda"): lambda: implicit_gradient(
        MODEL, THETA, BATCH, strength=20.0, inner_lr=0.05, steps=150, cg_steps=100, tolerance=1e-14
    ).gradient,
}  # fmt: skip


@pytest.mark.parametrize(("number", "fault"), WRONG)
def test_a_wrong_answer_is_rejected(number, fault):
    with pytest.raises(WrongAnswer):
        checked(number, WRONG[number, fault]())


@pytest.mark.parametrize("number", EQUATIONS)
@pytest.mark.parametrize(("factor", "sentence"), [(-1.0, "the sign is wrong"), (3.0, "every number is 3 times the right one")])
def test_a_wrong_sign_and_a_sum_over_the_tasks_are_named(number, factor, sentence):
    with pytest.raises(WrongAnswer, match=sentence):
        checked(number, factor * EQUATIONS[number].reference(of(number)))


def test_a_loop_that_crosses_a_kink_near_its_end_is_no_mistake_of_the_library():
    crossing = Problem((3, 3, 5, 5), "relu", tasks=1, shots=1, queries=1, steps=1, seed=2, inner_lr=0.1)
    assert max(equation_errors(crossing, 1).values()) <= TOLERANCE


@pytest.mark.parametrize("steps", [1, 3])
def test_eq_22_is_judged_at_the_end_of_the_inner_loop_whatever_steps_are_given(steps):
    problem = PROBLEM.model, PROBLEM.theta, PROBLEM.batch
    given = {"inner_lr": 0.1, "strength": 2.0}
    answer = lambda steps: implicit_gradient(*problem, **given, steps=steps, cg_steps=100, tolerance=1e-14).gradient
    check_equation(22, answer(2000), *problem, **given, steps=steps)
    with pytest.raises(WrongAnswer):
        check_equation(22, answer(steps), *problem, **given, steps=steps)


def test_a_loop_that_does_not_end_is_no_wrong_answer():
    with pytest.raises(ValueError, match=r"^the inner loop does not converge at inner_lr=5.0 and strength=2.0, .*: take"):
        check_equation(22, PROBLEM.v, PROBLEM.model, PROBLEM.theta, PROBLEM.batch, inner_lr=5.0)


def test_an_answer_that_no_mistake_explains_is_wrong_all_the_same():
    with pytest.raises(WrongAnswer, match="where 1e-08 would pass") as caught:
        checked(21, PROBLEM.v)
    assert caught.value.diagnosis == ""


def test_weights_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ValueError, match=r"^weights is \[0.5, 0.6\], expected .* whose sum is 1: divide by their sum"):
        check_equation(21, PROBLEM.v, PROBLEM.model, PROBLEM.theta, PROBLEM.batch, weights=[0.5, 0.6])
