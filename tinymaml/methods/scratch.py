"""From scratch: adaptation to new tasks from a random initialisation, without training."""

from tinymaml.methods.method import Method
from tinymaml.settings import PlotStyle

METHOD = Method(
    "scratch",
    "no training: adaptation from a random initialisation",
    PlotStyle("from scratch", "#777777", ":", "v"),
    gradient=None,
)
