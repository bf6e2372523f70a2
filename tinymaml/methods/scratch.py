"""From scratch: new tasks are adapted to from the random parameters that training starts from."""

from tinymaml.methods.method import Method
from tinymaml.settings import PlotStyle

METHOD = Method(
    "scratch",
    "no training: adaptation from the random initialisation",
    PlotStyle("from scratch", "#777777", ":", "v"),
    gradient=None,
)
