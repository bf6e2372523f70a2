"""From scratch: new tasks are adapted to from the random parameters that training starts from."""

from tinymaml.methods.method import Method
from tinymaml.settings import Look

METHOD = Method(
    "scratch",
    "no training: adaptation from the random initialisation",
    Look("from scratch", "#777777", ":", "v"),
    gradient=None,
)
