"""What the numbers of a wrong answer show, where no edit of the solution gives them."""

import numpy as np
import pytest
from exercises.exercise import Exercise
from exercises.guard import guarded

from tinymaml.check import WrongAnswer

normal = lambda rng, *shape: rng.standard_normal(shape)
MATRIX = Exercise("def f(x):\n    return 2 * x\n", lambda rng: [(normal(rng, n, n),) for n in (3, 5)], ("y",))
ROW = Exercise("def f(x):\n    return 2 * x\n", lambda rng: [(normal(rng, n),) for n in (3, 5)], ("y",))
NUMBER = Exercise(
    "def f(x, k):\n    return k * x.sum()\n", lambda rng: [(1 + normal(rng, n) ** 2, k) for n, k in ((3, 7), (5, 2))], ("y",)
)
STEPS = Exercise(
    "def f(x, k):\n    return {i: i + x for i in range(k)}\n", lambda rng: [(normal(rng, 3), k) for k in (3, 1, 2)], ("u",)
)
PAIR = Exercise("def f(x):\n    return x, 2 * x\n", lambda rng: [(normal(rng, n),) for n in (3, 5)], ("y", "z"))


@pytest.mark.parametrize(
    ("exercise", "answer", "words"),
    [
        (MATRIX, lambda x: 2 * x.T, "it is transposed"),
        (MATRIX, lambda x: -2 * x, "the sign is wrong"),
        (MATRIX, lambda x: x * len(x), "every number is 0.5 * len(x) times the right one"),
        (MATRIX, lambda x: 2 * x / len(x), "every number is 1 / len(x) times the right one"),
        (MATRIX, lambda x: 2 * x / (len(x) - 1), "every number is 0.5, 0.25 times the right one in the 2 cases"),
        (MATRIX, lambda x: 2 * x + 1, "every number is off by 1"),
        (MATRIX, lambda x: 2 * x[::-1], "the right numbers are there, in another order"),
        (MATRIX, lambda x: 2 * x * (np.arange(len(x)) > 0)[:, None], "rows 1, 2 are right, 0 is not (counted from 0)"),
        (MATRIX, lambda x: 2 * x * (np.arange(len(x)) == 1), "column 1 is right, 0, 2 are not"),
        (MATRIX, lambda x: 2 * x + np.eye(len(x))[1] * np.eye(len(x))[:, [2]] + 1e-4 * x, "the largest difference is at [2, 1]"),
        (MATRIX, lambda x: 2 * x + (len(x) > 3), "the answer is right with x (3, 3), and wrong with x (5, 5)"),
        (MATRIX, lambda x: 0 * x, "all its numbers are 0"),
        (MATRIX, lambda x: 2 * abs(x), "it is the absolute value of the right answer"),
        (MATRIX, lambda x: (2 * x).round(1), "it is the right answer, rounded to 1 decimal"),
        (MATRIX, lambda x: 2 * x * (1 + 1e-3 * np.cos(x)), "it is nearly right in all cases"),
        (MATRIX, lambda x: 2 * x + 0.1j, "its numbers are complex"),
        (MATRIX, lambda x: 2 * x if len(x) == 3 else x @ np.ones(4), "it stops in the line"),
        (MATRIX, lambda x: -2 * x if len(x) == 3 else x @ np.ones(4), "it stops with ValueError"),
        (ROW, lambda x: 2 * x * (np.arange(len(x)) > 0), "numbers 1, 2 are right, 0 is not"),
        (NUMBER, lambda x, k: x.sum(), "it is 1 / k times the right one"),
        (NUMBER, lambda x, k: 1.5 * k * x.sum() + k, "it is too large"),
        (NUMBER, lambda x, k: k * x.sum() + k - 3, "it is too large in some cases and too small in others"),
        (NUMBER, lambda x, k: k * x.sum() + 1 if k > 2 else np.nan, "not all of its numbers are finite"),
        (NUMBER, lambda x, k: 1 / (k * x.sum()), "it is one over the right answer"),
        (STEPS, lambda x, k: {i: i + x for i in range(3)}, "u[1], u[2] should not be there with k = 1: it must hold u[0]"),
        (STEPS, lambda x, k: {0: x}, "u[1], u[2] are missing with k = 3"),
        (STEPS, lambda x, k: x, "u is an array of shape (3,), expected a dictionary"),
        (
            STEPS,
            lambda x, k: [i * i + x for i in range(k)],
            "the answer is right with k = 1, 2, and wrong with k = 3",
        ),
        (PAIR, lambda x: (x, x**3), "z is wrong: the largest difference is at"),
        (PAIR, lambda x: (x, x**3), "y is right"),
    ],
)
def test_what_the_numbers_show(exercise, answer, words):
    with pytest.raises(WrongAnswer) as caught:
        exercise(guarded(answer), np.random.default_rng(0))
    assert words in str(caught.value)


def test_a_list_in_the_order_of_the_keys_will_do():
    STEPS(guarded(lambda x, k: [i + x for i in range(k)]), np.random.default_rng(0))


def test_a_part_is_named_where_the_rest_is_not():
    exercise = Exercise(
        "def f(x):\n    return Parameters(W=2 * x, b=2 * x)\n",
        lambda rng: [(normal(rng, 2, 3),)],
        ("theta",),
        (("2 * ", "", "the 2 is missing"),),
    )
    with pytest.raises(WrongAnswer, match="theta is wrong: in W, the 2 is missing"):
        exercise(guarded(lambda x: {"W": x, "b": 2 * x}), np.random.default_rng(0))
