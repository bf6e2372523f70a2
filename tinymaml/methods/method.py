"""`Method`: all that training, comparison, figures and the command line need to know of a method.

A new method is a new file in this folder that ends in `METHOD = Method(...)`, and one name in `tinymaml/methods/__init__.py`.
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
from tinymaml.tasks.family import Family, ModelSpec

Gradient = Callable[[Parameters, TaskBatch, int], Any]  # gradient(theta, batch, iteration): see `train`
Sample = Callable[[np.random.Generator], TaskBatch]  # sample(rng): the next batch of training tasks


@dataclass(frozen=True)
class OuterGradient:
    """The loss that training reports for a batch, a mean over tasks, and the gradient that theta moves along."""

    loss: float
    gradient: Parameters


@dataclass(frozen=True)
class Start:
    """The setup of adaptation to new tasks: a model, its initial parameters, the tasks as the model sees them, and the rate.

    inner_lr is alpha, as in `adapt`.
    """

    model: Any
    theta: Parameters
    batch: TaskBatch
    inner_lr: Any

    @property
    def network(self) -> Any:
        """The network, without a proximal term and with its exact gradient: it predicts."""
        return getattr(self.model, "model", self.model)


def family_sampler(family: Family, settings: Settings) -> Sample:
    """The training tasks of the family."""
    counts = {"tasks": settings.tasks, "shots": settings.shots, "queries": settings.queries, "dtype": settings.dtype}
    return partial(family.training(settings).sample, **counts)


@dataclass(frozen=True)
class Method:
    """A method: how theta is trained, and how new tasks are adapted to. Omitted fields take the defaults below.

    name, help       its name, and a sentence for --help
    style            its label, and its line in every figure
    gradient         gradient(model, settings) is the `Gradient` for `train`; None: it is not trained
    sizes            sizes(family, settings): the specification of its network
    initial          initial(model, settings, rng): the initial values of all that is trained; a checkpoint has the same names
    sampler          sampler(family, settings): the training tasks
    start            start(family, settings, trained): the setup of adaptation to new tasks, from the trained one
    copies           copies(settings): the number of adapted copies of theta that training keeps at once of each task
    adapts           whether it adapts to new tasks; if not, the trained parameters are evaluated
    uses_inner_lr    uses_inner_lr(settings): whether it adapts to new tasks at the setting inner_lr
    supports         supports(family): whether the family has what it needs
    lr_to_lower      the setting to lower when training diverges
    options          the settings that only some methods have
    unused           unused(settings): the settings without effect under the others, and where: {name: "for this method"}
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
    copies: Callable[[Settings], int] = lambda settings: 0
    adapts: bool = True
    uses_inner_lr: Callable[[Settings], bool] = lambda settings: True
    supports: Callable[[Family], bool] = lambda family: True
    lr_to_lower: str = "outer_lr"
    options: tuple[Option, ...] = ()
    unused: Callable[[Settings], Mapping[str, str]] = lambda settings: {}
    default: bool = True
