"""From settings to a run on disk: train it, resume it from its checkpoint, load it, evaluate it on new tasks."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np

from tinymaml import methods, tasks, validate
from tinymaml.experiment import checkpoint, memory
from tinymaml.experiment.folders import locked
from tinymaml.experiment.options import refuse_unknown, resolve
from tinymaml.experiment.terminal import defer_signals
from tinymaml.methods.method import Gradient, Sample, Start
from tinymaml.nn.network import Network
from tinymaml.parameters import Parameters
from tinymaml.settings import Settings, as_dict, differences, rng_for
from tinymaml.tasks import TaskBatch
from tinymaml.training.evaluation import Curve, chunk_size, constant, curve, evaluate, width
from tinymaml.training.loop import Diverged, TrainingState, initial_state, train
from tinymaml.training.optimizers import Adam

THETAS = 6  # theta, its gradient, Adam's two moments, and the temporaries of one step of Adam
FORMED = 3  # the adapted copy, its gradient, and u_k of the backward recursion (eq. 12)

# -- from settings ----------------------------------------------------------------------------------


def model(settings: Settings) -> Network:
    """The network that the method trains on tasks of the family."""
    sizes = methods.named(settings.method).sizes(tasks.named(settings.family), settings)
    return sizes.network(settings.hidden, settings.activation)


def initialisation(settings: Settings) -> Parameters:
    """The initial parameters: a random theta, and other parameters that the method trains."""
    return methods.named(settings.method).initial(model(settings), settings, rng_for(settings.seed, "initialisation"))


def sampler(settings: Settings) -> Sample:
    """The method's sample(rng), which returns the next batch of training tasks."""
    return methods.named(settings.method).sampler(tasks.named(settings.family), settings)


def gradient(settings: Settings) -> Gradient:
    """The method's gradient(theta, batch, iteration). ValueError for a method that is not trained."""
    method = methods.named(settings.method)
    if method.gradient is None:
        trained = ", ".join(each.name for each in methods.METHODS if each.gradient)
        raise ValueError(f"method {method.name} is not trained: choose one of {trained}")
    return method.gradient(model(settings), settings)


def new_tasks(settings: Settings, count: int, queries: int, seed: int | None = None) -> TaskBatch:
    """`count` testing tasks, the same for all methods; tasks made of classes have classes that training does not use.

    `queries` is the number of query examples per task, or per class. `seed` is that of these tasks, by default that of the
    run; the split into training and testing classes always depends on the seed of the run.
    """
    seed = settings.seed if seed is None else validate.count("seed", seed, least=0)
    fits(settings, count, queries)
    source = tasks.named(settings.family).testing(settings)
    counts = {"tasks": count, "shots": settings.shots, "queries": queries, "dtype": settings.dtype}
    return source.sample(rng_for(seed, "testing tasks"), **counts)


def fits(settings: Settings, count: int = 0, queries: int = 0) -> None:
    """ValueError if training, or adapting to `count` new tasks, needs more memory than this machine has; allocates little.

    The estimate is a lower bound, so that no run that would fit is refused. It counts pools of classes, the batch, THETAS
    arrays as large as theta, the activations of all rows (twice in training, for the R-operator), and FORMED arrays per
    adapted copy for those matrices of theta that are smaller than their factors (eq. 14). The size of a batch is linear in
    shots and queries, so two draws of one task determine it.
    """
    family, method, dtype = tasks.named(settings.family), methods.named(settings.method), settings.dtype
    number, queries = (count, queries) if count else (settings.tasks, settings.queries)
    lower = [f"--{name}" for name in ("classes", "ways", "steps", "pairs", "tries") if name in settings.options]
    lower = ", ".join([*lower, "--tasks, --shots or --queries"])
    memory.fit({lower: family.working_bytes(settings)})  # before `model`, which may draw classes
    network, size = model(settings), np.dtype(dtype).itemsize
    theta = {} if count else {"--width": THETAS * size * sum(map(math.prod, network.shapes.values()))}
    memory.fit(theta)  # before drawing a task, which may first draw a pool of classes

    def extent(n: int) -> np.ndarray:
        """(rows, bytes) of the support and the query set of a task with n shots and queries, as integers without overflow."""
        if count:
            sample = partial(family.testing(settings).sample, tasks=1, shots=n, queries=n, dtype=dtype)
        else:
            sample = method.sampler(family, replace(settings, tasks=1, shots=n, queries=n))
        batch = sample(np.random.default_rng(0))
        sets = (batch.x_support, batch.y_support), (batch.x_query, batch.y_query)
        return np.array([(math.prod(x.shape[:2]), x.nbytes + y.nbytes) for x, y in sets], object)

    one, more = extent(1), np.array([[settings.shots - 1], [queries - 1]], object)
    (support, query), (support_bytes, query_bytes) = (one + more * (extent(2) - one)).T
    data, units = support_bytes + query_bytes, width(network)
    if count:
        rows = max(support, query)
        chunk = min(count, chunk_size(network, rows, dtype))
        return memory.fit({"--tasks or --shots": count * data + size * chunk * rows * units})
    copies = method.copies(settings)
    rows = max(1, copies) * support
    formed = sum(math.prod(shape) for shape in network.shapes.values() if math.prod(shape) <= rows * sum(shape))
    batch = number * (data + size * (2 * (rows + query) * units + copies * FORMED * formed))
    return memory.fit(theta | {lower: batch, "--iterations": 8 * settings.iterations})


