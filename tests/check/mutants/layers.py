"""Mutants of eqs. 17 and 18: wrong rules of patches, of a flattening and of a recurrence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinymaml.check.mistakes import Mistake, Rules
from tinymaml.nn.chain import accumulate
from tinymaml.nn.convolution import Flatten, Patches
from tinymaml.nn.recurrent import Recurrent

# -- patches and a flattening (eq. 17) -----------------------------------------------------------------------------


def _pixels(layer: Patches, stride: int, first: int) -> np.ndarray:
    """Which pixel each entry of each patch is, (positions, size^2), where patches begin at `first`; side^2 is outside."""
    along = first + stride * np.arange(layer.output_side)[:, None] + np.arange(layer.size)  # (output_side, size), of one axis
    y, x = along[:, None, :, None], along[None, :, None, :]
    inside = (y >= 0) & (y < layer.side) & (x >= 0) & (x < layer.side)
    return np.where(inside, y * layer.side + x, layer.side**2).reshape(layer.positions, layer.size**2)


def _gathered(stride: int, first: int) -> Rules:
    """Patches that move by so many pixels more, and begin so many further on."""

    def rule(right: Callable, layer: Patches, p: Any, a: np.ndarray) -> tuple:
        pixels = a.reshape(-1, layer.side**2, layer.channels)
        pixels = np.concatenate([pixels, 0 * pixels[:, :1]], axis=1)
        patches = pixels[:, _pixels(layer, layer.stride + stride, first - layer.padding)]
        return patches.reshape(*a.shape[:-2], -1, layer.outputs), a.shape

    return {Patches: {"forward": rule}}


def _overwritten(layer: Patches, shape: tuple[int, ...], D: np.ndarray) -> np.ndarray:
    pixels = np.zeros((int(np.prod(shape[:-1])), layer.side**2 + 1, layer.channels), D.dtype)
    pixels[:, _pixels(layer, layer.stride, -layer.padding)] = D.reshape(len(pixels), layer.positions, layer.size**2, -1)
    return pixels[:, :-1].reshape(shape)


def _exchanged(right: Callable, layer: Flatten, p: Any, a: np.ndarray) -> tuple:
    rows = a.reshape(*a.shape[:-2], -1, layer.rows, layer.inputs)
    return rows.swapaxes(-1, -2).reshape(*rows.shape[:-2], -1), a.shape


def _exchanged_back(layer: Flatten, shape: tuple[int, ...], D: np.ndarray) -> np.ndarray:
    return D.reshape(*D.shape[:-1], layer.inputs, layer.rows).swapaxes(-1, -2).reshape(shape)


IN_IMAGES = {
    "window": Mistake("the patches begin a pixel too far down and right (eq. 17)", _gathered(0, 1)),
    "stride": Mistake("the patches lie a pixel too far apart: their distance is the stride (eq. 17)", _gathered(1, 0)),
    "overlap": Mistake("where patches overlap, D is that of the last one: a pixel gets the sum of all that it is in (eq. 17)", {
        Patches: {"backward": lambda right, layer, p, shape, D: (_overwritten(layer, shape, D), {})}}),
    "overlap of 17 R": Mistake("where patches overlap, RD is that of the last one: a pixel gets the sum, as for D (eq. 17)", {
        Patches: {"R_backward": lambda right, layer, p, v, shape, Rshape, D, RD: (_overwritten(layer, shape, RD), {})}}),
    "flat": Mistake("positions and channels are exchanged: a row is position after position, all channels of each (eq. 17)", {
        Flatten: {"forward": _exchanged}}),
    "flat D": Mistake("positions and channels are exchanged in D: it goes back the way that the rows came (eq. 17)", {
        Flatten: {"backward": lambda right, layer, p, shape, D: (_exchanged_back(layer, shape, D), {})}}),
}  # fmt: skip


# -- a recurrence (eq. 18): the loops over time, walked with one thing wrong ----------------------------------------


def _steps(layer: Recurrent, rows: np.ndarray, width: int) -> list[np.ndarray]:
    """The steps of (T, n, steps * width), or of (T, n * steps, width): (T, n, width) each."""
    return list(np.moveaxis(rows.reshape(*rows.shape[:-2], -1, layer.steps, width), -2, 0))


def _rows(steps: list[np.ndarray]) -> np.ndarray:
    stacked = np.stack(steps, axis=-2)
    return stacked.reshape(*stacked.shape[:-3], -1, stacked.shape[-1])


def _walk(layer: Recurrent, p: Any, a: np.ndarray, h_0: Any = 0, x_of: int = 0, h_of: int = 1) -> tuple:
    """Step t fed with x_{t - x_of} and h_{t - h_of}, which are zero and h_0 before the first."""
    x = [*[0 * a[..., :layer.width]] * x_of, *_steps(layer, a, layer.width)]
    h = [np.zeros((*a.shape[:-1], layer.outputs), a.dtype) + h_0] * h_of
    kept = []
    for t in range(layer.steps):
        out, tape = layer.cell.forward(p, np.concatenate([x[t], h[t]], axis=-1))
        h.append(out)
        kept.append(tape)
    return _rows(h[h_of:]), kept


def _fed(**wrong: int) -> Rules:
    return {Recurrent: {"forward": lambda right, layer, p, a: _walk(layer, p, a, **wrong)}}


def _left_over(right: Callable, layer: Recurrent, p: Any, a: np.ndarray) -> tuple:
    return _walk(layer, p, a, h_0=_steps(layer, right(p, a)[0], layer.outputs)[-1])


def _from_the_example_before(right: Callable, layer: Recurrent, p: Any, a: np.ndarray) -> tuple:
    h_0 = [np.zeros((*a.shape[:-2], 1, layer.outputs), a.dtype)]
    for i in range(a.shape[-2] - 1):
        h_0.append(_walk(layer, p, a[..., i:i + 1, :], h_0=h_0[-1])[0][..., -1:, :])
    return _walk(layer, p, a, h_0=np.concatenate(h_0, axis=-2))


def _through_time(cell: Callable, D: list, cut: bool, forwards: bool, last: bool, above: bool, width: int) -> tuple:
    """The sweep back over time, cell(t, D of h_t) a step, with one thing wrong."""
    gradient, Dx, later, steps = {}, list(D), 0, len(D)
    for t in range(steps) if forwards else reversed(range(steps)):
        both, own = cell(t, later + (D[t] if above or t == steps - 1 else 0 * D[t]))
        Dx[t], later = both[..., :width], 0 if cut else both[..., width:]
        if not last or t == steps - 1:
            accumulate(gradient, own)
    return np.concatenate(Dx, axis=-1), gradient


def _back(cut: bool = False, forwards: bool = False, last: bool = False, above: bool = True) -> Rules:
    def rule(right: Callable, layer: Recurrent, p: Any, tape: list, D: np.ndarray, below: bool = True) -> tuple:
        cell = lambda t, D: layer.cell.backward(p, tape[t], D)
        return _through_time(cell, _steps(layer, D, layer.outputs), cut, forwards, last, above, layer.width)

    return {Recurrent: {"backward": rule}}


def _R_back(cut: bool = False, forwards: bool = False, last: bool = False, above: bool = True) -> Rules:
    def rule(right: Callable, layer: Recurrent, p: Any, v: Any, tape: list, Rtape: list, D: Any, RD: Any) -> tuple:
        cell = lambda t, RD: layer.cell.R_backward(p, v, tape[t], Rtape[t], tape[t].D[-1], RD)
        return _through_time(cell, _steps(layer, RD, layer.outputs), cut, forwards, last, above, layer.width)

    return {Recurrent: {"R_backward": rule}}


def _state_stands_still(right: Callable, layer: Recurrent, p: Any, v: Any, tape: list, Ra: Any) -> tuple:
    h = 0 * tape[0].outputs[-1]
    Rx = [0 * h[..., :1] + np.zeros(layer.width, h.dtype)] * layer.steps if Ra is None else _steps(layer, Ra, layer.width)
    walked = [layer.cell.R_forward(p, v, tape[t], np.concatenate([Rx[t], h], axis=-1)) for t in range(layer.steps)]
    outputs, kept = zip(*walked, strict=True)
    return _rows(list(outputs)), list(kept)


IN_TIME = {
    "x_t": Mistake("x is a step late: the cell gets [x_t, h_{t-1}] (eq. 18)", _fed(x_of=1)),
    "h_t-1": Mistake("h is a step late, h_{t-2}: the cell gets [x_t, h_{t-1}] (eq. 18)", _fed(h_of=2)),
    "h_0": Mistake("h_0 is not zero: it is what an earlier sweep has left (eq. 18)", {Recurrent: {"forward": _left_over}}),
    "h_0 of each": Mistake("the state is not reset: h_0 of an example is the last h of the example before (eq. 18)", {
        Recurrent: {"forward": _from_the_example_before}}),
    "later": Mistake("D is cut off in time: h_{t-1} gets D from step t as well (eq. 18)", _back(cut=True)),
    "above": Mistake("D from above is that of the last step alone: every h_t goes up (eq. 18)", _back(above=False)),
    "all steps": Mistake("the gradient is that of the last step: those of all steps are added up (eq. 18)", _back(last=True)),
    "back in time": Mistake("the steps are walked forwards for D: it comes from step t + 1 (eq. 18)", _back(forwards=True)),
    "R h": Mistake("R of the state is missing: the cell gets [Rx_t, Rh_{t-1}] (eq. 18)", {Recurrent: {
        "R_forward": _state_stands_still}}),
    "R later": Mistake("RD is cut off in time: h_{t-1} gets RD from step t as well (eq. 18)", _R_back(cut=True)),
    "R all steps": Mistake("R of the gradient is that of the last step: those of all are added up (eq. 18)", _R_back(last=True)),
    "R back in time": Mistake("the steps are walked forwards for RD: it comes from step t + 1 (eq. 18)", _R_back(forwards=True)),
}  # fmt: skip
