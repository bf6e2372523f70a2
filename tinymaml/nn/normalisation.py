"""Normalisation to mean 0 and variance 1, followed by a learned scale and shift (eq. 16).

Batch norm computes mean and variance of every feature over the rows of a task (Ioffe and Szegedy 2015). It is
transductive, as in the paper: support and query sets are normalised separately, in training and on new tasks,
without running statistics. Layer norm computes them over the features of every row (Ba, Kiros and Hinton
2016): rows are independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinymaml import validate
from tinymaml.nn.fast_weights import sum_rows
from tinymaml.nn.layers import derive

EPS = 1e-5  # added to the variance


@dataclass(frozen=True)
class BatchNorm:
    """g = gamma h + beta with h = (z - mean) / sd, for rows z (T, m, width).

    gamma and beta are rows (1, width). ValueError for a single row z: its variance is zero.
    """

    width: int
    name: int | str = ""
    symbol: ClassVar[str] = "g"
    min_rows: ClassVar[int] = 2
    min_width: ClassVar[int] = 1

    def __post_init__(self) -> None:
        validate.count("width", self.width, least=self.min_width)
        gamma, beta, shape = f"gamma{self.name}", f"beta{self.name}", (1, self.width)
        derive(self, gamma=gamma, beta=beta, inputs=self.width, outputs=self.width)
        derive(self, names={"gamma": gamma, "beta": beta}, shapes={gamma: shape, beta: shape})

    def forward(self, p, z):
        if z.shape[-2] < self.min_rows:
            got = "batch norm got a single row of a task, expected two or more"
            raise ValueError(f"{got}: give more examples, or use layer norm")
        c = self.centred(z)
        sd = np.sqrt(self.mean(c * c) + EPS)
        h = c / sd  # eq. 16   (T, m, d)
        return p[self.gamma] * h + p[self.beta], (h, sd)

    def backward(self, p, tape, D, needs_input_grad=True):
        (h, sd), mean = tape, self.mean
        G = p[self.gamma] * D
        Dz = (G - mean(G) - h * mean(G * h)) / sd  # (T, m, d)
        return Dz, {self.gamma: sum_rows(D * h), self.beta: sum_rows(D)}  # (T, 1, d)

    def R_forward(self, p, v, tape, Rz):
        h, sd = tape
        Rc = np.zeros_like(h) if Rz is None else self.centred(Rz)
        Rsd = self.mean(h * Rc)
        Rh = (Rc - h * Rsd) / sd
        return v[self.gamma] * h + p[self.gamma] * Rh + v[self.beta], (Rh, Rsd)

    def R_backward(self, p, v, tape, Rtape, D, RD):
        (h, sd), (Rh, Rsd), mean = tape, Rtape, self.mean
        G, RG = p[self.gamma] * D, v[self.gamma] * D + p[self.gamma] * RD
        Gh = mean(G * h)
        Dz = (G - mean(G) - h * Gh) / sd
        RDz = (RG - mean(RG) - Rh * Gh - h * mean(RG * h + G * Rh) - Dz * Rsd) / sd
        return RDz, {self.gamma: sum_rows(RD * h + D * Rh), self.beta: sum_rows(RD)}

    def init(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {self.gamma: np.ones((1, self.width)), self.beta: np.zeros((1, self.width))}

    def mean(self, array: np.ndarray) -> np.ndarray:
        """The mean over the rows of each task, (T, 1, d)."""
        return sum_rows(array) / array.shape[-2]

    def centred(self, z: np.ndarray) -> np.ndarray:
        """c = z - mean z. The mean is subtracted twice: far from 0 the first rounding error may exceed c."""
        c = z - self.mean(z)
        c -= self.mean(c)
        return c


class LayerNorm(BatchNorm):
    """Like `BatchNorm`, with mean and sd over the features of each row: (T, m, 1).

    With two features (and in batch norm with two rows) h is +-1 for every z, up to eps: in float32 the
    derivatives then have errors of 1e-4, sometimes 1e-2; with three or more features, 1e-7.
    """

    min_rows: ClassVar[int] = 1
    min_width: ClassVar[int] = 2  # a single feature has variance 0

    def mean(self, array: np.ndarray) -> np.ndarray:
        return array.mean(-1, keepdims=True)


NORMS = {"none": None, "batch": BatchNorm, "layer": LayerNorm}
