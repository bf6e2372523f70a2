"""Recurrence: one cell, unrolled in time (eq. 18).

    cell = Chain([Affine(1 + 20, 20, "h"), Elementwise("tanh", "h")])
    Recurrent(cell, steps=12), Affine(20, 1, "y"), Flatten(12, 1)

A sequence is one row, step after step. The four rules are those of the cell, forwards in time and backwards: what the cell made
of step t goes into step t + 1, and what its parameters get at all steps is added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from tinymaml import validate
from tinymaml.nn.layers import Chain, accumulate, parameter_names


class Unrolled:
    """What is kept of one sweep over time: the cell's tape of every step, and the D that the sweep back was given."""

    def __init__(self, kept: list):
        self.kept, self.D = kept, None


@dataclass(frozen=True)
class Recurrent:
    """h_t = cell([x_t, h_{t-1}]) from h_0 = 0, for rows (T, n, steps * width of x); out come all h_t, (T, n * steps, width of h).

    cell: a layer, most often a `Chain`, from rows [x_t, h_{t-1}] to rows h_t.
    """

    cell: Chain
    steps: int
    name: int | str = "h"
    symbol: ClassVar[str] = "h"

    def __post_init__(self) -> None:
        validate.count("steps", self.steps)
        if not isinstance(self.cell, Chain):
            object.__setattr__(self, "cell", Chain([self.cell]))
        if self.cell.inputs is None or self.cell.outputs is None or self.width < 1:
            raise ValueError(
                f"the cell gets rows of {self.cell.inputs} and makes rows of {self.cell.outputs}, expected it to get x and h "
                "side by side and to make h: make its first layer as wide as both"
            )

    def forward(self, p, a):
        x = self._apart(a, self.width)
        h, outputs, kept = np.zeros((*a.shape[:-1], self.outputs), a.dtype), [], []
        for t in range(self.steps):
            h, tape = self.cell.forward(p, _beside(x[..., t, :], h))
            outputs.append(h)
            kept.append(tape)
        return _rows(outputs), Unrolled(kept)

    def backward(self, p, tape, D, below=True):
        gradient, Dx, tape.D = {}, [None] * self.steps, D
        D, later = self._apart(D, self.outputs), 0
        for t in reversed(range(self.steps)):
            both, own = self.cell.backward(p, tape.kept[t], D[..., t, :] + later)  # from above, and from the step after
            Dx[t], later = both[..., :self.width], both[..., self.width:]
            accumulate(gradient, own)
        return np.concatenate(Dx, axis=-1) if below else None, gradient

    def R_forward(self, p, v, tape, Ra):
        Rh = np.zeros_like(tape.kept[0].outputs[-1])
        Rx = np.zeros((*Rh.shape[:-1], self.inputs), Rh.dtype) if Ra is None else Ra
        Rx, outputs, kept = self._apart(Rx, self.width), [], []
        for t in range(self.steps):
            Rh, Rtape = self.cell.R_forward(p, v, tape.kept[t], _beside(Rx[..., t, :], Rh))
            outputs.append(Rh)
            kept.append(Rtape)
        return _rows(outputs), Unrolled(kept)

    def R_backward(self, p, v, tape, Rtape, D, RD):
        if tape.D is not D:
            self.backward(p, tape, D)
        gradient, RDx = {}, [None] * self.steps
        RD, later = self._apart(RD, self.outputs), 0
        for t in reversed(range(self.steps)):
            D = tape.kept[t].D[-1]  # dL/dh_t, all that comes after it counted
            both, own = self.cell.R_backward(p, v, tape.kept[t], Rtape.kept[t], D, RD[..., t, :] + later)
            RDx[t], later = both[..., :self.width], both[..., self.width:]
            accumulate(gradient, own)
        return np.concatenate(RDx, axis=-1), gradient

    width = cached_property(lambda self: self.cell.inputs - self.cell.outputs)  # of x_t
    inputs = cached_property(lambda self: self.steps * self.width)
    outputs = cached_property(lambda self: self.cell.outputs)
    positions = property(lambda self: self.steps)
    min_rows = property(lambda self: self.cell.min_rows)  # rows: the cell gets one of each example
    shapes = property(lambda self: self.cell.shapes)
    owners = property(lambda self: self.cell.owners)

    @property
    def names(self) -> dict[str, str]:
        """{"W": "Wh", "b": "bh"}; what several layers of the cell have under one symbol is called by its full name."""
        own = dict.fromkeys(named for layer in self.cell.layers for named in parameter_names(layer).items())
        symbols = [symbol for symbol, _ in own]
        return {symbol if symbols.count(symbol) == 1 else name: name for symbol, name in own}

    def init(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return self.cell.init(rng)

    def _apart(self, rows: np.ndarray, width: int) -> np.ndarray:
        """The steps along an axis of their own, (T, n, steps, width): of rows that hold all steps, or one step each."""
        return rows.reshape(*rows.shape[:-2], -1, self.steps, width)


def _rows(outputs: list[np.ndarray]) -> np.ndarray:
    """A row for each step of each example, (T, n * steps, d)."""
    stacked = np.stack(outputs, axis=-2)
    return stacked.reshape(*stacked.shape[:-3], -1, stacked.shape[-1])


def _beside(x: np.ndarray, h: np.ndarray) -> np.ndarray:
    return np.concatenate([x, h], axis=-1)
