"""Figures: they draw what they are given, on the axes they are given, and never show."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from tinymaml import plot
from tinymaml.evaluation import curve


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
    assert plot.training({"maml": np.ones(500)}).figure is not ax.figure


def test_curves_show_mean_and_interval():
    values = np.random.default_rng(0).uniform(1, 2, (4, 50))
    found = curve(values)
    ax = plot.curves({"maml": found, "task-blind": found})
    np.testing.assert_allclose(ax.lines[0].get_ydata(), values.mean(1))
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx((found.mean + found.interval).max())


def test_methods_differ_in_line_style_as_well_as_colour():
    looks = list(plot.LOOKS.values())
    for place in (0, 1, 2):  # label, colour, line style
        assert len({str(look[place]) for look in looks}) == len(looks)


def test_a_history_is_smoothed_without_losing_its_mean():
    losses = np.random.default_rng(0).uniform(1, 3, 1000)
    line = plot.training({"maml": losses}).lines[0]
    assert line.get_ydata().mean() == pytest.approx(losses.mean())
    assert 0 < line.get_xdata()[0] < line.get_xdata()[-1] < 1000


def test_a_saved_figure_is_a_png_and_is_closed(tmp_path):
    ax = plot.training({"maml": np.ones(3)})
    plot.save(ax, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert not plt.fignum_exists(ax.figure.number)
