"""What the lessons' figures have in common: how a notebook keeps them."""

import io

import figures
import matplotlib.pyplot as plt
import pytest
from PIL import Image


@pytest.mark.parametrize("dpi", [80, 160])
def test_a_figure_is_kept_at_120_dpi_and_shown_in_its_size(dpi):
    figure, ax = plt.subplots(figsize=(4, 2), dpi=dpi, layout="constrained")
    ax.plot([0, 1])
    data, shown = figures.png(figure)
    image = Image.open(io.BytesIO(data))
    assert image.mode == "P" and round(image.info["dpi"][0]) == 120
    assert image.width == pytest.approx(4 * 120, rel=0.1)
    assert shown["width"] == pytest.approx(image.width * dpi / 120, abs=1)
    plt.close(figure)
