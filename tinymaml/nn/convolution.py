"""Convolution as a chain of three ideas: gather patches, one affine map of every patch, lay the results side by side (eq. 17).

    Patches(28, 1), Affine(9, 16, 1), Elementwise("relu", 1), Flatten(14 * 14, 16)

An image is one row, pixel by pixel and channel by channel: (side, side, channels) read in that order. `Patches` makes of it a row
a position; the affine layer's weights are the kernels, shared by all positions because positions are its rows; `Flatten` makes
of the positions one row again. Both only move numbers: they are linear and learn nothing, so that R of them is themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from tinymaml import validate


class FixedLinear:
    """The R-rules of a layer that is linear and learns nothing: the same map of Ra, and of RD (eq. 17)."""

    def R_forward(self, p, v, tape, Ra):
        return self.forward(p, Ra)

    def R_backward(self, p, v, tape, Rtape, D, RD):
        return self.backward(p, tape, RD)


@dataclass(frozen=True)
class Patches(FixedLinear):
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

    def forward(self, p, a):
        images = a.reshape(-1, self.side**2, self.channels)
        images = np.concatenate([images, np.zeros_like(images[:, :1])], axis=1)  # the last pixel, -1, is the zero outside
        return images.take(self.pixels, axis=1).reshape(*a.shape[:-2], -1, self.outputs), a.shape

    def backward(self, p, shape, D, below=True):
        patches = D.reshape(-1, len(self.pixels), self.channels)
        images, (rank, *places) = np.zeros((len(patches), self.side**2, self.channels), D.dtype), self.places
        for some in places:  # a pixel gets D from every patch that it is in
            images[:, :len(some)] += patches.take(some, axis=1)
        return images.take(rank, axis=1).reshape(shape), {}

    @cached_property
    def pixels(self) -> np.ndarray:
        """Which pixel of the image stands where in its patches, (positions * size * size,); -1 outside the image."""
        framed = np.pad(np.arange(self.side**2).reshape(self.side, self.side), self.padding, constant_values=-1)
        rows = self.stride * np.arange(self.across)[:, None] + np.arange(self.size)  # (across, size), and columns alike
        return framed[rows[:, None, :, None], rows[None, :, None, :]].ravel()

    @cached_property
    def places(self) -> tuple[np.ndarray, ...]:
        """The other way round, pixels in many patches first: the rank of each pixel; their first places, second places, ..."""
        order = self.pixels.argsort(kind="stable")
        found = np.split(order, np.searchsorted(self.pixels[order], np.arange(self.side**2)))[1:]  # of each pixel, by number
        ranked = sorted(range(len(found)), key=lambda pixel: -len(found[pixel]))
        most = len(found[ranked[0]])
        return np.argsort(ranked), *(np.array([found[p][k] for p in ranked if len(found[p]) > k]) for k in range(most))


@dataclass(frozen=True)
class Flatten(FixedLinear):
    """The `rows` rows of an example, such as its positions or its time steps, side by side in one row."""

    rows: int
    inputs: int

    def __post_init__(self) -> None:
        validate.count("rows", self.rows)
        validate.count("inputs", self.inputs)

    outputs = property(lambda self: self.rows * self.inputs)
    positions = property(lambda self: Fraction(1, self.rows))

    def forward(self, p, a):
        if a.shape[-2] % self.rows:
            raise ValueError(
                f"{self!r} gets {a.shape[-2]} rows a task, expected so many times {self.rows}: give it as many rows as there are "
                "positions or steps"
            )
        return a.reshape(*a.shape[:-2], -1, self.outputs), a.shape

    def backward(self, p, shape, D, below=True):
        return D.reshape(shape), {}
