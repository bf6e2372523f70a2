"""Normalisation: mean 0 and variance 1, then a scale and a shift that are learned (eq. 16).

Batch norm takes mean and variance of every feature over the rows of a task (Ioffe and Szegedy 2015). It is transductive, as in
the paper: support and query sets are each normalised by themselves, in training and on new tasks, and nothing is remembered.
Layer norm takes them of every row over its features (Ba, Kiros and Hinton 2016), and no row sees another.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from tinymaml import validate
from tinymaml.nn.fast_weights import sum_rows

EPS = 1e-5  # added to the variance


@dataclass(frozen=True)
class BatchNorm:
    """g = gamma h + beta with h = (z - mean) / sd, for rows z (T, m, width); gamma and beta are rows (1, width).

    ValueError for a single row, of which nothing would be left.
    """

    width: int
    name: int | str = ""
    symbol: ClassVar[str] = "g"
    min_rows: ClassVar[int] = 2  # rows

    def __post_init__(self) -> None:
        validate.count("width", self.width)

    def forward(self, p, z):
        if z.shape[-2] < self.min_rows:
            raise ValueError("batch norm got a single row of a task, expected two or more: give more examples, or use layer norm")
        c = self.centred(z)
        sd = np.sqrt(self.mean(c * c) + EPS)
        h = c / sd  # eq. 16   (T, m, d)
        return p[self.gamma] * h + p[self.beta], (h, sd)

    def backward(self, p, tape, D, below=True):
        h, sd = tape
        mean, gradient = self.mean, {self.gamma: sum_rows(D * h), self.beta: sum_rows(D)}  # (T, 1, d)
        if not below:
            return None, gradient
        G = p[self.gamma] * D
        return (G - mean(G) - h * mean(G * h)) / sd, gradient  # Dz   (T, m, d)

    def R_forward(self, p, v, tape, Rz):
        h, sd = tape
        if Rz is None:
            return v[self.gamma] * h + v[self.beta], None
        Rc = self.centred(Rz)
        Rsd = self.mean(h * Rc)
        Rh = (Rc - h * Rsd) / sd
        return v[self.gamma] * h + p[self.gamma] * Rh + v[self.beta], (Rh, Rsd)

    def R_backward(self, p, v, tape, Rtape, D, RD):
        h, sd = tape
        if Rtape is None:
            return None, {self.gamma: sum_rows(RD * h), self.beta: sum_rows(RD)}
        (Rh, Rsd), mean = Rtape, self.mean
        G, RG = p[self.gamma] * D, v[self.gamma] * D + p[self.gamma] * RD
        Gh = mean(G * h)
        Dz = (G - mean(G) - h * Gh) / sd
        RDz = (RG - mean(RG) - Rh * Gh - h * mean(RG * h + G * Rh) - Dz * Rsd) / sd
        return RDz, {self.gamma: sum_rows(RD * h + D * Rh), self.beta: sum_rows(RD)}

    inputs = outputs = property(lambda self: self.width)
    gamma = cached_property(lambda self: f"gamma{self.name}")
    beta = cached_property(lambda self: f"beta{self.name}")
    names = property(lambda self: {"gamma": self.gamma, "beta": self.beta})
    shapes = property(lambda self: {self.gamma: (1, self.width), self.beta: (1, self.width)})

    def init(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {self.gamma: np.ones((1, self.width)), self.beta: np.zeros((1, self.width))}

    def mean(self, array: np.ndarray) -> np.ndarray:
        """Over the rows of each task, (T, 1, d)."""
        return sum_rows(array) / array.shape[-2]

    def centred(self, z: np.ndarray) -> np.ndarray:
        """z - mean z, and the mean once more: the first is rounded to the precision of z, which may be large against c."""
        c = z - self.mean(z)
        c -= self.mean(c)
        return c


class LayerNorm(BatchNorm):
    """The same with mean and sd over the features of each row: (T, m, 1).

    Of two features (as in batch norm of two rows) h is +-1 whatever z is, but for eps: in float32 the derivatives below are then
    off by 1e-4, at times 1e-2, where with three it is 1e-7. Use three or more.
    """

    min_rows: ClassVar[int] = 1

    def __post_init__(self) -> None:
        validate.count("width", self.width, least=2)  # of a single feature nothing would be left

    def mean(self, array: np.ndarray) -> np.ndarray:
        return array.mean(-1, keepdims=True)


NORMS = {"none": None, "batch": BatchNorm, "layer": LayerNorm}
