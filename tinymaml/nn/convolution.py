"""Convolution in three steps: im2col, an affine map of every patch, and flattening (eq. 17).

    Patches(28, 1), Affine(9, 16, 1), Elementwise("relu", 1), Flatten(14 * 14, 16)

An image is a row of side * side * channels numbers, pixel by pixel; the channels of a pixel are adjacent.
`Patches` (im2col) makes one row per position. The weights of the affine layer are the kernels; all positions
share them because each position is a row. `Flatten` makes one row per image again. `Patches` and `Flatten`
are fixed linear maps, so the R-rule of each is the map itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tinymaml import validate
from tinymaml.nn.layers import derive


class FixedLinear:
    """The R-rules of a linear layer without parameters: its own maps, applied to Ra and RD (eq. 17)."""

    def R_forward(self, p, v, tape, Ra):
        return self.forward(p, Ra)

    def R_backward(self, p, v, tape, Rtape, D, RD):
        return self.backward(p, tape, RD)


@dataclass(frozen=True)
class Patches(FixedLinear):
    """im2col: from images (side, side, channels) to one row per `size` x `size` patch, with zero padding.

    Input (..., n, side * side * channels), output (..., n * positions, size * size * channels) with positions
    = output_side^2. With the default size, stride and padding output_side = ceil(side / 2).
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
            image = f"an image of side {self.side} with padding {self.padding}"
            raise ValueError(f"a patch of size {self.size} does not fit {image}: use smaller patches")
        output_side = (self.side + 2 * self.padding - self.size) // self.stride + 1
        inputs, outputs = self.side**2 * self.channels, self.size**2 * self.channels
        derive(self, output_side=output_side, positions=output_side**2, inputs=inputs, outputs=outputs)

    def forward(self, p, a):
        images = a.reshape(-1, self.side**2, self.channels)
        images = np.concatenate([images, np.zeros_like(images[:, :1])], axis=1)  # pixel -1: zero padding
        return images.take(self.pixels, axis=1).reshape(*a.shape[:-2], -1, self.outputs), a.shape

    def backward(self, p, shape, D):
        entries, (rank, columns) = D.reshape(-1, len(self.pixels), self.channels), self.entries
        images = np.zeros((len(entries), self.side**2, self.channels), D.dtype)  # pixels by rank
        for column in columns:  # D of a pixel is the sum over all patches that contain it
            images[:, :len(column)] += entries.take(column, axis=1)
        return images.take(rank, axis=1).reshape(shape), {}

    def rows_out(self, rows: int) -> int:
        """The number of output rows for `rows` input rows."""
        return rows * self.positions

    @cached_property
    def pixels(self) -> np.ndarray:
        """The pixel index of every patch entry, (positions * size * size,); -1 is the padding."""
        pixels = np.arange(self.side**2).reshape(self.side, self.side)
        framed = np.pad(pixels, self.padding, constant_values=-1)
        rows = self.stride * np.arange(self.output_side)[:, None] + np.arange(self.size)  # and columns
        return framed[rows[:, None, :, None], rows[None, :, None, :]].ravel()

    @cached_property
    def entries(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """The inverse of `pixels`: the rank of each pixel, and columns of patch entries.

        Pixels are ranked by the number of patches that contain them, most first. Column k has the k-th patch
        entry of every pixel with more than k of them, in the order of the ranks.
        """
        copies = [np.flatnonzero(self.pixels == pixel) for pixel in range(self.side**2)]
        order = sorted(range(self.side**2), key=lambda pixel: -len(copies[pixel]))
        column = lambda k: np.array([copies[pixel][k] for pixel in order if len(copies[pixel]) > k])
        return np.argsort(order), [column(k) for k in range(len(copies[order[0]]))]


@dataclass(frozen=True)
class Flatten(FixedLinear):
    """Joins the `rows` rows of an example, such as its positions or time steps, into one row."""

    rows: int
    inputs: int

    def __post_init__(self) -> None:
        validate.count("rows", self.rows)
        validate.count("inputs", self.inputs)
        derive(self, outputs=self.rows * self.inputs)

    def forward(self, p, a):
        if a.shape[-2] % self.rows:
            got = f"{self!r} gets {a.shape[-2]} rows per task, expected a multiple of {self.rows}"
            raise ValueError(f"{got}: make `rows` the number of positions or steps")
        return a.reshape(*a.shape[:-2], -1, self.outputs), a.shape

    def backward(self, p, shape, D):
        return D.reshape(shape), {}

    def rows_out(self, rows: int) -> int:
        """The number of output rows for `rows` input rows."""
        return rows // self.rows
