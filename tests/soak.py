"""The soak: every property test with ten times the examples, and every check on random models, until the time is over.

    python tests/soak.py --minutes 60 --seed 1         # ends with exit status 1 if anything failed
    python tests/soak.py --part cnn --draw 123         # one draw again, as the failure said

All that is drawn is right, so whatever a check rejects here is a fault of the check. Pytest does not collect this file.
"""

import argparse
import os
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np

from tinymaml.check import Derivation, MetaDerivation, check_equation, check_model
from tinymaml.check.equations import EQUATIONS, Given
from tinymaml.check.ladder import ladder
from tinymaml.check.problem import Problem, random_batch
from tinymaml.nn.activations import ACTIVATIONS
from tinymaml.nn.chain import Chain
from tinymaml.nn.convolution import Flatten
from tinymaml.nn.layers import Affine, Elementwise
from tinymaml.nn.losses import LOSSES
from tinymaml.nn.models import CNN, MLP, RNN
from tinymaml.nn.network import Network
from tinymaml.nn.normalisation import BatchNorm, LayerNorm
from tinymaml.nn.recurrent import Recurrent
from tinymaml.parameters import Parameters
from tinymaml.rl.exact import LinearPolicy
from tinymaml.rl.sampled import SampledPolicy, with_noise
from tinymaml.tasks import TaskBatch

TESTS = Path(__file__).parent
LADDER = 20  # networks of one ladder

# -- models, each from one generator ----------------------------------------------------------------------------


def one_of(rng: np.random.Generator, choices: Any) -> Any:
    return list(choices)[rng.integers(len(choices))]


def mlp(rng: np.random.Generator) -> Network:
    widths = [int(d) for d in rng.integers(1, 7, rng.integers(2, 5))]
    return MLP(widths, one_of(rng, ACTIVATIONS), one_of(rng, LOSSES))


def norm(rng: np.random.Generator) -> Network:
    """A norm between the layers, first, last, or in a chain within the chain."""
    d, kind = int(rng.integers(2, 7)), one_of(rng, (BatchNorm, LayerNorm))
    inner = [Affine(d, d, 1), kind(d, 1), Elementwise(one_of(rng, ACTIVATIONS), 1)]
    layers = one_of(rng, (inner, [kind(d, 0), *inner], [Affine(d, d, 0), Chain(inner)], [*inner, Affine(d, d, 2), kind(d, 2)]))
    return Network([*layers, Affine(d, int(rng.integers(2, 4)), 3)], one_of(rng, LOSSES))


def cnn(rng: np.random.Generator) -> Network:
    side, filters, ways = (int(rng.integers(*ends)) for ends in ((3, 7), (2, 5), (2, 5)))
    options = {"norm": one_of(rng, ("none", "batch", "layer")), "activation": one_of(rng, ACTIVATIONS)}
    return CNN(side, filters, int(rng.integers(1, 3)), ways, **options)


def rnn(rng: np.random.Generator) -> Network:
    """One of `models`, or one with another activation and a norm in its cell."""
    x, h, y, steps = (int(size) for size in rng.integers(1, 4, 4))
    if rng.random() < 0.5:
        return RNN(x, h, y, steps, activation=one_of(rng, ("tanh", "sigmoid", "softplus", "relu")))
    norms = [LayerNorm(h + 1, "h")] if rng.random() < 0.5 else [BatchNorm(h + 1, "h")]
    cell = Chain([Affine(x + h + 1, h + 1, "h"), *norms, Elementwise(one_of(rng, ACTIVATIONS), "h")])
    return Network([Recurrent(cell, steps), Affine(h + 1, y, "y"), Flatten(steps, y)])


def policy(rng: np.random.Generator) -> LinearPolicy:
    noise, discount = rng.uniform(0.01, 1), rng.uniform(0.3, 1)
    return LinearPolicy(int(rng.integers(2, 5)), int(rng.integers(1, 6)), noise, discount)


