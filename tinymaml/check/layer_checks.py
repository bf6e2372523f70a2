"""One layer, or a chain of them, alone: each of its four rules against the complex step of another.

    layer_errors(Affine(3, 4), rng, rows=5)      # {"R_forward": 1e-16, "backward": ..., "R_backward": ...}

`forward` is the truth. R_forward must be its derivative along (Ra, v); backward the transpose of that, which is what
D . R(out) = dL/d(in) . Ra + gradient . v says in every direction; R_backward the derivative of backward along (Ra, v, RD).
"""

from __future__ import annotations

import numpy as np

from tinymaml import validate
from tinymaml.check.compare import relative_error
from tinymaml.check.derivatives import STEP
from tinymaml.layers import Layer


def layer_errors(layer: Layer, rng: np.random.Generator, *, width: int, rows: int = 4, tasks: int = 2) -> dict[str, float]:
    """The relative error of each derived rule, at random parameters and inputs (tasks, rows, width).

    The transpose is tried in three random directions: a wrong rule agrees with none of them but by a chance of measure zero.
    """
    validate.generator(rng)
    normal = lambda shape: rng.standard_normal(shape)
    shapes = getattr(layer, "shapes", {})
    p = {name: array + 0.3 * normal(array.shape) for name, array in (layer.init(rng) if shapes else {}).items()}
    a = normal((tasks, rows, width))
    out, tape = layer.forward(p, a)
    D = normal(out.shape)
    below, gradient = layer.backward(p, tape, D, True)

    errors = {"R_forward": [], "backward": [], "R_backward": []}
    for _ in range(3):
        v, Ra, RD = {name: normal(array.shape) for name, array in p.items()}, normal(a.shape), normal(D.shape)
        moved = {name: p[name] + 1j * STEP * v[name] for name in p}
        out_i, tape_i = layer.forward(moved, a + 1j * STEP * Ra)
        below_i, gradient_i = layer.backward(moved, tape_i, D + 1j * STEP * RD, True)

        Rout, Rtape = layer.R_forward(p, v, tape, Ra)
        errors["R_forward"].append(relative_error(Rout, out_i.imag / STEP))
        forwards = (D * Rout).sum()
        backwards = (below * Ra).sum() + sum((gradient[name].sum(0) * v[name]).sum() for name in p)
        size = np.linalg.norm(D) * np.linalg.norm(Rout)
        errors["backward"].append(abs(forwards - backwards) / max(size, 1e-3))
        layer.backward(p, tape, RD, True)  # what was asked before must not matter
        Rbelow, Rgradient = layer.R_backward(p, v, tape, Rtape, D, RD)
        truth = {"in": below_i, **gradient_i}  # of one size: a bias under a norm has a gradient of zero, but for rounding
        mine = {"in": Rbelow, **Rgradient}
        errors["R_backward"].append(relative_error(mine, {name: array.imag / STEP for name, array in truth.items()}))
    return {rule: max(found) for rule, found in errors.items()}
