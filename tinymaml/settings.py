"""The settings of a training run: options of families and methods, plot styles, random generators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tinymaml import validate
from tinymaml.nn.activations import ACTIVATIONS


def one_of(*known: str) -> Callable[[str, Any], str]:
    """Make a check that accepts only these values."""
    return partial(validate.one_of, known=known)


def _widths(name: str, value: Any) -> tuple[int, ...]:
    validate.require(isinstance(value, list | tuple), name, value, "the widths of the hidden layers: pass (40, 40)")
    return tuple(validate.count("width", width) for width in value)


def _options(name: str, value: Any) -> dict[str, Any]:
    validate.require(isinstance(value, Mapping), name, value, "names and values: pass a dict")
    return {key: plain(each) for key, each in value.items()}


def plain(value: Any) -> Any:
    """A NumPy scalar as a Python number, string or bool, which JSON can store."""
    return value.item() if isinstance(value, np.generic) else value


def _setting(default: Any, check: Callable[[str, Any], Any], help: str) -> Any:
    return field(default=default, metadata={"check": check, "help": help})


@dataclass(frozen=True)
class Settings:
    """The settings of one training run. The defaults are the paper's for sinusoids, with fewer iterations.

    Each field has a check, and a line of help that the command line prints. `options` holds the settings that
    only some families or methods have; `settings_for` (experiment/options.py) fills in the defaults of both.
    """

    family: str
    method: str
    shots: int = _setting(5, validate.count, "support examples per task, or per class of a task (K)")
    queries: int = _setting(10, validate.count, "query examples per training task, or per class of a task")
    tasks: int = _setting(25, validate.count, "tasks per meta-batch; each outer step uses one meta-batch")
    inner_lr: float = _setting(0.01, validate.rate, "inner-loop learning rate, alpha")
    outer_lr: float = _setting(0.001, validate.rate, "outer-loop learning rate (Adam), beta")
    half_life: int = _setting(0, partial(validate.count, least=0), "half-life of outer-lr in iterations (0: constant)")
    hidden: tuple[int, ...] = _setting((40, 40), _widths, "units per hidden layer, or filters per convolutional block")
    activation: str = _setting("relu", one_of(*ACTIVATIONS), f"activation after every hidden layer: {', '.join(ACTIVATIONS)}")
    iterations: int = _setting(15_000, validate.count, "total number of outer steps")
    seed: int = _setting(0, partial(validate.count, least=0), "random seed for the initialisation, the classes and the tasks")
    dtype: str = _setting("float64", one_of("float64", "float32"), "precision: float64 or float32")
    options: Mapping[str, Any] = field(default_factory=dict, metadata={"check": _options})

    def __post_init__(self) -> None:
        for each in fields(self):
            check = each.metadata.get("check", lambda name, value: value)
            object.__setattr__(self, each.name, check(each.name, plain(getattr(self, each.name))))


FIELDS = tuple(each.name for each in fields(Settings) if each.name not in ("family", "method", "options"))


def as_dict(settings: Settings) -> dict[str, Any]:
    """All settings by name, including the options."""
    return {each.name: getattr(settings, each.name) for each in fields(Settings) if each.name != "options"} | settings.options


def differences(one: Settings, other: Settings) -> list[str]:
    """The names of the settings that differ between two runs."""
    one, other = as_dict(one), as_dict(other)
    return [name for name in one | other if one.get(name) != other.get(name)]


@dataclass(frozen=True)
class Option:
    """A setting that only some families or methods have: --name, which is a flag if the default is False.

    default             the default value; all values have its type
    help                one line
    check               check(name, value) returns the value, or raises ValueError or TypeError with a message
    implied_defaults    {value: {name: default}}: defaults of other settings implied by a value
    """

    name: str
    default: Any
    help: str
    check: Callable[[str, Any], Any]
    implied_defaults: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)


class PlotStyle(NamedTuple):
    """The style of a method in plots: label, colour-blind-safe colour, matplotlib line style and marker."""

    label: str
    colour: str
    line: Any = "-"
    marker: str | None = None


PURPOSES = ("initialisation", "training tasks", "testing tasks", "classes", "perturbations")


def rng_for(seed: int, purpose: str, *iteration: int) -> np.random.Generator:
    """The random generator for a purpose, or for one iteration: with the same seed all methods get the same tasks."""
    return np.random.default_rng([seed, PURPOSES.index(purpose), *iteration])
