"""What a method says of itself: all that training, comparison, figures and the command line need to know of it.

A new method is a new file beside this one that ends in `METHOD = Method(...)`, and one name in
`tinymaml/methods/__init__.py`. What it does not say is as it is for most methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinymaml.parameters import Parameters
from tinymaml.settings import Option, PlotStyle, Settings
from tinymaml.tasks.batch import TaskBatch
from tinymaml.tasks.family import Family, Sizes

Gradient = Callable[[Parameters, TaskBatch, int], Any]  # gradient(theta, batch, iteration): see `train`
Sample = Callable[[np.random.Generator], TaskBatch]  # sample(rng): the next batch of training tasks


@dataclass(frozen=True)
class Start:
    """What new tasks are adapted with: a model, the parameters to start from, the tasks as the model sees them, the rate.

    inner_lr is whatever `adapt` takes for one.
    """

    model: Any
    theta: Parameters
    batch: TaskBatch
    inner_lr: Any

    @property
    def network(self) -> Any:
        """The network itself, without a proximal term and with its exact gradient: it predicts."""
        return getattr(self.model, "model", self.model)


def sizes_of_family(family: Family, settings: Settings) -> Sizes:
    """The network that the family's tasks need."""
    return family.sizes(settings)


def random_theta(model: Any, settings: Settings, rng: np.random.Generator) -> Parameters:
    """The model's own random initialisation."""
    return model.init(rng, settings.dtype)


def tasks_of_family(family: Family, settings: Settings) -> Sample:
    """The family's tasks as they are drawn."""
    counts = {"tasks": settings.tasks, "shots": settings.shots, "queries": settings.queries, "dtype": settings.dtype}
    return partial(family.training(settings).sample, **counts)


def what_was_trained(family: Family, settings: Settings, trained: Start) -> Start:
    """The trained network itself."""
    return trained


@dataclass(frozen=True)
class Method:
    """A method: how theta is trained, and what is made of it on new tasks.

    name, help    what it is called, and a sentence on it for --help
    style         its label, and its line in every figure
    gradient      gradient(model, settings) is the `Gradient` that training calls; None: it is not trained
    sizes         sizes(family, settings): what its network must fit
    initial       initial(model, settings, rng): all that is trained, as it is before; a checkpoint holds the same names
    shown         shown(family, settings): the training tasks as the method is shown them
    start         start(family, settings, trained): what new tasks are adapted with, from what the training ended with
    copies        copies(settings): how many adapted copies of theta training keeps at once of each task
    adapts        whether it adapts to new tasks at all; if not it is judged as it stands
    rated         rated(settings): whether new tasks are adapted to at the setting inner_lr
    applies       applies(family): whether the family has what it needs
    rate          the setting to lower when training diverges
    options       the settings that it has and not every method has
    unused        unused(settings): those that change nothing under the others, and where: {name: "for this method"}
    compared      whether a comparison that asks for no methods includes it
    """

    name: str
    help: str
    style: PlotStyle
    gradient: Callable[[Any, Settings], Gradient] | None
    sizes: Callable[[Family, Settings], Sizes] = sizes_of_family
    initial: Callable[[Any, Settings, np.random.Generator], Parameters] = random_theta
    shown: Callable[[Family, Settings], Sample] = tasks_of_family
    start: Callable[[Family, Settings, Start], Start] = what_was_trained
    copies: Callable[[Settings], int] = lambda settings: 0
    adapts: bool = True
    rated: Callable[[Settings], bool] = lambda settings: True
    applies: Callable[[Family], bool] = lambda family: True
    rate: str = "outer_lr"
    options: tuple[Option, ...] = ()
    unused: Callable[[Settings], Mapping[str, str]] = lambda settings: {}
    compared: bool = True
