"""The whole ladder of checks, from s' to the meta-gradient: `python -m tinymaml check`.

Every rung is compared with values of the rung below only: s' with s, the gradient of a loss with the loss, the rules of a
layer with its forward rule. The upper rungs are the battery, `check_model`, on random networks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinymaml import validate
from tinymaml.check.battery import run_checks
from tinymaml.check.compare import TOLERANCE, relative_error
from tinymaml.check.derivatives import complex_step
from tinymaml.check.equations import equation_errors
from tinymaml.check.golden import fixtures
from tinymaml.check.layer_checks import layer_errors
from tinymaml.check.policy_checks import policy_errors, sample_errors
from tinymaml.check.problem import Problem
from tinymaml.nn.activations import ACTIVATIONS
from tinymaml.nn.convolution import Flat, Patches
from tinymaml.nn.layers import Affine, Chain, Elementwise, Layer
from tinymaml.nn.losses import LOSSES, Loss
from tinymaml.nn.normalisation import BatchNorm, LayerNorm
from tinymaml.nn.recurrent import Recurrent
from tinymaml.rl.exact import LinearPolicy

SAME = Affine(3, 3, 1)
CELL = Chain([Affine(2 + 3, 3, "h"), Elementwise("tanh", "h")])
# every kind of layer, alone and in chains, and the width of its input rows
LAYERS: dict[str, tuple[Layer, int]] = {
    "affine layer": (Affine(3, 4), 3),
    "affine layer of one column": (Affine(1, 4), 1),
    **{f"{name} layer": (Elementwise(name), 3) for name in ACTIVATIONS},
    "chain": (Chain([Affine(3, 4, 1), Elementwise("tanh", 1), Affine(4, 2, 2)]), 3),
    "chain in a chain, a layer twice": (
        Chain([Elementwise("tanh"), Chain([SAME, Elementwise("sigmoid"), SAME]), Affine(3, 2, 2)]), 3
    ),
    "patches": (Patches(4, 2), 32),
    "patches that leave pixels out": (Patches(6, 1, size=2, stride=3, padding=0), 36),
    "patches of every pixel": (Patches(3, 2, stride=1, padding=2), 18),
    "flat": (Flat(2, 3), 3),
    "batch norm": (BatchNorm(3), 3),
    "layer norm": (LayerNorm(3), 3),
    "recurrence": (Recurrent(CELL, steps=3), 6),
    "recurrence, two affine layers": (Recurrent(Chain([Affine(3, 4, "in"), Elementwise("tanh", "in"), Affine(4, 2, "h")]), 3), 3),
    "block of a CNN": (
        Chain([Patches(3, 2), Affine(18, 3, 1), BatchNorm(3, 1), Elementwise("tanh", 1), Flat(4, 3), Affine(12, 2, 2)]), 18
    ),
    "norm first in a chain": (Chain([LayerNorm(3, 1), Affine(3, 2, 1), BatchNorm(2, 2)]), 3),
    "recurrence and its head": (Chain([Recurrent(CELL, steps=3), Affine(3, 2, "y"), Flat(3, 2)]), 6),
}  # fmt: skip
POLICIES = (LinearPolicy(2, 1, 0.3), LinearPolicy(2, 3, 0.3, 0.8), LinearPolicy(4, 2, 0.3, 0.5))
NETWORK_ROWS = {"float32 stays float32": ("float32", 1e-3)}  # precision and tolerance, where not the usual


@dataclass(frozen=True)
class Row:
    """One rung: the largest relative error in `cases` comparisons, and the tolerance."""

    name: str
    error: float
    tolerance: float
    cases: int
    precision: str = "float64"

    @property
    def right(self) -> bool:
        return self.error <= self.tolerance  # False for NaN


def run(seed: int = 0, networks: int = 50) -> int:
    """Print the table; the exit status: 0 if every row is right, else 1."""
    began = time.perf_counter()
    rows = ladder(seed, networks)
    print(table(rows))
    wrong = [row.name for row in rows if not row.right]
    print(f"\n{networks} random networks, seed {seed}, {time.perf_counter() - began:.1f} s: ", end="")
    print(f"WRONG: {', '.join(wrong)}" if wrong else "every derivative is right")
    return 1 if wrong else 0


def table(rows: list[Row]) -> str:
    """The rows, aligned."""
    lines = [f"{'checked against complex step':<44}precision  largest error  allowed  verdict"]
    for row in rows:
        verdict = "right" if row.right else "WRONG"
        lines.append(f"{row.name:<44}{row.precision:<9}  {row.error:<13.1e}  {row.tolerance:<7.0e}  {verdict}")
    return "\n".join(lines)


def ladder(seed: int = 0, networks: int = 50, tolerance: float = TOLERANCE) -> list[Row]:
    """Every rung on `networks` random networks, of all activations and losses in turn."""
    validate.count("networks", networks)
    rng = np.random.default_rng(validate.count("seed", seed, least=0))
    rows = []

    def row(name: str, error: Callable[[], float], allowed: float = tolerance) -> None:
        errors = [error() for _ in range(networks)]
        rows.append(Row(name, float(np.max(errors)), allowed, len(errors)))  # NaN if any is NaN

    for name, s in ACTIVATIONS.items():
        first, second = (lambda z, s=s: s.first(z, s.value(z))), (lambda z, s=s: s.second(z, s.value(z)))
        row(f"{name}: s'", lambda s=s, first=first: _slope(s.value, first, rng))
        if s.curved:
            row(f"{name}: s''", lambda first=first, second=second: _slope(first, second, rng))
    for name, loss in LOSSES.items():
        row(f"{name}: dl/dz", lambda loss=loss: _loss_gradient(loss, rng))
        row(f"{name}: (d2l/dz2) r", lambda loss=loss: _loss_hvp(loss, rng))
    for name, (layer, width) in LAYERS.items():
        row(f"{name}: four rules", lambda layer=layer, width=width: max(layer_errors(layer, rng, width=width).values()))
    for kind, errors in (
        ("linear-Gaussian policy", [policy_errors(POLICIES[i % len(POLICIES)], rng) for i in range(networks + 2)]),
        ("sampled policy", [sample_errors(rng) for _ in range(min(networks, 3))]),
    ):
        for name in errors[0]:
            rows.append(Row(f"{kind}: {name}", float(np.max([each[name] for each in errors])), tolerance, len(errors)))
    for name, mine, whole in fixtures():
        rows.append(Row(f"whole numbers, {name}", float(np.max(np.abs(mine - whole))), 0.0, 1))

    names = list(ACTIVATIONS)
    problems = [Problem.draw(rng, activation=names[i % len(names)]) for i in range(networks)]
    check = lambda p: run_checks(p.model, rng, theta=p.theta, batch=p.batch, inner_lr=p.inner_lr, tolerance=tolerance)[0]
    found = [check(p) for p in problems]
    for name in found[0]:
        precision, allowed = NETWORK_ROWS.get(name, ("float64", tolerance))
        error = max(findings[name].error for findings in found)
        rows.append(Row(f"networks, {name}", error, allowed, networks, precision))
    of_methods = [equation_errors(p) for p in problems[:max(3, networks // 4)]]  # a quarter: they are slow
    for name in of_methods[0]:
        error = float(np.max([errors[name] for errors in of_methods]))
        rows.append(Row(f"networks, {name}", error, tolerance, len(of_methods)))
    return rows


# -- the relative error of one rung ---------------------------------------------------------------------------


def _slope(f: Callable, derivative: Callable, rng: np.random.Generator) -> float:
    z = rng.uniform(-6, 6, 20)
    return relative_error(derivative(z), complex_step(f, z, np.ones_like(z)))


def _logits(loss: Loss, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions z, targets y and a direction r for a loss, each (3, 4)."""
    y = np.eye(4)[rng.integers(4, size=3)] if loss.name == "cross_entropy" else rng.standard_normal((3, 4))
    return 2 * rng.standard_normal((3, 4)), y, rng.standard_normal((3, 4))


def _loss_gradient(loss: Loss, rng: np.random.Generator) -> float:
    z, y, r = _logits(loss, rng)
    return relative_error((loss.gradient(z, y) * r).sum(-1), complex_step(lambda z: loss.value(z, y), z, r))


def _loss_hvp(loss: Loss, rng: np.random.Generator) -> float:
    z, y, r = _logits(loss, rng)
    return relative_error(loss.hvp(z, y, r), complex_step(lambda z: loss.gradient(z, y), z, r))
