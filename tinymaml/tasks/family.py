"""What a family of tasks says of itself: all that training, comparison, figures and the command line need to know of it.

A new family is a new file beside this one that ends in `FAMILY = Family(...)`, and one name in `tinymaml/tasks/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from tinymaml.nn.models import MLP
from tinymaml.nn.network import Network
from tinymaml.settings import Option, PlotStyle, Settings, as_dict
from tinymaml.tasks.batch import TaskBatch
from tinymaml.training.evaluation import Metric


class Source(Protocol):
    """Where tasks come from: `shots` and `queries` are of a task, or of each of its classes."""

    def sample(self, rng: np.random.Generator, *, tasks: int, shots: int, queries: int, dtype: str) -> TaskBatch: ...


@dataclass(frozen=True)
class ModelSpec:
    """What a network must fit: the width of its inputs, of its outputs, and the loss; and the norm before its activations."""

    inputs: int
    outputs: int
    loss: str
    norm: str = "none"

    def network(self, hidden: tuple[int, ...], activation: str) -> Network:
        """The network of these sizes with `hidden` layers in between."""
        return MLP((self.inputs, *hidden, self.outputs), activation, self.loss, self.norm)


@dataclass(frozen=True)
class Baseline:
    """A predictor that neither trains nor adapts: value(batch) is its metric on every task's query set, (T,)."""

    name: str
    style: PlotStyle
    value: Callable[[TaskBatch], np.ndarray]


@dataclass(frozen=True)
class Published:
    """What a paper reports of these `settings`, fields or options by name: {steps: value as in our tables}."""

    settings: Mapping[str, Any]
    values: Mapping[int, float]


@dataclass(frozen=True)
class Family:
    """A family of tasks.

    name, help      what it is called, and a sentence on it for --help
    title           title(settings): what tables call its tasks, such as "5-shot sinusoids"
    sizes           sizes(settings): what a network must fit, `ModelSpec` or another object with its method `network`
    metric          what new tasks are judged by
    training        training(settings): a source of tasks to train on
    testing         testing(settings): a source of new tasks, the same for every method
    test_tasks, test_queries    how many of them a comparison draws, with how many query examples
    defaults        the settings whose defaults it changes
    shots           those that a comparison runs when none are asked, if not only the default
    options         the settings that it has and not every family has
    training_only   those of them that new tasks do not depend on
    baselines       what does not adapt
    paper           what Finn, Abbeel and Levine (2017) report, each under all settings that it depends on: `Published`
    report_steps    after which numbers of steps, of 0 to 10, a table shows it
    figures         {file name: f}, f(comparison): the figures of a comparison; None draws nothing
    with_task_params    with_task_params(batch): the tasks with their parameters beside the inputs, for the oracle
    scratch         scratch(settings, tasks, queries): the bytes, at least, that drawing tasks takes beside the tasks
    classes         classes(settings): the training classes (classes, examples, ...), if the tasks are made of classes
    content         content(settings): a digest of the files in the folder that the option `data` names, if it has one: a run is
                    known by what they hold, wherever they are
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
    scratch: Callable[[Settings, int, int], int] = lambda settings, tasks, queries: 0
    classes: Callable[[Settings], np.ndarray] | None = None
    content: Callable[[Settings], str] | None = None

    def reported(self, settings: Settings) -> Mapping[int, float] | None:
        """What the paper reports of this very task, network and method: {steps: value}, None if nothing."""
        asked = as_dict(settings).items()
        return next((each.values for each in self.paper if each.settings.items() <= asked), None)
