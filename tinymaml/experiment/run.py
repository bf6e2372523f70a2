"""From settings to a run on disk: begun, or resumed from its checkpoint, and opened again to be judged on new tasks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinymaml import methods, tasks, validate
from tinymaml.experiment import checkpoint, memory, sound
from tinymaml.experiment.folders import claimed
from tinymaml.experiment.options import checked, refusal
from tinymaml.experiment.signals import undisturbed
from tinymaml.methods.method import Gradient, Sample, Start
from tinymaml.nn.network import Network
from tinymaml.parameters import Parameters
from tinymaml.settings import Settings, differences, flattened, stream
from tinymaml.tasks import TaskBatch
from tinymaml.training.evaluation import Curve, chunk_size, constant, curve, evaluate
from tinymaml.training.loop import Diverged, TrainingState, initial_state, train
from tinymaml.training.optimizers import Adam

# -- what the settings mean ----------------------------------------------------------------------------------


def model(settings: Settings) -> Network:
    """The network that is trained: what the method makes of what the family needs."""
    sizes = methods.named(settings.method).sizes(tasks.named(settings.family), settings)
    return sizes.network(settings.hidden, settings.activation)


def initialisation(settings: Settings) -> Parameters:
    """What training starts from: a random theta, and whatever else the method trains."""
    return methods.named(settings.method).initial(model(settings), settings, stream(settings.seed, "initialisation"))


def sampler(settings: Settings) -> Sample:
    """sample(rng): the next batch of training tasks, as the method is shown it."""
    return methods.named(settings.method).sampler(tasks.named(settings.family), settings)


def gradient(settings: Settings) -> Gradient:
    """gradient(theta, batch, iteration): what the method moves theta along. ValueError for one that is not trained."""
    method = methods.named(settings.method)
    if method.gradient is None:
        trained = ", ".join(each.name for each in methods.METHODS if each.gradient)
        raise ValueError(f"method {method.name} is not trained: choose one of {trained}")
    return method.gradient(model(settings), settings)


def new_tasks(settings: Settings, count: int, queries: int, seed: int | None = None) -> TaskBatch:
    """`count` tasks that no method has trained on, the same for all; of classes never seen, where there are classes.

    queries: of a task, or of each of its classes. seed: which of these tasks, by default that of the run; which classes were
    trained on is the run's alone.
    """
    seed = settings.seed if seed is None else validate.count("seed", seed, least=0)
    fits(settings, count, queries)
    source = tasks.named(settings.family).testing(settings)
    counts = {"tasks": count, "shots": settings.shots, "queries": queries, "dtype": settings.dtype}
    return source.sample(stream(seed, "testing tasks"), **counts)


def fits(settings: Settings, count: int = 0, queries: int = 0) -> None:
    """ValueError if training needs more memory than there is, or, given their `count`, new tasks do; nothing is allocated."""
    family, method = tasks.named(settings.family), methods.named(settings.method)
    number, asked = (count, queries) if count else (settings.tasks, settings.queries)
    lower = "".join(f"--{name}, " for name in ("classes", "ways") if name in settings.options) + "--tasks, --shots or --queries"
    memory.fit({lower: family.scratch(settings, number, asked)})  # before classes are drawn, which the network may depend on
    network = model(settings)
    theta = {} if count else {"--width": memory.thetas(network, settings.dtype)}
    memory.fit(theta)

    def one(shots: int, queries: int) -> TaskBatch:
        least, rng = replace(settings, tasks=1, shots=shots, queries=queries), np.random.default_rng(0)
        if not count:
            return method.sampler(family, least)(rng)
        return family.testing(settings).sample(rng, tasks=1, shots=shots, queries=queries, dtype=settings.dtype)

    extent = memory.extent(one, number, settings.shots, asked)
    if count:
        return memory.fit(memory.judging(network, extent, count, settings.dtype))
    needs = memory.training(network, extent, settings.tasks, settings.dtype, method.copies(settings))
    return memory.fit(theta | needs | {"--iterations": 8 * settings.iterations})


def start(settings: Settings, theta: Parameters, batch: TaskBatch) -> Start:
    """What new tasks are adapted with, given what training ended with."""
    trained = Start(model(settings), theta, batch, settings.inner_lr)
    return methods.named(settings.method).start(tasks.named(settings.family), settings, trained)


def judge(settings: Settings, theta: Parameters, batch: TaskBatch, steps: int) -> Curve:
    """The family's metric on new tasks after 0..steps steps, given what training ended with.

    A few tasks at a time, as a method may look at them with a larger model than the one that adapts.
    """
    memory.fit({"--steps": 8 * (steps + 1) * len(batch)})
    metric, adapts = tasks.named(settings.family).metric, methods.named(settings.method).adapts
    chunk = chunk_size(model(settings), max(batch.x_support.shape[1], batch.x_query.shape[1]), settings.dtype)

    def judged(part: TaskBatch) -> np.ndarray:
        begun = start(settings, theta, part)
        if adapts:
            return evaluate(begun.model, begun.theta, begun.batch, inner_lr=begun.inner_lr, steps=steps, metric=metric).values
        here = begun.model.at(begun.theta, begun.batch.x_query, begun.batch.y_query)
        return constant(metric.value(here, begun.batch.y_query), steps).values

    values = [judged(batch[first:first + chunk]) for first in range(0, len(batch), chunk)]
    return curve(np.concatenate(values, axis=1), diverges=metric.diverges)


# -- on disk -------------------------------------------------------------------------------------------------


def run(settings: Settings, path: Path, *, resume: bool = False, progress: bool = True) -> TrainingState:
    """Train as the settings say, with the checkpoint in `path`; `resume` goes on from it if it is there.

    ValueError if the checkpoint is of other settings; Diverged says which rate to lower. An existing checkpoint is
    never overwritten by a run that does not resume it, and nobody else runs in its folder meanwhile.
    """
    settings = checked(settings)
    fits(settings)
    with claimed(Path(path).parent):
        return _run(settings, path, resume, progress)


def _run(settings: Settings, path: Path, resume: bool, progress: bool) -> TrainingState:
    """`run`, in a folder that is ours."""
    path, method = Path(path), methods.named(settings.method)
    optimizer, moves = Adam(settings.outer_lr, settings.half_life), gradient(settings)
    if path.exists():
        if not resume:
            raise ValueError(f"{path} holds an earlier run: resume it (resume=True, or --resume), or choose another folder")
        state = _restore(path, settings)
    else:
        state = initial_state(initialisation(settings), optimizer, stream(settings.seed, "training tasks"))
    kept = asdict(stored(settings))

    def save(state: TrainingState) -> None:
        with undisturbed():
            checkpoint.save(path, state, kept)

    try:
        return train(
            moves,
            sampler(settings),
            state,
            optimizer=optimizer,
            iterations=settings.iterations,
            save=save,
            label=method.look.label if progress else None,
        )
    except Diverged as error:
        rate = flattened(settings)[method.lr_to_lower]
        hint = f"{error.what} with {method.lr_to_lower} {rate:g}: try {rate / 10:g}; the state before it is saved in {path}"
        raise Diverged(error.iteration, hint) from error


def stored(settings: Settings) -> Settings:
    """The settings as a file keeps them: with what the data are in place of the folder that they are in."""
    content = tasks.named(settings.family).content
    return replace(settings, options={**settings.options, "data": content(settings)}) if content else settings


def reopen(path: Path, data: str | None = None) -> tuple[TrainingState, Settings]:
    """A trained run with its own settings, and the folder `data`, where its family reads files, in place of their content.

    ValueError for a checkpoint that does not fit what they describe, and for other data than those that it was trained on.
    """
    state, facts = checkpoint.load(path)
    with _of_file(path):
        kept = _described(facts)
    family = tasks.named(kept.family)
    if data is not None and not family.content:
        raise ValueError(refusal("data", family, [methods.named(kept.method)]))
    settings = checked(replace(kept, options={**kept.options, "data": data or ""})) if family.content else kept
    if differences(stored(settings), kept):
        raise ValueError(f"{path} was trained on other data than {data} holds: name the folder of its own with --data")
    with _of_file(path):
        memory.fit({"--classes, --ways or --shots": tasks.named(settings.family).scratch(settings, 1, 1)})
        if sum(map(math.prod, model(settings).shapes.values())) > state.theta.size:  # before as much is allocated
            raise ValueError("it is of another architecture: theta has fewer numbers than its settings say")
        state = sound.agreeing(state, initialisation(settings), Adam(settings.outer_lr, settings.half_life))
        if state.iteration > settings.iterations:
            raise ValueError(f"it has done {state.iteration} iterations, and its settings say {settings.iterations}")
    return state, settings


@contextmanager
def _of_file(path: Path) -> Iterator[None]:
    """Errors inside are faults of the file."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}: train again or name another file") from error


def _described(stored: dict[str, Any]) -> Settings:
    """The settings from what a file has of them, all of which it must have."""
    lacking = {each.name for each in fields(Settings)} ^ stored.keys()
    if lacking:
        raise ValueError(f"{validate.told(min(lacking))} is a setting of its own, or of this version, only")
    try:
        settings = Settings(**stored)
        complete = checked(settings)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"its settings make no sense here ({error})") from error
    if lacking := complete.options.keys() - settings.options.keys():
        raise ValueError(f"its settings have no {min(lacking)}")
    return complete


def _restore(path: Path, settings: Settings) -> TrainingState:
    """The state in `path`, which must come from the same settings; more iterations may be asked."""
    state, had = reopen(path, settings.options.get("data"))
    for name in differences(replace(had, iterations=settings.iterations), settings):
        was, asked = (flattened(each).get(name) for each in (had, settings))
        raise ValueError(
            f"{path} was trained with {name} {was}, asked for was {asked}: ask for the same, or choose another folder"
        )
    return state
