"""Checks of a single layer or chain: each derived rule against the complex-step derivative of another rule.

    layer_errors(Affine(3, 4), rng, width=3)      # {"R_forward": 1e-16, "backward": ..., "R_backward": ...}

`forward` defines the layer. R_forward must be its derivative along (Ra, v); backward must be the transpose of that, so that
D . R(out) = dL/d(in) . Ra + gradient . v in every direction; R_backward must be the derivative of backward along
(Ra, v, RD). A layer with parameters is also checked as the first such layer of a network: there Ra is None, and
`needs_input_grad` is False.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tinymaml import validate
from tinymaml.check.compare import relative_error
from tinymaml.check.derivatives import STEP
from tinymaml.nn.chain import Chain
from tinymaml.nn.layers import Arrays, Layer
from tinymaml.nn.network import Network
from tinymaml.nn.recurrent import Recurrent
from tinymaml.parameters import Parameters

WRONG = {
    "R_forward": "R_forward is not the derivative of forward",
    "backward": "backward is not the transposed derivative of forward",
    "R_backward": "R_backward is not the derivative of backward",
}


def layer_errors(
    layer: Layer, rng: np.random.Generator, *, width: int, rows: int = 4, lowest: bool = True
) -> dict[str, float]:
    """The relative error of each derived rule, at random parameters and inputs (2, rows, width).

    lowest: whether a layer with parameters is also checked as the first such layer of a network, where Ra is None.
    """
    validate.generator(rng)
    own = layer.init(rng) if getattr(layer, "shapes", {}) else {}
    p = {name: array + 0.3 * rng.standard_normal(array.shape) for name, array in own.items()}
    return rule_errors(layer, p, rng.standard_normal((2, rows, width)), rng, [True] * 3 + [False] * bool(p and lowest))


def rule_errors(
    layer: Layer, p: Arrays, a: np.ndarray, rng: np.random.Generator, moves: Sequence[bool] = (True, True, True)
) -> dict[str, float]:
    """The errors at parameters p and inputs a (T, rows, width), once per entry of `moves`: whether the inputs are perturbed.

    The transpose is tested in random directions, where a wrong rule fails with probability one.
    """
    normal = lambda array: rng.standard_normal(array.shape)
    out, tape = layer.forward(p, a)
    errors = {rule: [] for rule in WRONG}
    for inputs_move in moves:
        v, Ra, D, RD = {name: normal(array) for name, array in p.items()}, normal(a), normal(out), normal(out)
        moved = {name: p[name] + 1j * STEP * v[name] for name in p}
        out_i, tape_i = layer.forward(moved, a + 1j * STEP * Ra * inputs_move)
        Rout, size = out_i.imag / STEP, np.linalg.norm(D) * np.linalg.norm(out_i.imag / STEP)
        flag = () if inputs_move else (False,)  # needs_input_grad
        below, gradient = layer.backward(p, tape, D, *flag)
        below_i, gradient_i = layer.backward(moved, tape_i, D + 1j * STEP * RD, *flag)
        mine, Rtape = layer.R_forward(p, v, tape, Ra if inputs_move else None)
        errors["R_forward"].append(relative_error(mine, Rout))
        backwards = sum((gradient[name].sum(0) * v[name]).sum() for name in p) + ((below * Ra).sum() if inputs_move else 0)
        errors["backward"].append(abs((D * Rout).sum() - backwards) / max(size, 1e-3))
        Rbelow, mine = layer.R_backward(p, v, tape, Rtape, D, RD)
        # compared together: a bias before a norm has a zero gradient up to rounding
        mine, truth = ({"in": Rbelow, **mine}, {"in": below_i, **gradient_i}) if inputs_move else (mine, gradient_i)
        errors["R_backward"].append(relative_error(mine, {name: array.imag / STEP for name, array in truth.items()}))
    return {rule: max(found) for rule, found in errors.items()}


def wrong_rules(network: Network, theta: Parameters, x: np.ndarray, y: np.ndarray, tolerance: float = 1e-6) -> Iterator[str]:
    """A sentence for each wrong rule of a layer or of the loss, on the data of one task, x (n, d_0) and y (n, d_L).

    R_backward depends on the other rules, so it is reported only if they are right.
    """
    rng, lowest = np.random.default_rng(0), True

    def of_layers(layers: Sequence[Layer], a: np.ndarray, prefix: str = "") -> Iterator[str]:
        nonlocal lowest
        for i, layer in enumerate(layers, start=1):
            p, inner, inputs_move = {name: theta[name] for name in getattr(layer, "shapes", {})}, [], not lowest
            if isinstance(layer, Chain):
                inner = list(of_layers(layer.layers, a, f"{prefix}{i}."))
            elif isinstance(layer, Recurrent):  # its cell, in the first step: h_0 = 0
                lowest, h_0 = False, np.zeros((len(a), layer.outputs), a.dtype)
                inner = list(of_layers(layer.cell.layers, np.concatenate([a[:, :layer.width], h_0], axis=1), f"{prefix}{i}."))
            yield from inner
            if not inner and (p or inputs_move):  # derivatives below the first layer with parameters are not used
                errors = rule_errors(layer, p, a[None], rng, [inputs_move] * 3)
                wrong = [rule for rule, error in errors.items() if not error <= tolerance]
                for rule in [rule for rule in wrong if rule != "R_backward"] or wrong:
                    yield f"{WRONG[rule]} in layer {prefix}{i}, {type(layer).__name__}"
            lowest &= not p
            a, _ = layer.forward(p, a)

    yield from of_layers(network.layers, x)
    loss, z = network.example_loss, network.predict(theta, x)
    r = rng.standard_normal(z.shape)
    first, second = (loss.value(z + 1j * STEP * r, y).imag / STEP, loss.gradient(z + 1j * STEP * r, y).imag / STEP)
    if not relative_error((loss.gradient(z, y) * r).sum(-1), first) <= tolerance:
        yield f"gradient is not the derivative of value in the loss {loss.name}"
    if not relative_error(loss.hvp(z, y, r), second) <= tolerance:
        yield f"hvp is not the derivative of gradient in the loss {loss.name}"

