"""The figures and sliders of lesson 05."""

import time

import matplotlib.pyplot as plt
import numpy as np
import pytest
from figures import lesson_05 as draw
from figures.sliders import slider

from tinymaml import Parameters, adapt, meta_gradient
from tinymaml.check.golden import Linear
from tinymaml.tasks import TaskBatch


@pytest.fixture
def plane():
    """A linear model with two parameters and a task on it."""
    rng = np.random.default_rng(0)
    x, xq, w = rng.standard_normal((1, 3, 2)), rng.standard_normal((1, 9, 2)), np.array([[-1.0], [1.0]])
    yield Linear(2), Parameters(w=np.array([[2.0], [-1.0]])), TaskBatch(x, x @ w, xq, xq @ w), w.ravel()
    plt.close("all")


def tips(ax):
    """Where the arrows of a panel begin and end."""
    arrows = [text for text in ax.texts if text.arrow_patch is not None]
    return [(np.array(arrow.xyann), np.array(arrow.xy)) for arrow in arrows]


@pytest.mark.parametrize("steps", [1, 3])
def test_the_arrows_are_the_gradients(plane, steps):
    model, theta, task, best = plane
    figure = draw.two_gradients(model, theta, task, inner_lr=0.3, steps=steps, outer_lr=1.0, best=best)
    meta = meta_gradient(model, theta, task, inner_lr=0.3, steps=steps)
    copy = adapt(model, theta, task.x_support, task.y_support, inner_lr=0.3, steps=steps)["w"].ravel()
    (left,), (first, curvature, exact) = (tips(ax) for ax in figure.axes)
    start = theta["w"].ravel()
    for (begin, end), (where, way) in (
        (left, (copy, -meta.first_order.flat)),
        (first, (start, -meta.first_order.flat)),
        (curvature, (start - meta.first_order.flat, meta.curvature.flat)),
        (exact, (start, -meta.gradient.flat)),
    ):
        assert np.allclose(begin, where) and np.allclose(end, where + way)
    assert len(figure.legends[0].get_texts()) == 4


@pytest.mark.parametrize(("inner_lr", "steps"), [(2.0, 1), (2.5, 1), (2.5, 3)])
def test_long_arrows_are_drawn_whole(plane, inner_lr, steps):
    model, theta, task, best = plane
    figure = draw.two_gradients(model, theta, task, inner_lr=inner_lr, steps=steps, outer_lr=1.8, best=best)
    figure.canvas.draw()
    for ax in figure.axes:
        assert all(ax.viewLim.contains(*end) for pair in tips(ax) for end in pair)
        assert all(text.get_annotation_clip() is False for text in ax.texts if text.arrow_patch is not None)
    copy = [text for text in figure.axes[0].texts if text.get_text().startswith("$\\theta")]
    assert len(copy) == 2  # theta, and what the inner steps end at


def test_the_sliders_redraw_well_within_a_second(plane):
    model, theta, task, best = plane
    drawn = []

    def redraw(inner_lr, steps):
        drawn.append((inner_lr, steps))
        return draw.two_gradients(model, theta, task, inner_lr=inner_lr, steps=steps, best=best)

    panel = slider(redraw, inner_lr=(0.1, 2.5, 0.1, 1.0), steps=(1, 3, 1, 1))
    rate, row, _ = panel.children
    steps, _ = row.children
    began = time.perf_counter()
    steps.value = 3
    assert time.perf_counter() - began < 1.0
    rate.value = 2.0
    assert drawn == [(1.0, 1), (1.0, 3), (2.0, 3)]


def test_where_nobody_sits_at_the_keyboard_a_sentence_stands_for_the_sliders(monkeypatch, capsys):
    import IPython

    class Shell:
        class kernel:
            _allow_stdin = False

    monkeypatch.setattr(IPython, "get_ipython", Shell)
    assert slider(lambda **values: None, inner_lr=(0.1, 3.0, 0.1, 1.0)) is None
    assert "sliders appear here, for inner_lr." in capsys.readouterr().out


def test_learning_curves_have_a_thin_line_for_each_seed_and_a_thick_one_for_their_mean():
    ax = draw.learning({"right": np.array([[1.0, 2, 3], [3, 4, 5]]), "copy kept": 2 * np.ones(3)}, np.arange(3))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["right", "copy kept"]
    lines = [list(line.get_ydata()) for line in ax.lines]
    assert lines == [[1, 2, 3], [3, 4, 5], [2, 3, 4], [2, 2, 2], [2, 2, 2]]
    plt.close("all")