def adaptation_setup(settings: Settings, theta: Parameters, batch: TaskBatch) -> Start:
    """The method's setup for adapting to the new tasks in `batch`, given the trained theta."""
    trained = Start(model(settings), theta, batch, settings.inner_lr)
    return methods.named(settings.method).start(tasks.named(settings.family), settings, trained)


def evaluate_method(settings: Settings, theta: Parameters, batch: TaskBatch, steps: int) -> Curve:
    """The family's metric on new tasks after 0..steps steps from the trained theta.

    Tasks are evaluated in chunks, since a method may prepare them with a larger model than the one that adapts.
    """
    metric, adapts = tasks.named(settings.family).metric, methods.named(settings.method).adapts
    chunk = chunk_size(model(settings), max(batch.x_support.shape[1], batch.x_query.shape[1]), settings.dtype)

    def values_of(part: TaskBatch) -> np.ndarray:
        setup = adaptation_setup(settings, theta, part)
        if adapts:
            return evaluate(setup.model, setup.theta, setup.batch, inner_lr=setup.inner_lr, steps=steps, metric=metric).values
        here = setup.model.at(setup.theta, setup.batch.x_query, setup.batch.y_query)
        return constant(metric.value(here, setup.batch.y_query), steps).values

    values = [values_of(batch[first:first + chunk]) for first in range(0, len(batch), chunk)]
    return curve(np.concatenate(values, axis=1), diverges=metric.diverges)


# -- on disk -------------------------------------------------------------------------------------------------


def run(settings: Settings, path: Path, *, resume: bool = False, progress: bool = True) -> TrainingState:
    """Train with these settings and save checkpoints in `path`; with `resume`, continue from it if it exists.

    ValueError if the checkpoint has other settings; Diverged names the rates to lower. A run that does not resume a
    checkpoint never overwrites it, and the folder is locked against other processes.
    """
    settings, path = resolve(settings), Path(path)
    fits(settings)
    method, optimizer = methods.named(settings.method), Adam(settings.outer_lr, settings.half_life)
    method_gradient = gradient(settings)
    with locked(path.parent):
        if path.exists():
            if not resume:
                raise ValueError(f"{path} holds an earlier run: resume it (resume=True, or --resume), or choose another folder")
            state = _resumed(path, settings)
        else:
            state = initial_state(initialisation(settings), optimizer, rng_for(settings.seed, "training tasks"))
        facts = asdict(stored(settings))

        def save(state: TrainingState) -> None:
            with defer_signals():
                checkpoint.save(path, state, facts)

        label = method.style.label if progress else None
        schedule = {"optimizer": optimizer, "iterations": settings.iterations, "save": save, "label": label}
        try:
            return train(method_gradient, sampler(settings), state, **schedule)
        except Diverged as error:
            rates = _suspects(method, settings, error.iteration)
            given = " and ".join(f"{name} {rate:g}" for name, rate in rates.items())
            lower = " or ".join(f"{name} {rate / 10:g}" for name, rate in rates.items())
            kept = f"; the state before it is saved in {path}" * path.exists()
            hint = f"{error.what} with {given}: try {lower}{kept}"
            raise Diverged(error.iteration, hint) from error


def _suspects(method: methods.Method, settings: Settings, iteration: int) -> dict[str, float]:
    """The learning rates that may have made training diverge: not outer_lr before the first outer step."""
    adapts = method.copies(settings) > 0 and "inner_lr" not in method.unused(settings)
    rates = {"inner_lr": settings.inner_lr} if adapts else {}
    return rates if rates and iteration == 1 else {"outer_lr": settings.outer_lr} | rates


def stored(settings: Settings) -> Settings:
    """The settings to store in a checkpoint: a digest of the data replaces their folder."""
    content = tasks.named(settings.family).content
    return replace(settings, options={**settings.options, "data": content(settings)}) if content else settings


def load_run(path: Path, data: str | None = None) -> tuple[TrainingState, Settings]:
    """The state and the settings of a run; `data` is the folder of its data, for a family that reads files.

    ValueError if the checkpoint is of another version, or was trained on other data.
    """
    state, stored_settings = checkpoint.load(path)
    try:
        kept = resolve(Settings(**stored_settings))
        if {**asdict(kept), "hidden": list(kept.hidden)} != stored_settings:
            raise ValueError("they belong to another version")
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{path}: its settings are not valid here ({error}): train again or name another file") from error
    family = tasks.named(kept.family)
    if data is not None and not family.content:
        refuse_unknown(["data"], family, [methods.named(kept.method)])
    settings = resolve(replace(kept, options={**kept.options, "data": data or ""})) if family.content else kept
    if differences(stored(settings), kept):
        remedy = "pass the folder of its training data with --data"
        raise ValueError(f"{path} was trained on other data than those in {data}: {remedy}")
    return state, settings


def _resumed(path: Path, settings: Settings) -> TrainingState:
    """The state in `path`, which must have the same settings, except for the number of iterations."""
    state, had = load_run(path, settings.options.get("data"))
    for name in differences(replace(had, iterations=settings.iterations), settings):
        was, now = (as_dict(each).get(name) for each in (had, settings))
        raise ValueError(f"{path} was trained with {name} {was}, not {now}: ask for the same, or choose another folder")
    return state
