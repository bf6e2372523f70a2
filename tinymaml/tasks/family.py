"""`Family`: the description of a family of tasks that training, comparison, figures and the command line use.

To add a family, add a file to this folder that ends in `FAMILY = Family(...)`, and list it in `tinymaml/tasks/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from tinymaml.maml import adapt
from tinymaml.nn.models import MLP
from tinymaml.nn.network import Network
from tinymaml.parameters import Parameters
from tinymaml.settings import Option, PlotStyle, Settings, as_dict
from tinymaml.tasks.batch import TaskBatch
from tinymaml.training.evaluation import Metric


class Source(Protocol):
    """A distribution over tasks; `shots` and `queries` are counts per task, or per class of a task."""

    def sample(self, rng: np.random.Generator, *, tasks: int, shots: int, queries: int, dtype: str) -> TaskBatch: ...


@dataclass(frozen=True)
class ModelSpec:
    """The numbers of inputs and outputs of a network, its loss, and the norm before its activations."""

    inputs: int
    outputs: int
    loss: str
    norm: str = "none"

    def network(self, hidden: tuple[int, ...], activation: str) -> Network:
        """The network with these `hidden` layers."""
        return MLP((self.inputs, *hidden, self.outputs), activation, self.loss, self.norm)


@dataclass(frozen=True)
class Baseline:
    """A predictor without training and adaptation: value(batch) is its metric on every task's query set, (T,)."""

    name: str
    style: PlotStyle
    value: Callable[[TaskBatch], np.ndarray]


@dataclass(frozen=True)
class Published:
    """A published result: {steps: value in the units of our tables}, and its `settings`, {field or option: value}."""

    settings: Mapping[str, Any]
    values: Mapping[int, float]


@dataclass(frozen=True)
class Family:
    """A family of tasks.

    name, help         its name, and a sentence for --help
    title              title(settings): the heading of tables, such as "5-shot sinusoids"
    sizes              sizes(settings): a `ModelSpec`, or another object with its method `network`
    metric             the metric that is evaluated on new tasks
    training           training(settings): a source of tasks to train on
    testing            testing(settings): a source of new tasks, the same for every method
    test_tasks, test_queries    the number of new tasks in a comparison, and of query examples per task or per class
    figures            {file name: f}: f(comparison) returns a figure, or None if there is nothing to draw
    report_steps       the numbers of inner steps that tables show, between 0 and 10
    defaults           {setting: value} where its default differs from that of `Settings` or of the option
    shots              the values of --shots that a comparison runs by default; empty: only the default of `shots`
    options            the settings that only some families have
    training_only      the names of options that affect training tasks but not new tasks
    baselines          predictors without training and adaptation
    paper              the results of Finn, Abbeel and Levine (2017), each with all settings that it depends on
    with_task_params   with_task_params(batch): the tasks with their parameters appended to the inputs, for the oracle
    working_bytes      working_bytes(settings): a lower bound on the bytes for drawing tasks, without those of the tasks
    classes            classes(settings): the training classes (classes, examples, ...), for tasks made of classes
    content            content(settings): a digest of the files in the folder of the option `data`, for a family with this
                       option; it identifies the data of a run independently of the folder
    """

    name: str
    help: str
    title: Callable[[Settings], str]
    sizes: Callable[[Settings], ModelSpec]
    metric: Metric
    training: Callable[[Settings], Source]
    testing: Callable[[Settings], Source]
    test_tasks: int
    test_queries: int
    figures: Mapping[str, Callable[[Any], Any]]
    report_steps: tuple[int, ...] = (0, 1, 5, 10)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    shots: tuple[int, ...] = ()
    options: tuple[Option, ...] = ()
    training_only: tuple[str, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    paper: tuple[Published, ...] = ()
    with_task_params: Callable[[TaskBatch], TaskBatch] | None = None
    working_bytes: Callable[[Settings], int] = lambda settings: 0
    classes: Callable[[Settings], np.ndarray] | None = None
    content: Callable[[Settings], str] | None = None

    def reported(self, settings: Settings) -> Mapping[int, float] | None:
        """The paper's result for these settings, {steps: value}, or None if there is none."""
        given = as_dict(settings).items()
        return next((each.values for each in self.paper if each.settings.items() <= given), None)


# -- shared by the figures ---------------------------------------------------------------------------------------


def drawn_starts(comparison: Any) -> dict[str, Any]:
    """The `Start` of MAML and of pre-training if the comparison includes one of them, else of its first two methods."""
    starts = comparison.starts
    names = [name for name in ("maml", "pretraining") if name in starts] or list(starts)[:2]
    return {name: starts[name] for name in names}


def adapted_by_steps(start: Any, tasks: int, *steps: int) -> dict[int, Parameters]:
    """{k: theta_k} after each of these numbers of `steps`, for the first `tasks` new tasks: (tasks, ...)."""
    batch, theta = start.batch[:tasks], start.theta
    shared = theta.map(lambda array: np.broadcast_to(array, (len(batch), *array.shape)))
    return {
        k: adapt(start.model, theta, batch.x_support, batch.y_support, inner_lr=start.inner_lr, steps=k) if k else shared
        for k in steps
    }