def sampled(rng: np.random.Generator) -> SampledPolicy:
    network = MLP([2, int(rng.integers(1, 5)), 2], one_of(rng, ACTIVATIONS))
    hessian, limit = one_of(rng, ("surrogate", "lvc", "dice")), one_of(rng, (None, 0.3))
    return SampledPolicy(
        network, int(rng.integers(1, 5)), rng.uniform(0.05, 1), rng.uniform(0.3, 1), hessian=hessian, max_step=limit,
        cost=one_of(rng, ("squared", "distance", "saturated")),
    )  # fmt: skip


@dataclass(frozen=True)
class Real:
    """A network that takes real numbers only, so that it is checked by differences."""

    network: Network

    init = property(lambda self: self.network.init)

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Any:
        if np.iscomplexobj(theta.flat):
            raise TypeError("real numbers only")
        return self.network.at(theta, x, y)


def real(rng: np.random.Generator) -> Real:
    return Real(mlp(rng))


MODELS = {"mlp": mlp, "norm": norm, "cnn": cnn, "rnn": rnn, "real": real, "policy": policy, "sampled policy": sampled}

# -- one draw of each part: whatever it raises is a failure -------------------------------------------------------


def battery(kind: str, rng: np.random.Generator) -> None:
    """check_model on data that it makes, or on our own; also where a relu has a kink: zero biases, black pixels."""
    model, inner_lr = MODELS[kind](rng), one_of(rng, (0.005, 0.05, 0.3))
    own = {}
    if isinstance(model, Real):
        own = {"batch": random_batch(model.network, rng, tasks=3, shots=4, queries=4)}
    elif not isinstance(model, Network):
        normal = lambda n, d: rng.standard_normal((3, n, d))
        width = 2 if isinstance(model, SampledPolicy) else model.inputs
        batch = TaskBatch(*(normal(4, d) for d in (width, 2, width, 2)))
        own = {"batch": with_noise(batch, rng, model.horizon) if isinstance(model, SampledPolicy) else batch}
    elif rng.random() < 0.3:
        batch = random_batch(model, rng, tasks=3, shots=4, queries=4)
        black = lambda x: x * (rng.random(x.shape) < 0.6)
        own = {"batch": TaskBatch(black(batch.x_support), batch.y_support, black(batch.x_query), batch.y_query)}
    if rng.random() < 0.3:
        scale = one_of(rng, (0.3, 1.0))
        theta = model.init(rng)
        own["theta"] = theta.map(lambda array: array + scale * rng.standard_normal(array.shape))
        if rng.random() < 0.3:
            own["theta"] = theta.map(lambda array: array if len(array) > 1 else 0 * array)  # biases of zero
    check_model(model, rng, inner_lr=inner_lr, **own)


def derivation(rng: np.random.Generator) -> None:
    """Every quantity by its name, as the library has it."""
    model = MODELS[one_of(rng, ("mlp", "norm", "cnn", "rnn"))](rng)
    theta = model.init(rng).map(lambda array: array + 0.3 * rng.standard_normal(array.shape))
    v = theta.map(lambda array: rng.standard_normal(array.shape))
    batch = random_batch(model, rng, tasks=1, shots=int(rng.integers(2, 5)), queries=1)
    x, y = batch.x_support[0], batch.y_support[0]
    found, here = Derivation(model, theta, x, y, v=v), model.at(theta, x, y)
    quantities = {**here.quantities, **here.along(v).quantities, "loss": here.loss, "gradient": here.gradient, "hvp": here.hvp(v)}
    for name in found.names:
        found.check(name, quantities[name])


def meta_derivation(rng: np.random.Generator) -> None:
    """Eqs. 11 to 13, as the library has them."""
    from tinymaml import adapt, meta_gradient

    problem = Problem.draw(rng, steps=int(rng.integers(1, 4)))
    options = {"inner_lr": one_of(rng, (0.01, 0.1, 0.3)), "steps": problem.steps}
    found = MetaDerivation(problem.model, problem.theta, problem.batch, **options)
    meta = meta_gradient(problem.model, problem.theta, problem.batch, **options)
    for name in ("loss", "gradient", "first_order", "curvature"):
        found.check(name, getattr(meta, name))
    for k in range(problem.steps + 1):
        found.check(f"u[{k}]", meta.u[k].dense())
    batch = problem.batch
    found.check(f"theta[{problem.steps}]", adapt(problem.model, problem.theta, batch.x_support, batch.y_support, **options))


