"""Convolution as a chain of three ideas: gather patches, one affine map of every patch, lay the results side by side (eq. 17).

    Patches(28, 1), Affine(9, 16, 1), Elementwise("relu", 1), Flat(14 * 14, 16)

An image is one row, pixel by pixel and channel by channel: (side, side, channels) read in that order. `Patches` makes of it a row
a position; the affine layer's weights are the kernels, shared by all positions because positions are its rows; `Flat` makes
of the positions one row again. Both only move numbers: they are linear and learn nothing, so that R of them is themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from tinymaml import validate


class Moving:
    """The R-rules of a layer that is linear and learns nothing: the same map of Ra, and of RD (eq. 17)."""

    def R_forward(self, p, v, tape, Ra):
        return self.forward(p, Ra)

    def R_backward(self, p, v, tape, Rtape, D, RD):
        return self.backward(p, tape, RD)


@dataclass(frozen=True)
class Patches(Moving):
    """Images (side, side, channels) to rows of `size` x `size` patches, one every `stride` pixels; outside the image is zero.

    What comes in is (..., n, side * side * channels), what comes out (..., n * positions, size * size * channels). With the
    values as they are an image of side s becomes one of side ceil(s / 2).
    """

    side: int
    channels: int
    size: int = 3
    stride: int = 2
    padding: int = 1

    def __post_init__(self) -> None:
        for name in ("side", "channels", "size", "stride"):
            validate.count(name, getattr(self, name))
        validate.count("padding", self.padding, least=0)
        if self.size > self.side + 2 * self.padding:
            raise ValueError(
                f"a patch of size {self.size} does not fit an image of side {self.side} with padding {self.padding}: "
                "use smaller patches or larger images"
            )

    inputs = cached_property(lambda self: self.side**2 * self.channels)
    outputs = cached_property(lambda self: self.size**2 * self.channels)
    positions = cached_property(lambda self: self.across**2)
    across = cached_property(lambda self: (self.side + 2 * self.padding - self.size) // self.stride + 1)  # positions a side
    framed = cached_property(lambda self: self.side + 2 * self.padding)  # the side with a frame of zeros
    inside = cached_property(lambda self: slice(self.padding, self.padding + self.side))  # of the framed image

    def forward(self, p, a):
        images = self._framed(len(a.reshape(-1, self.inputs)), a.dtype)
        images[:, self.inside, self.inside] = a.reshape(-1, self.side, self.side, self.channels)
        n, y, x, c = images.strides  # a patch is `size` rows of pixels, each as it lies in memory
        shape = (len(images), self.across, self.across, self.size, self.size * self.channels)
        view = np.lib.stride_tricks.as_strided(images, shape, (n, self.stride * y, self.stride * x, y, c), writeable=False)
        return view.reshape(*a.shape[:-2], -1, self.outputs), a.shape

    def backward(self, p, shape, D, below=True):
        patches = D.reshape(-1, self.across, self.across, self.size, self.size, self.channels)
        images = self._framed(len(patches), D.dtype)
        reach = self.stride * self.across
        for i, j in product(range(self.size), repeat=2):  # a pixel gets D from every patch that it is in
            images[:, i:i + reach:self.stride, j:j + reach:self.stride] += patches[:, :, :, i, j]
        return images[:, self.inside, self.inside].reshape(shape), {}

    def _framed(self, images: int, dtype: np.dtype) -> np.ndarray:
        """So many images of zeros, with the frame around them."""
        return np.zeros((images, self.framed, self.framed, self.channels), dtype)


@dataclass(frozen=True)
class Flat(Moving):
    """The `rows` rows of an example, such as its positions or its time steps, side by side in one row."""

    rows: int
    inputs: int

    def __post_init__(self) -> None:
        validate.count("rows", self.rows)
        validate.count("inputs", self.inputs)

    outputs = property(lambda self: self.rows * self.inputs)
    positions = property(lambda self: 1 / self.rows)

    def forward(self, p, a):
        if a.shape[-2] % self.rows:
            raise ValueError(
                f"{self!r} gets {a.shape[-2]} rows a task, expected so many times {self.rows}: give it as many rows as there are "
                "positions or steps"
            )
        return a.reshape(*a.shape[:-2], -1, self.outputs), a.shape

    def backward(self, p, shape, D, below=True):
        return D.reshape(shape), {}
