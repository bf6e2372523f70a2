"""One training run from its settings: which network, which tasks, which gradient; begun or resumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tinymaml import checkpoint, validate
from tinymaml.baselines import pretraining_gradient, told
from tinymaml.maml import meta_gradient
from tinymaml.mlp import MLP
from tinymaml.optimizers import OPTIMIZERS
from tinymaml.tasks import Sinusoids, TaskBatch
from tinymaml.training import Diverged, TrainingState, begin, train

METHODS = {
    "maml": "MAML",
    "first-order": "first-order MAML",
    "pretraining": "pre-trained",
    "oracle": "oracle",
}


@dataclass(frozen=True)
class Settings:
    """What can be set in a run on sinusoids; the defaults are the paper's, but for a shorter training.

    tasks, shots, queries    of one meta-batch: how many tasks, support and query points of each
    steps, inner_lr          the inner loop, in training
    outer_lr, optimizer      the outer loop
    width, activation        of the two hidden layers
    """

    method: str = "maml"
    shots: int = 5
    queries: int = 10
    tasks: int = 25
    steps: int = 1
    inner_lr: float = 0.01
    outer_lr: float = 0.001
    optimizer: str = "adam"
    width: int = 40
    activation: str = "relu"
    iterations: int = 15_000
    seed: int = 0
    dtype: str = "float64"

    def __post_init__(self) -> None:
        validate.one_of("method", self.method, METHODS)
        validate.one_of("optimizer", self.optimizer, OPTIMIZERS)
        validate.one_of("dtype", self.dtype, ("float64", "float32"))
        for name in ("shots", "queries", "tasks", "steps", "width", "iterations"):
            validate.count(name, getattr(self, name))
        validate.count("seed", self.seed, least=0)
        for name in ("inner_lr", "outer_lr"):
            validate.rate(name, getattr(self, name))
        model(self)  # refuses an unknown activation


def stream(seed: int, purpose: str) -> np.random.Generator:
    """The generator of one purpose: the same seed gives every method the same tasks."""
    purposes = ("initialisation", "training tasks", "testing tasks")
    return np.random.default_rng([seed, purposes.index(purpose)])


def model(settings: Settings) -> MLP:
    """The paper's network; the oracle's has two more inputs, amplitude and phase."""
    inputs = 3 if settings.method == "oracle" else 1
    return MLP((inputs, settings.width, settings.width, 1), settings.activation, "squared_error")


def sampler(settings: Settings) -> Callable[..., TaskBatch]:
    """sample(rng), with other numbers of tasks, shots and queries as keywords: what the method is shown."""
    sample = partial(
        Sinusoids().sample, tasks=settings.tasks, shots=settings.shots, queries=settings.queries, dtype=settings.dtype
    )
    return (lambda rng, **sizes: told(sample(rng, **sizes))) if settings.method == "oracle" else sample


def gradient(settings: Settings) -> Callable:
    """gradient(theta, batch): what the method moves theta along."""
    if settings.method in ("pretraining", "oracle"):
        return partial(pretraining_gradient, model(settings))
    first_order = settings.method == "first-order"
    return partial(
        meta_gradient, model(settings), inner_lr=settings.inner_lr, steps=settings.steps, first_order=first_order
    )


def initialisation(settings: Settings):
    """The random theta that training starts from."""
    return model(settings).init(stream(settings.seed, "initialisation"), settings.dtype)


def run(settings: Settings, path: Path, *, resume: bool = False, progress: bool = True) -> TrainingState:
    """Train as the settings say, with the checkpoint in `path`; `resume` goes on from it if it is there.

    ValueError if the checkpoint is of other settings; Diverged says which rate to lower. An existing checkpoint is
    never overwritten by a run that does not resume it.
    """
    path = Path(path)
    optimizer = OPTIMIZERS[settings.optimizer](settings.outer_lr)
    if path.exists():
        if not resume:
            raise ValueError(f"{path} holds an earlier run: add --resume to go on with it, or choose another folder")
        state = restore(path, settings)
    else:
        state = begin(initialisation(settings), optimizer, stream(settings.seed, "training tasks"))
    try:
        return train(
            gradient(settings),
            sampler(settings),
            state,
            optimizer=optimizer,
            iterations=settings.iterations,
            save=lambda state: checkpoint.save(path, state, asdict(settings)),
            label=METHODS[settings.method] if progress else None,
        )
    except Diverged as error:
        name = "outer_lr" if settings.method in ("pretraining", "oracle") else "inner_lr"
        rate = getattr(settings, name)
        hint = f"{error.what} with {name} {rate:g}: try {rate / 10:g}; the state before it is saved in {path}"
        raise Diverged(error.iteration, hint) from error


def restore(path: Path, settings: Settings) -> TrainingState:
    """The state in `path`, which must come from the same settings; more iterations may be asked."""
    state, stored = checkpoint.load(path)
    wanted = asdict(settings)
    for name in wanted:
        if name != "iterations" and stored.get(name) != wanted[name]:
            raise ValueError(
                f"{path} was trained with {name} {stored.get(name)}, asked for was {wanted[name]}: "
                "ask for the same, or choose another folder"
            )
    fits(path, state, settings)
    return state


def reopen(path: Path) -> tuple[TrainingState, Settings]:
    """A trained run with its own settings."""
    state, stored = checkpoint.load(path)
    try:
        settings = Settings(**stored)
    except TypeError as error:
        raise ValueError(f"{path} holds settings of another version of tinymaml ({error}): train again") from error
    fits(path, state, settings)
    return state, settings


def fits(path: Path, state: TrainingState, settings: Settings) -> None:
    """ValueError unless the parameters in the checkpoint are those of the network its settings describe."""
    expected = model(settings).shapes
    got = {name: array.shape for name, array in state.theta.items()}
    if got != expected:
        raise ValueError(f"{path} holds a network of another architecture, {got}, expected {expected}: name another file")
