"""What the lessons' figures have in common: how a notebook keeps them."""

import base64
import io

import figures
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image


def test_runs_have_an_interval_by_students_t():
    runs = figures.Runs(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]))
    np.testing.assert_allclose(runs.mean, [2, 5])
    np.testing.assert_allclose(runs.interval, [4.303 / np.sqrt(3), 0], rtol=1e-3)


@pytest.mark.parametrize("dpi", [80, 160])
def test_a_figure_is_kept_at_120_dpi_and_shown_in_its_size(dpi):
    figure, ax = plt.subplots(figsize=(4, 2), dpi=dpi, layout="constrained")
    ax.plot([0, 1])
    data, shown = figures.png(figure)
    image = Image.open(io.BytesIO(base64.b64decode(data)))  # text: the kernel of a browser does not encode bytes
    assert image.mode == "P" and round(image.info["dpi"][0]) == 120
    assert image.width == pytest.approx(4 * 120, rel=0.1)
    assert shown["width"] == pytest.approx(image.width * dpi / 120, abs=1)
    plt.close(figure)
