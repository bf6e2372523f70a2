"""The options, baselines and figures that all families of N-way K-shot classification share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import isqrt
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.nn.convolution import Patches
from tinymaml.nn.models import CNN
from tinymaml.nn.network import Network
from tinymaml.nn.normalisation import NORMS
from tinymaml.parameters import Parameters
from tinymaml.settings import Option, PlotStyle, Settings, one_of
from tinymaml.tasks.batch import TaskBatch
from tinymaml.tasks.episodes import Episodes, nearest_neighbour
from tinymaml.tasks.family import Baseline, Family, ModelSpec, adapted_by_steps
from tinymaml.training.evaluation import ACCURACY

EXAMPLES = 20  # per class of a pool, as in Omniglot

OPTIONS = (
    Option("ways", 5, "classes per task, N", partial(validate.count, least=2)),
    Option("classes", 0, "number of training classes (0: all)", partial(validate.count, least=0)),
    Option(
        "fixed_labels", False, "give a class the same label in all training tasks; MAML then memorises (needs --classes)",
        validate.flag,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Images(ModelSpec):
    """A network for square images: an MLP on the pixels, or a CNN with one block per entry of `hidden`."""

    model: str = "mlp"

    def network(self, hidden: tuple[int, ...], activation: str) -> Network:
        if self.model == "mlp" or not hidden:
            return super().network(hidden, activation)
        if len(set(hidden)) > 1:
            raise ValueError(f"hidden is {hidden}, expected the same number of filters in every block: ask for one --width")
        return CNN(isqrt(self.inputs), hidden[0], len(hidden), self.outputs, norm=self.norm, activation=activation)


def of_images(blocks: int, filters: int = 16) -> tuple[Option, ...]:
    """The options of a family of images: the model, with the defaults that `--model cnn` implies, and the norm."""
    cnn = {"hidden": (filters,) * blocks, "activation": "relu", "norm": "batch"}
    return (
        Option("model", "mlp", "network: mlp, or cnn (convolutional)", one_of("mlp", "cnn"), {"cnn": cnn}),
        Option("norm", "none", "normalisation before every activation: batch, layer or none", one_of(*NORMS)),
    )


def _enough(source: Any, settings: Settings, part: str) -> Any:
    """The source; ValueError if it is an array with fewer classes than a task needs."""
    ways, advice = settings.options["ways"], {"train": "ask for more --classes", "test": "train on fewer --classes"}
    if isinstance(source, np.ndarray) and len(source) < ways:
        raise ValueError(
            f"ways is {ways} and there are {len(source)} classes to {part} on: ask for fewer --ways, or {advice[part]}"
        )
    return source


BASELINES = (
    Baseline(
        "nearest",
        PlotStyle("nearest neighbour", "#332288", (0, (8, 2))),
        lambda batch: (nearest_neighbour(batch).argmax(-1) == batch.y_query.argmax(-1)).mean(-1),
    ),
    Baseline(  # a uniform guess among the N classes
        "chance", PlotStyle("chance", "#000000", (0, (1, 3))), lambda batch: np.full(len(batch), 1 / batch.y_query.shape[-1])
    ),
)


def labels(batch: TaskBatch) -> tuple[np.ndarray, np.ndarray]:
    """The labels of the support and of the query examples of the first task."""
    return batch.y_support[0].argmax(-1), batch.y_query[0].argmax(-1)


def before_and_after(start: Any) -> dict[str, Parameters]:
    """The parameters of the first new task before adaptation and after its first step."""
    before, after = (theta.task(0) for theta in adapted_by_steps(start, 1, 0, 1).values())
    return {"before": before, "after 1 step": after}


def episode(comparison: Any) -> Any:
    """The images of one new episode, and the predictions of the first method before and after its first step."""
    from tinymaml.plot import classes as class_plots

    start, batch = next(iter(comparison.starts.values()), None), comparison.batch
    if start is None:
        return None
    x = start.batch.x_query[0]
    predicted = {name: start.network.predict(theta, x).argmax(-1) for name, theta in before_and_after(start).items()}
    return class_plots.episode((batch.x_support[0], batch.x_query[0]), labels(batch), predicted)


def filters(comparison: Any) -> Any:
    """The first-layer kernels of the first method with a CNN, before and after its first step; None without a CNN."""
    from tinymaml.plot import classes as class_plots

    convolutional = lambda start: isinstance(start.network.layers[0], Patches)
    start = next(filter(convolutional, comparison.starts.values()), None)
    if start is None:
        return None
    kernels = {name: theta[start.network.layers[1].W] for name, theta in before_and_after(start).items()}
    before, after = kernels.values()
    return class_plots.filters(kernels | {"ten times the step": 10 * (after - before)})


def classification(
    name: str,
    help: str,
    *,
    inputs: int,
    training: Callable[[Settings], Any],
    testing: Callable[[Settings], Any],
    defaults: Mapping[str, Any],
    options: tuple[Option, ...] = (),
    pooled: Callable[[Settings], int] = lambda settings: 0,
    **more: Any,
) -> Family:
    """A family of N-way tasks: training tasks have classes from `training(settings)`, new tasks from `testing(settings)`.

    Both return a source for `Episodes`. `inputs` is the number of features of an example; pooled(settings) is the number of
    classes that are drawn at once and cached. `more` are other fields of `Family`; `classes` is `training` by default.
    """
    shared = {
        "classes": training, "shots": (1, 5), "figures": {"episode.png": episode, "filters.png": filters},
        "training_only": ("fixed_labels",),
    }  # fmt: skip
    return Family(
        name,
        help,
        title=lambda s: f"{s.options['ways']}-way {s.shots}-shot {name}",
        sizes=lambda s: Images(
            inputs, s.options["ways"], "cross_entropy", s.options.get("norm", "none"), s.options.get("model", "mlp")
        ),
        metric=ACCURACY,
        training=lambda s: Episodes(_enough(training(s), s, "train"), s.options["ways"], not s.options["fixed_labels"]),
        testing=lambda s: Episodes(_enough(testing(s), s, "test"), s.options["ways"]),
        test_tasks=600,
        test_queries=15,
        defaults={"shots": 1, "queries": 5, "inner_lr": 0.4, "activation": "tanh", "dtype": "float32"} | defaults,
        options=(*OPTIONS, *options),
        baselines=BASELINES,
        working_bytes=lambda s: max(
            pooled(s) * EXAMPLES * inputs * 8,  # a pool in float32 and a second copy while it is drawn
            4 * s.options["ways"] ** 2,  # the targets of one task
        ),
        **shared | more,
    )
