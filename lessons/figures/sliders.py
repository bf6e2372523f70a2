"""Sliders over a figure, in a notebook."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure


def slider(redraw: Callable[..., Figure], **ranges: tuple) -> Any:
    """Sliders over the figure that `redraw` returns; ranges[name] is (lowest, highest, step, first value).

    A whole number has a triangle beside it that plays all its values. Where nobody sits at the keyboard (a notebook
    that is run as a whole and stored) a sentence stands in the place of the sliders.
    """
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is not None and not getattr(kernel, "_allow_stdin", True):
        print(f"Run this cell in Jupyter: sliders appear here, for {', '.join(ranges)}.")
        return None
    import ipywidgets

    natural = {"max_width": "100%", "object_fit": "contain", "align_self": "flex-start"}  # size, in place of the cell's width
    sliders, rows, picture = {}, [], ipywidgets.Image(format="png", layout=natural)

    def show(change: object = None) -> None:
        figure, file = redraw(**{name: control.value for name, control in sliders.items()}), io.BytesIO()
        figure.savefig(file, format="png", bbox_inches="tight")  # a title may be wider than its panel
        plt.close(figure)
        picture.value = file.getvalue()

    for name, (lowest, highest, step, first) in ranges.items():
        given = {"min": lowest, "max": highest, "value": first}
        if isinstance(step, int):
            sliders[name] = ipywidgets.IntSlider(step=step, description=name, **given)
            play = ipywidgets.Play(step=step, interval=500, **given)  # milliseconds: a figure takes some hundred
            ipywidgets.jslink((play, "value"), (sliders[name], "value"))
            rows.append(ipywidgets.HBox([sliders[name], play]))
        else:
            decimals = len(str(step).partition(".")[2])
            sliders[name] = ipywidgets.FloatSlider(step=step, description=name, readout_format=f".{decimals}f", **given)
            rows.append(sliders[name])
        sliders[name].observe(show, "value")
    show()
    return ipywidgets.VBox([*rows, picture])
