"""Networks by name: what a line of code asks for, as a chain of layers."""

from __future__ import annotations

from collections.abc import Sequence

from tinymaml import validate
from tinymaml.layers import Affine, Elementwise
from tinymaml.network import Network


def MLP(widths: Sequence[int], activation: str = "relu", loss: str = "squared_error") -> Network:
    """A multilayer perceptron: a fully connected network of any depth.

    widths: d_0..d_L, inputs first, outputs last. activation: relu, tanh, sigmoid or softplus, after every layer but
    the last. loss: squared_error (eq. 9) or cross_entropy on logits (eq. 10).

    >>> MLP([1, 40, 40, 1])
    MLP  1 - 40 - 40 - 1  relu, squared_error
    layer  W        b       parameters
    1      1 x 40   1 x 40          80
    2      40 x 40  1 x 40       1,640
    3      40 x 1   1 x 1           41
    total                        1,761
    """
    if isinstance(widths, str) or not isinstance(widths, Sequence):
        raise TypeError(f"widths is {widths!r}, expected inputs, hidden layers and outputs: for instance [1, 40, 40, 1]")
    widths = tuple(validate.count(f"width {i}", d) for i, d in enumerate(widths))
    if len(widths) < 2:
        raise ValueError(f"widths are {widths}, expected inputs and outputs at least: for instance [1, 40, 40, 1]")
    layers = []
    for l in range(1, len(widths)):
        layers += [Affine(widths[l - 1], widths[l], l), Elementwise(activation, l)]
    title = f"MLP  {' - '.join(map(str, widths))}  {activation}, {loss}"
    return Network(layers[:-1], loss, title)
