"""Lesson 06: every known mistake is called by its name, and the figures draw."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from answering import refused
from exercises import lesson_06 as lesson
from figures import lesson_06 as draw

from tinymaml import MLP, Parameters, adapt
from tinymaml.tasks import Sinusoids

SEEDS = (0, 1, 2)


def mistakes(number, seed=0):
    """The sentences of an exercise's known mistakes, in order."""
    rng = np.random.default_rng(seed)
    model = MLP([1, 2, 1])
    network = model, model.init(rng), Sinusoids().sample(rng, tasks=2, shots=3, queries=3), 0.05
    problem = {
        "6.1": (lesson.wrong_starts, (rng.random(2), rng.random(2), 0.1, 1)),
        "6.2": (lesson.wrong_steps, (*network, 0.1)),
        "6.3": (lesson.wrong_pairs, (*network, 2)),
        "6.4": (lesson.wrong_intervals, tuple(rng.random((2, 5)))),
    }
    wrong, given = problem[number]
    return wrong, [sentence for sentence, _ in wrong(*given)]


# with one inner step these are the right answer: there is no other Hessian than that at theta
SAME_FOR_ONE_STEP = ("every Hessian is", "only the last inner step", "alpha stands outside")  # and one rate


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("number", lesson.CHECKS)
def test_every_known_mistake_has_its_sentence(number, seed):
    wrong, sentences = mistakes(number)
    tried = 0
    for i, sentence in enumerate(sentences):
        if not sentence.startswith(SAME_FOR_ONE_STEP):
            assert sentence in refused(number, lambda *given, i=i: wrong(*given)[i][1], seed=seed)
            tried += 1
    assert tried >= 9


@pytest.mark.parametrize(
    ("number", "answer", "told"),
    [
        ("6.1", lambda a, c, inner_lr, steps: c, "shape (3,), expected one number"),
        ("6.2", lambda model, theta, batch, inner_lr, outer_lr: theta["W1"], "expected Parameters"),
        ("6.2", lambda model, theta, batch, inner_lr, outer_lr: Parameters(W1=theta["W1"]), "holds W1, expected W1, b1"),
        ("6.2", lambda model, theta, batch, inner_lr, outer_lr: theta.map(np.transpose), "shape (5, 1), expected (1, 5)"),
        ("6.3", lambda *given: (np.zeros(3), 1.0), "shape (3,), expected one number"),
        ("6.3", lambda *given: 1.0, "expected 2 things"),
        ("6.4", lambda first, second: (first - second, 1.0), "shape (12,), expected one number"),
        ("6.4", lambda first, second: 1.0, "expected 2 things"),
    ],
)
def test_wrong_shapes_are_refused_with_both_shapes(number, answer, told):
    assert told in refused(number, answer)


def test_moving_the_adapted_copies_is_named():
    def answer(model, theta, batch, inner_lr, outer_lr):
        adapted = adapt(model, theta, batch.x_support, batch.y_support, inner_lr=inner_lr)
        return adapted - outer_lr * model.at(adapted, batch.x_query, batch.y_query).gradient

    assert "the adapted copies moved" in refused("6.2", answer)


def test_the_sliders_figure_is_drawn_even_where_a_task_diverges(recwarn):
    model = MLP([1, 8, 1])
    starts = {"maml": model.init(np.random.default_rng(0)), "pretraining": model.init(np.random.default_rng(1))}
    for inner_lr in (0.001, 0.5):
        figure = draw.adaptation(model, starts, draw.one_task(5.0), inner_lr, steps=10)
        figure.canvas.draw()
        plt.close(figure)
    left, right = figure.axes
    assert "10 steps" in left.get_title() and len(right.lines) == 4
