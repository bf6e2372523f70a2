"""From scratch: adaptation to new tasks from the random initialisation."""

from tinymaml.methods.method import Method
from tinymaml.settings import Look

METHOD = Method(
    "scratch",
    "no training: adaptation from the random initialisation",
    Look("from scratch", "#777777", ":", "v"),
    gradient=None,
)
