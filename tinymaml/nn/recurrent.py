"""Recurrence: one cell, unrolled in time (eq. 18).

    cell = Chain([Affine(1 + 20, 20, "h"), Elementwise("tanh", "h")])
    Recurrent(cell, steps=12), Affine(20, 1, "y"), Flatten(12, 1)

A sequence is one row, in time order. The four rules apply those of the cell at every step, forward or
backward in time: the state of step t is an input of step t + 1, and the gradients of all steps are added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinymaml import validate
from tinymaml.nn.chain import Chain, accumulate
from tinymaml.nn.layers import derive, parameter_names


@dataclass(frozen=True)
class Recurrent:
    """h_t = cell([x_t, h_{t-1}]) with h_0 = 0.

    Input (T, n, steps * width of x), output (T, n * steps, width of h): one row per h_t.

    cell: a layer, usually a `Chain`, from rows [x_t, h_{t-1}] to rows h_t. The tape is a list of the tapes of
    the cell, one per step.
    """

    cell: Chain
    steps: int
    name: int | str = "h"
    symbol: ClassVar[str] = "h"

    def __post_init__(self) -> None:
        validate.count("steps", self.steps)
        if not isinstance(self.cell, Chain):
            object.__setattr__(self, "cell", Chain([self.cell]))
        both, hidden = self.cell.inputs, self.cell.outputs
        if both is None or hidden is None or both <= hidden:
            raise ValueError(
                f"the cell has {both} inputs and {hidden} outputs, expected inputs [x, h] and outputs h: "
                "make the width of its first layer the sum of both"
            )
        derive(self, width=both - hidden, inputs=self.steps * (both - hidden), outputs=hidden)  # width of x_t
        derive(self, shapes=self.cell.shapes, owners=self.cell.owners, min_rows=self.cell.min_rows)

    def forward(self, p, a):
        x, h = self._split_steps(a, self.width), np.zeros((*a.shape[:-1], self.outputs), a.dtype)
        outputs, tapes = [], []
        for t in range(self.steps):
            h, tape = self.cell.forward(p, np.concatenate([x[t], h], axis=-1))
            outputs.append(h)
            tapes.append(tape)
        return _join_steps(outputs), tapes

    def backward(self, p, tapes, D, needs_input_grad=True):
        gradient, Dx = {}, [None] * self.steps
        D, Dh_next = self._split_steps(D, self.outputs), 0
        for t in reversed(range(self.steps)):
            D_xh, own = self.cell.backward(p, tapes[t], D[t] + Dh_next)  # from above and from step t + 1
            Dx[t], Dh_next = D_xh[..., :self.width], D_xh[..., self.width:]
            accumulate(gradient, own)
        return np.concatenate(Dx, axis=-1), gradient

    def R_forward(self, p, v, tapes, Ra):
        Rh = np.zeros_like(tapes[0].outputs[-1])
        Rx = np.zeros((*Rh.shape[:-1], self.inputs), Rh.dtype) if Ra is None else Ra
        Rx, outputs, Rtapes = self._split_steps(Rx, self.width), [], []
        for t in range(self.steps):
            Rh, Rtape = self.cell.R_forward(p, v, tapes[t], np.concatenate([Rx[t], Rh], axis=-1))
            outputs.append(Rh)
            Rtapes.append(Rtape)
        return _join_steps(outputs), Rtapes

    def R_backward(self, p, v, tapes, Rtapes, D, RD):
        gradient, RDx = {}, [None] * self.steps
        RD, RDh_next = self._split_steps(RD, self.outputs), 0
        for t in reversed(range(self.steps)):
            D_t = tapes[t].D[-1]  # dL/dh_t from `backward`, including all later steps
            RD_xh, own = self.cell.R_backward(p, v, tapes[t], Rtapes[t], D_t, RD[t] + RDh_next)
            RDx[t], RDh_next = RD_xh[..., :self.width], RD_xh[..., self.width:]
            accumulate(gradient, own)
        return np.concatenate(RDx, axis=-1), gradient

    def rows_out(self, rows: int) -> int:
        """The number of output rows for `rows` input rows."""
        return rows * self.steps

    @property
    def names(self) -> dict[str, str]:
        """{"W": "Wh", "b": "bh"}; if parameters of the cell share a symbol, their full names are the keys."""
        own = dict.fromkeys(named for layer in self.cell.layers for named in parameter_names(layer).items())
        symbols = [symbol for symbol, _ in own]
        return {symbol if symbols.count(symbol) == 1 else name: name for symbol, name in own}

    def init(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return self.cell.init(rng)

    def _split_steps(self, rows: np.ndarray, width: int) -> np.ndarray:
        """Split rows (T, n, steps * width) or (T, n * steps, width) into steps: (steps, T, n, width)."""
        return np.moveaxis(rows.reshape(*rows.shape[:-2], -1, self.steps, width), -2, 0)


def _join_steps(outputs: list[np.ndarray]) -> np.ndarray:
    """One row per step of each example, (T, n * steps, d)."""
    stacked = np.stack(outputs, axis=-2)
    return stacked.reshape(*stacked.shape[:-3], -1, stacked.shape[-1])
