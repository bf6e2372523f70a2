"""From settings to a network, a stream of tasks and a gradient: sinusoids, two toy families of classes, and Omniglot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from tinymaml.baselines import pretraining_gradient, told
from tinymaml.maml import meta_gradient
from tinymaml.models import MLP
from tinymaml.parameters import Parameters
from tinymaml.settings import Settings
from tinymaml.tasks import Episodes, Glyphs, Planes, Sinusoids, TaskBatch, pool, split

PURPOSES = ("initialisation", "training tasks", "testing tasks", "classes")
EXAMPLES = 20  # of each class in a pool, as many as Omniglot has
INPUTS = {"sinusoids": 1, "planes": 10, "glyphs": 256, "omniglot": 784}
TRANSFER_CLASSES = 200  # to train one classifier on where the family has no end of classes


def stream(seed: int, purpose: str) -> np.random.Generator:
    """The generator of one purpose: the same seed gives every method the same tasks."""
    return np.random.default_rng([seed, PURPOSES.index(purpose)])


def model(settings: Settings) -> MLP:
    """The network that is trained. The oracle has two more inputs, transfer as many outputs as there are classes."""
    inputs = INPUTS[settings.problem] + 2 * (settings.method == "oracle")
    outputs = 1 if not settings.classifies else settings.ways
    if settings.method == "transfer":
        outputs = len(training_source(settings))
    loss = "cross_entropy" if settings.classifies else "squared_error"
    return MLP((inputs, *settings.hidden, outputs), settings.activation, loss)


def initialisation(settings: Settings) -> Parameters:
    """The random theta that training starts from."""
    return model(settings).init(stream(settings.seed, "initialisation"), settings.dtype)


def sampler(settings: Settings) -> Callable[[np.random.Generator], TaskBatch]:
    """sample(rng): the next batch of training tasks, as the method is shown it."""
    sizes = {"tasks": settings.tasks, "shots": settings.shots, "queries": settings.queries, "dtype": settings.dtype}
    if not settings.classifies:
        sample = partial(Sinusoids().sample, **sizes)
        return (lambda rng: told(sample(rng))) if settings.method == "oracle" else sample
    if settings.method == "transfer":
        return partial(_labelled, training_source(settings), settings)
    return partial(Episodes(training_source(settings), settings.ways, settings.shuffled).sample, **sizes)


def new_tasks(settings: Settings, tasks: int, queries: int) -> TaskBatch:
    """`tasks` tasks that no method has trained on, the same for all; of classes never seen, where there are classes.

    queries: of a task, or of each of its classes. The oracle is told its task here too.
    """
    sizes = {"tasks": tasks, "shots": settings.shots, "queries": queries, "dtype": settings.dtype}
    source = Episodes(testing_source(settings), settings.ways) if settings.classifies else Sinusoids()
    batch = source.sample(stream(settings.seed, "testing tasks"), **sizes)
    return told(batch) if settings.method == "oracle" else batch


def gradient(settings: Settings) -> Callable[[Parameters, TaskBatch], Any]:
    """gradient(theta, batch): what the method moves theta along."""
    if settings.method in ("maml", "first-order"):
        first_order = settings.method == "first-order"
        inner = {"inner_lr": settings.inner_lr, "steps": settings.steps, "first_order": first_order}
        return partial(meta_gradient, model(settings), **inner)
    return partial(pretraining_gradient, model(settings))


def start_of_adaptation(settings: Settings, theta: Parameters, batch: TaskBatch) -> tuple[MLP, Parameters, TaskBatch]:
    """What new tasks are adapted with: a network, its parameters, and the tasks as it sees them.

    After transfer that is a new head, a single layer from zeros, on what the trained network below its own head makes
    of the inputs. All else adapts the trained network itself.
    """
    net = model(settings)
    if settings.method != "transfer":
        return net, theta, batch
    features = lambda x: forward(net, *layers(net, theta), x)[1][net.depth - 1]  # (T, n, d_{L-1})
    seen = replace(batch, x_support=features(batch.x_support), x_query=features(batch.x_query))
    head = MLP((net.widths[-2], settings.ways), settings.activation, "cross_entropy")
    return head, Parameters({name: np.zeros(shape, settings.dtype) for name, shape in head.shapes.items()}), seen


def training_source(settings: Settings) -> Any:
    """Where the classes to train on come from: an array (classes, examples, ...), or a family without end."""
    if settings.problem == "planes" and not settings.classes and settings.method != "transfer":
        return Planes()
    return _classes(settings.problem, settings.seed, settings.classes, settings.data)[0]


def testing_source(settings: Settings) -> Any:
    """Where new classes come from, none of them among the training classes."""
    if settings.problem == "planes":
        return Planes()
    return _classes(settings.problem, settings.seed, settings.classes, settings.data)[1]


@lru_cache(maxsize=2)
def _classes(problem: str, seed: int, classes: int, data: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The training classes and the testing classes of one seed, as arrays."""
    rng = stream(seed, "classes")
    if problem == "planes":
        return pool(Planes(), rng, classes=classes or TRANSFER_CLASSES, examples=EXAMPLES), None
    if problem == "glyphs":
        drawn = pool(Glyphs(), rng, classes=classes + 500, examples=EXAMPLES)
        return split(rng, drawn, classes)
    from tinymaml.tasks.omniglot import load, rotations  # only here: it needs Pillow, to decode the archive

    train, test = load(data).split(rng, classes or None)
    return rotations(train), rotations(test)


def _labelled(source: np.ndarray, settings: Settings, rng: np.random.Generator) -> TaskBatch:
    """Labelled examples of all training classes: one task with a class for every label, of twice `tasks` x `ways` examples."""
    count, parts = settings.tasks * settings.ways, []
    for _ in range(2):
        label, which = (rng.integers(below, size=count) for below in source.shape[:2])
        x = source[label, which]
        x = np.multiply(x, 1 / 255, dtype=settings.dtype) if x.dtype == np.uint8 else x.astype(settings.dtype)
        y = np.zeros((1, count, len(source)), settings.dtype)
        y[0, np.arange(count), label] = 1
        parts += [x[None], y]
    return TaskBatch(*parts)
