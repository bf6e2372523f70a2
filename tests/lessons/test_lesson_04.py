"""Lesson 04: its figure, and a check of products that misses one lost term."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from answering import refused
from exercises import lesson_04
from figures import lesson_04 as draw

from tinymaml import MLP
from tinymaml.check import complex_step, mistakes, relative_error


@pytest.mark.parametrize("bug", lesson_04.BUGS)
def test_a_check_that_misses_one_mistake_is_told_which(bug):
    def misses(model, theta, x, y, v, Hv):
        truth = complex_step(lambda theta: model.at(theta, x, y).gradient, theta, v)
        missed = mistakes.with_mistakes(model, [bug]).at(theta, x, y).hvp(v)
        return relative_error(Hv, truth) < 1e-9 or relative_error(Hv, missed) < 1e-9

    refused("4.4", misses, lesson_04.BUGS[bug])


def test_the_figure_has_a_panel_for_every_part():
    rng = np.random.default_rng(0)
    theta = MLP([1, 2, 1]).init(rng)
    parts = {"H": np.eye(theta.size), "G": np.zeros((theta.size, theta.size))}
    figure = draw.hessians({"tanh": parts, "relu": parts}, theta)
    panels = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in panels[:2]] == ["H", "G"]
    assert [label.get_text() for label in panels[0].get_xticklabels()] == list(theta)
    plt.close("all")
