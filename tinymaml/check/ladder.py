"""The whole ladder of checks, from s' to the meta-gradient: `python -m tinymaml check`.

Every rung is compared only with values of the rung below: s' with s, the gradient of a loss with the loss, the rules of a
layer with its forward rule. The upper rungs are the battery of `check_model` on random networks.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from tinymaml import validate
from tinymaml.check.battery import run_checks
from tinymaml.check.case import SINGLE
from tinymaml.check.compare import TOLERANCE, relative_error
from tinymaml.check.derivatives import complex_step
from tinymaml.check.equations import equation_errors
from tinymaml.check.golden import fixtures
from tinymaml.check.layer_checks import layer_errors
from tinymaml.check.policy_checks import policy_errors, sample_errors
from tinymaml.check.problem import Problem
from tinymaml.nn.activations import ACTIVATIONS, Activation
from tinymaml.nn.chain import Chain
from tinymaml.nn.convolution import Flatten, Patches
from tinymaml.nn.layers import Affine, Elementwise, Layer
from tinymaml.nn.losses import LOSSES, Loss
from tinymaml.nn.normalisation import BatchNorm, LayerNorm
from tinymaml.nn.recurrent import Recurrent
from tinymaml.rl.exact import LinearPolicy

SAME = Affine(3, 3, 1)
CELL = Chain([Affine(2 + 3, 3, "h"), Elementwise("tanh", "h")])
# every kind of layer, alone and in chains, with the width of its input rows
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
    "flat": (Flatten(2, 3), 3),
    "batch norm": (BatchNorm(3), 3),
    "layer norm": (LayerNorm(3), 3),
    "recurrence": (Recurrent(CELL, steps=3), 6),
    "recurrence, two affine layers": (Recurrent(Chain([Affine(3, 4, "in"), Elementwise("tanh", "in"), Affine(4, 2, "h")]), 3), 3),
    "block of a CNN": (
        Chain([Patches(3, 2), Affine(18, 3, 1), BatchNorm(3, 1), Elementwise("tanh", 1), Flatten(4, 3), Affine(12, 2, 2)]), 18
    ),
    "norm first in a chain": (Chain([LayerNorm(3, 1), Affine(3, 2, 1), BatchNorm(2, 2)]), 3),
    "recurrence and its head": (Chain([Recurrent(CELL, steps=3), Affine(3, 2, "y"), Flatten(3, 2)]), 6),
}  # fmt: skip
POLICIES = (LinearPolicy(2, 1, 0.3), LinearPolicy(2, 3, 0.3, 0.8), LinearPolicy(4, 2, 0.3, 0.5))


@dataclass(frozen=True)
class Row:
    """One row of the table: the largest relative error of `cases` comparisons, and the tolerance."""

    name: str
    error: float
    tolerance: float
    cases: int

    @property
    def right(self) -> bool:
        return self.error <= self.tolerance  # False for NaN


def run(seed: int = 0, networks: int = 50) -> int:
    """Print the table; returns the exit status, 0 if every row is right, else 1."""
    began = time.perf_counter()
    rows = ladder(seed, networks)
    print(table(rows))
    wrong = [row.name for row in rows if not row.right]
    print(f"\n{networks} random networks, seed {seed}, {time.perf_counter() - began:.1f} s: ", end="")
    print(f"WRONG: {', '.join(wrong)}" if wrong else "every derivative is right")
    return 1 if wrong else 0


def table(rows: list[Row]) -> str:
    """The rows as an aligned table."""
    lines = [f"{'checked against complex step':<44}largest error  allowed  verdict"]
    for row in rows:
        verdict = "right" if row.right else "WRONG"
        lines.append(f"{row.name:<44}{row.error:<13.1e}  {row.tolerance:<7.0e}  {verdict}")
    return "\n".join(lines)


def ladder(seed: int = 0, networks: int = 50, tolerance: float = TOLERANCE) -> list[Row]:
    """The rows of all rungs, on `networks` random networks with the activations in turn and random losses."""
    validate.count("networks", networks)
    rng = np.random.default_rng(validate.count("seed", seed, least=0))
    rows = []

    def add(prefix: str, found: list[dict[str, float]]) -> None:
        """Add a row for each name in `found`, a list of {name: error}, with its largest error."""
        for name in dict.fromkeys(name for errors in found for name in errors):
            errors = [errors[name] for errors in found if name in errors]
            allowed = SINGLE if "float32" in name else tolerance
            rows.append(Row(f"{prefix}{name}", float(np.max(errors)), allowed, len(errors)))  # NaN if any is NaN

    for name, s in ACTIVATIONS.items():
        add(f"{name}: ", [_activation_errors(s, rng) for _ in range(networks)])
    for name, loss in LOSSES.items():
        add(f"{name}: ", [_loss_errors(loss, rng) for _ in range(networks)])
    for name, (layer, width) in LAYERS.items():
        errors = [max(layer_errors(layer, rng, width=width).values()) for _ in range(networks)]
        add(f"{name}: ", [{"four rules": error} for error in errors])
    add("linear-Gaussian policy: ", [policy_errors(POLICIES[i % len(POLICIES)], rng) for i in range(networks + 2)])
    add("sampled policy: ", [sample_errors(rng) for _ in range(min(networks, 3))])
    for name, mine, whole in fixtures():
        rows.append(Row(f"whole numbers, {name}", float(np.max(np.abs(mine - whole))), 0.0, 1))

    names = list(ACTIVATIONS)
    problems = [Problem.draw(rng, activation=names[i % len(names)]) for i in range(networks)]
    add("networks, ", [_network_errors(problem, rng, tolerance) for problem in problems])
    add("networks, ", [equation_errors(problem) for problem in problems[:max(3, networks // 4)]])  # a quarter: they are slow
    return rows


# -- the relative errors of some rungs ------------------------------------------------------------------------


def _activation_errors(s: Activation, rng: np.random.Generator) -> dict[str, float]:
    z = rng.uniform(-6, 6, 20)
    first, second = (lambda z: s.first(z, s.value(z))), (lambda z: s.second(z, s.value(z)))
    errors = {"s'": relative_error(first(z), complex_step(s.value, z, np.ones_like(z)))}
    if s.curved:
        errors["s''"] = relative_error(second(z), complex_step(first, z, np.ones_like(z)))
    return errors


def _loss_errors(loss: Loss, rng: np.random.Generator) -> dict[str, float]:
    z, r, y = 2 * rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    if loss.name == "cross_entropy":
        y = np.eye(4)[rng.integers(4, size=3)]
    gradient, hvp = (loss.gradient(z, y) * r).sum(-1), loss.hvp(z, y, r)
    return {
        "dl/dz": relative_error(gradient, complex_step(lambda z: loss.value(z, y), z, r)),
        "(d2l/dz2) r": relative_error(hvp, complex_step(lambda z: loss.gradient(z, y), z, r)),
    }


def _network_errors(problem: Problem, rng: np.random.Generator, tolerance: float) -> dict[str, float]:
    options = {"theta": problem.theta, "batch": problem.batch, "inner_lr": problem.inner_lr, "tolerance": tolerance}
    return {name: result.error for name, result in run_checks(problem.model, rng, **options)[0].items()}
