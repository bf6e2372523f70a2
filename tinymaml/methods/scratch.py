"""From scratch: adaptation to new tasks from the random initialisation."""

from tinymaml.methods.method import Method
from tinymaml.settings import PlotStyle

METHOD = Method(
    "scratch",
    "no training: adaptation from the random initialisation",
    PlotStyle("from scratch", "#777777", ":", "v"),
    gradient=None,
)