def equations(rng: np.random.Generator) -> None:
    """Eqs. 19 to 22, as the library has them."""
    problem = Problem.draw(rng, steps=int(rng.integers(1, 4)))
    options = {"inner_lr": one_of(rng, (0.01, 0.1)), "steps": problem.steps}
    for number in (19, 20, 21):
        given = Given(problem.model, problem.theta, problem.batch, **options)
        check_equation(number, EQUATIONS[number].mine(given), problem.model, problem.theta, problem.batch, **options)


def one_ladder(seed: int) -> None:
    wrong = [row for row in ladder(seed, LADDER) if not row.right]
    assert not wrong, f"WRONG: {wrong}"


PARTS: dict[str, Callable[[int], None]] = {
    **{kind: lambda seed, kind=kind: battery(kind, np.random.default_rng(seed)) for kind in MODELS},
    "derivation": lambda seed: derivation(np.random.default_rng(seed)),
    "meta-derivation": lambda seed: meta_derivation(np.random.default_rng(seed)),
    "equations": lambda seed: equations(np.random.default_rng(seed)),
    "ladder": one_ladder,
}
SECONDS = {"ladder": 40.0}  # of a round; else 20


def properties(seed: int) -> tuple[int, list[str]]:
    """All property tests in a process of their own: how many there are, and the failures."""
    command = f"-m pytest -q -m hypothesis --hypothesis-profile=soak --hypothesis-seed={seed} -p no:cacheprovider"
    done = subprocess.run([sys.executable, *command.split(), str(TESTS)], capture_output=True, text=True)
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.M)
    ran = sum(int(number) for number in re.findall(r"(\d+) (?:passed|failed)", done.stdout))
    if done.returncode and not failed:
        failed = [str(TESTS)]
    if failed:
        print("\n".join(re.findall(r"^(?:E  |FAILED|ERROR).*", done.stdout, re.M)) or done.stdout[-6000:])
    return ran, [f"python {command} {test}" for test in failed]


def soak(minutes: float, seed: int) -> int:
    """Rounds of all parts until the time is over; prints a line a part, and returns how many draws failed."""
    end, counts, failures = time.monotonic() + 60 * minutes, dict.fromkeys(["properties", *PARTS], 0), []

    def report(part: str, command: str, error: str = "") -> None:
        failures.append((part, command))
        print(f"FAILED {part}: {command}\n{error}", flush=True)

    for turn in count():
        for part, check in PARTS.items():
            until = min(end, time.monotonic() + SECONDS.get(part, 20.0))
            for done in count():
                if done and time.monotonic() > until:
                    break
                draw = 10**9 * seed + 10**6 * turn + done
                counts[part] += 1
                try:
                    with redirect_stdout(StringIO()):
                        check(draw)
                except Exception:
                    report(part, f"python tests/soak.py --part '{part}' --draw {draw}", traceback.format_exc(limit=-3))
        ran, failed = properties(1000 * seed + turn)
        counts["properties"] += ran
        for command in failed:
            report("properties", command)
        if time.monotonic() > end:
            break
    for part, number in counts.items():
        failed = sum(one == part for one, _ in failures)
        print(f"{part:<16}{number:>8} run {failed:>6} failed")
    print("\n".join(["", *(command for _, command in failures)]))
    return len(failures)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", choices=PARTS, help="one draw of one part")
    parser.add_argument("--draw", type=int, default=0)
    given = parser.parse_args()
    if given.part:
        PARTS[given.part](given.draw)
        return 0
    return 1 if soak(given.minutes, given.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
