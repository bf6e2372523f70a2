"""Lesson 07: its figures."""

import matplotlib.pyplot as plt
import numpy as np
from figures import Runs
from figures import lesson_07 as draw

from tinymaml.tasks import Episodes


def test_the_figures_are_drawn():
    rng = np.random.default_rng(0)
    tasks = Episodes(np.zeros((6, 4, 64)), ways=3).sample(rng, tasks=2, shots=2, queries=1)
    assert len(draw.characters(tasks, size=8).axes) == 2
    runs = Runs(rng.random((3, 4)))
    ax = draw.accuracy({"maml": runs}, {"chance": 0.2, "neighbour": 0.3, "told": 0.9, "mean": Runs(rng.random(3))})
    assert len(ax.get_legend().get_texts()) == 5
    panels = {title: rng.integers(0, 5, 400) for title in ("before", "after", "other")} | {"one label": np.zeros(400, int)}
    figure = draw.regions(panels, rng.standard_normal((5, 2)), rng.standard_normal((5, 3, 2)))
    assert [ax.get_title() for ax in figure.axes] == list(panels)
    assert len(draw.directions({"maml": np.ones(10), "scratch": np.ones(10)}).get_xticks()) == 10
    assert draw.grid(points=7).shape == (49, 2)
    plt.close("all")
