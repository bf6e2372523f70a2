"""Figures: they draw what they are given, on the axes they are given, and never show."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from tinymaml import plot
from tinymaml.methods import STYLES
from tinymaml.plot import classes as class_plots
from tinymaml.settings import PlotStyle
from tinymaml.training.evaluation import curve


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_functions_draw_on_the_axes_they_get_and_return_them():
    x = np.linspace(-5, 5, 20)
    ax = plt.subplots()[1]
    assert plot.fit(x, np.sin(x), {0: 0 * x, 1: x, 10: -x}, (x[:3], x[:3]), ax=ax) is ax
    assert [line.get_label() for line in ax.lines] == ["truth", "before", "after 1 step", "after 10 steps", "support points"]
    np.testing.assert_array_equal(ax.lines[3].get_ydata(), -x)
    assert plot.training({"maml": np.ones(500)}, STYLES).figure is not ax.figure


def test_curves_show_mean_and_interval():
    values = np.random.default_rng(0).uniform(1, 2, (4, 50))
    found = curve(values)
    ax = plot.curves({"maml": found, "task-blind": found}, STYLES)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), values.mean(1))
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx((found.mean + found.interval).max())


def test_a_look_that_is_passed_is_taken_before_the_known_ones():
    styles = {"mine": PlotStyle("my method", "#123456", "--", "x")}
    ax = plot.curves({"mine": curve(np.ones((3, 4)))}, styles=styles)
    assert ax.lines[0].get_label() == "my method" and ax.lines[0].get_linestyle() == "--"
    assert plot.training({"mine": np.ones(5)}, styles=styles).lines[0].get_color() == "#123456"
    assert STYLES["maml"].label == STYLES["maml"][0] == "MAML" and "chance" in STYLES


def test_helpers_for_figures_of_ones_own():
    ax = plot.get_axes()
    assert plot.get_axes(ax) is ax
    ax.plot([1, 2], [1, 100], label="mine")
    plot.log_axis(ax)
    plot.finish(ax)
    assert ax.get_yscale() == "log" and ax.get_legend().get_texts()[0].get_text() == "mine"


def test_a_history_is_smoothed_without_losing_its_mean():
    losses = np.random.default_rng(0).uniform(1, 3, 1000)
    line = plot.training({"maml": losses}, STYLES).lines[0]
    assert line.get_ydata().mean() == pytest.approx(losses.mean())
    assert 0 < line.get_xdata()[0] < line.get_xdata()[-1] < 1000


def test_filters_are_squares_on_one_scale():
    before = np.arange(18.0).reshape(9, 2)
    figure = class_plots.filters({"before": before, "after": -2 * before})
    images = [image for ax in figure.axes for image in ax.get_images()]
    assert len(images) == 4 and {image.get_clim() for image in images} == {(-34.0, 34.0)}
    np.testing.assert_array_equal(images[1].get_array(), before[:, 1].reshape(3, 3))


def test_a_saved_figure_is_a_png_and_is_closed(tmp_path):
    ax = plot.training({"maml": np.ones(3)}, STYLES)
    plot.save(ax, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert not plt.fignum_exists(ax.figure.number)
