"""The figures of lesson 06."""

import matplotlib.pyplot as plt
import numpy as np
from figures import lesson_06 as draw

from tinymaml import MLP, plot
from tinymaml.methods import STYLES


def test_the_sliders_figure_names_a_curve_that_leaves_it(recwarn):
    model = MLP([1, 8, 1])
    starts = {"maml": model.init(np.random.default_rng(0)), "pretraining": model.init(np.random.default_rng(1))}
    for inner_lr in (0.001, 0.5):
        figure = draw.adaptation(model, starts, draw.one_task(5.0), inner_lr, steps=10)
        figure.canvas.draw()
        plt.close(figure)
        told = [text.get_text() for text in figure.axes[1].texts]
        assert all("above 1000 after" in text for text in told) and len(told) == (0 if inner_lr == 0.001 else 2)
    left, right = figure.axes
    assert "10 steps" in left.get_title() and len(right.lines) == 4


def test_a_number_of_steps_has_a_look_that_no_method_has():
    methods = {style.colour for style in STYLES.values()}
    assert {0, 1, 5, 10} == plot.STEP_STYLES.keys() and not methods & {colour for colour, _ in plot.STEP_STYLES.values()}
