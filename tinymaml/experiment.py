"""One training run on disk: begun, or resumed from its checkpoint, and opened again to be evaluated."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from tinymaml import checkpoint
from tinymaml.optimizers import Adam
from tinymaml.problems import gradient, initialisation, model, sampler, stream
from tinymaml.settings import METHODS, Settings, differences
from tinymaml.training import Diverged, TrainingState, begin, train


def run(settings: Settings, path: Path, *, resume: bool = False, progress: bool = True) -> TrainingState:
    """Train as the settings say, with the checkpoint in `path`; `resume` goes on from it if it is there.

    ValueError if the checkpoint is of other settings; Diverged says which rate to lower. An existing checkpoint is
    never overwritten by a run that does not resume it.
    """
    path = Path(path)
    optimizer = Adam(settings.outer_lr, settings.half_life)
    if path.exists():
        if not resume:
            raise ValueError(f"{path} holds an earlier run: add --resume to go on with it, or choose another folder")
        state = _restore(path, settings)
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
        name = "inner_lr" if settings.method in ("maml", "first-order") else "outer_lr"
        rate = getattr(settings, name)
        hint = f"{error.what} with {name} {rate:g}: try {rate / 10:g}; the state before it is saved in {path}"
        raise Diverged(error.iteration, hint) from error


def reopen(path: Path) -> tuple[TrainingState, Settings]:
    """A trained run with its own settings. ValueError for a checkpoint that does not fit the network they describe."""
    state, stored = checkpoint.load(path)
    try:
        settings = Settings(**stored)
        expected = model(settings).shapes
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} holds settings that make no sense here ({error}): name another file") from error
    got = {name: array.shape for name, array in state.theta.items()}
    if got != expected:
        raise ValueError(f"{path} holds a network of another architecture, {got}, expected {expected}: name another file")
    return state, settings


def _restore(path: Path, settings: Settings) -> TrainingState:
    """The state in `path`, which must come from the same settings; more iterations may be asked."""
    state, stored = reopen(path)
    for name in differences(replace(stored, iterations=settings.iterations), settings):
        raise ValueError(
            f"{path} was trained with {name} {getattr(stored, name)}, asked for was {getattr(settings, name)}: "
            "ask for the same, or choose another folder"
        )
    return state
