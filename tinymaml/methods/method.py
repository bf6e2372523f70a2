"""`Method`: the description of a method that training, comparison, figures and the command line use.

To add a method, add a file to this folder that ends in `METHOD = Method(...)`, and list it in
`tinymaml/methods/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinymaml.maml import Surface
from tinymaml.parameters import Parameters
from tinymaml.settings import Option, PlotStyle, Settings
from tinymaml.tasks.batch import TaskBatch
from tinymaml.tasks.family import Family, ModelSpec

Gradient = Callable[[Parameters, TaskBatch, int], Any]  # gradient(theta, batch, iteration): see `train`
Sample = Callable[[np.random.Generator], TaskBatch]  # sample(rng): the next batch of training tasks


@dataclass(frozen=True)
class OuterGradient:
    """The loss of a batch that training reports, a mean over tasks, and the gradient for the outer optimiser."""

    loss: float
    gradient: Parameters


@dataclass(frozen=True)
class Start:
    """The setup for adapting to new tasks: model, initial parameters, tasks, and inner learning rate.

    theta is shared by all tasks; the inputs of `batch` are in the form that the model takes; inner_lr is alpha,
    as in `adapt`.
    """

    model: Any
    theta: Parameters
    batch: TaskBatch
    inner_lr: Any

    @property
    def network(self) -> Any:
        """The network, without a wrapper such as `Proximal` or `BlackBoxModel`."""
        return getattr(self.model, "model", self.model)


class WrappedSurface:
    """The loss surface of a wrapped network: `surface` is the network's own; subclasses define another gradient."""

    surface: Surface

    @property
    def loss(self) -> np.ndarray:
        """The loss of each task on the network itself, (T,)."""
        return self.surface.loss

    @property
    def prediction(self) -> np.ndarray:
        """The prediction of the network."""
        return self.surface.prediction

    @property
    def cost(self) -> np.ndarray:
        """The cost of a policy, (T,)."""
        return self.surface.cost


def family_sampler(family: Family, settings: Settings) -> Sample:
    """The default sampler: training tasks of the family, with the numbers and the precision of the settings."""
    counts = {"tasks": settings.tasks, "shots": settings.shots, "queries": settings.queries, "dtype": settings.dtype}
    return partial(family.training(settings).sample, **counts)


@dataclass(frozen=True)
class Method:
    """A method: how it trains theta, and how it adapts to new tasks. Omitted fields take the defaults below.

    name, help       its name, and a sentence for --help
    style            its label and its line style in every figure
    gradient         gradient(model, settings): the `Gradient` for `train`; None if the method is not trained
    sizes            sizes(family, settings): the specification of its network
    initial          initial(model, settings, rng): initial values of all trained parameters, which checkpoints store
    sampler          sampler(family, settings): the sampler of training tasks
    start            start(family, settings, trained): the setup for adapting to new tasks; trained is the setup with the
                     trained network, which is the default
    copies           copies(settings): the number of adapted copies of theta that training stores at once for each task, by
                     default one per inner step; 0 if training has no inner loop
    adapts           whether it adapts to new tasks; if not, the trained parameters are evaluated as they are
    uses_inner_lr    uses_inner_lr(settings): whether it adapts to new tasks with the setting inner_lr
    supports         supports(family): whether it can be trained on this family
    options          the settings that only some methods have
    unused           unused(settings): {name: reason, such as "for this method"} of settings that have no effect
    default          whether a comparison without --methods includes it
    """

    name: str
    help: str
    style: PlotStyle
    gradient: Callable[[Any, Settings], Gradient] | None
    sizes: Callable[[Family, Settings], ModelSpec] = lambda family, settings: family.sizes(settings)
    initial: Callable[[Any, Settings, np.random.Generator], Parameters] = (
        lambda model, settings, rng: model.init(rng, settings.dtype)
    )
    sampler: Callable[[Family, Settings], Sample] = family_sampler
    start: Callable[[Family, Settings, Start], Start] = lambda family, settings, trained: trained
    copies: Callable[[Settings], int] = lambda settings: settings.options.get("steps", 0)
    adapts: bool = True
    uses_inner_lr: Callable[[Settings], bool] = lambda settings: True
    supports: Callable[[Family], bool] = lambda family: True
    options: tuple[Option, ...] = ()
    unused: Callable[[Settings], Mapping[str, str]] = lambda settings: {}
    default: bool = True
