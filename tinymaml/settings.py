"""What a training run is declared with: its settings, the options of families and methods, how rows are drawn, its randomness."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np

from tinymaml import validate
from tinymaml.nn.activations import ACTIVATIONS


@dataclass(frozen=True)
class Settings:
    """One training run. The defaults are the paper's for its sine waves, but for a shorter training.

    tasks, shots, queries    of one meta-batch: how many tasks; support and query examples of each, or of each class
    inner_lr                 the rate of the inner loop, in training and on new tasks
    outer_lr, half_life      the outer loop: Adam's rate, and in how many iterations it falls to a half (0: never)
    hidden, activation       the widths of the hidden layers and what follows them
    options                  the settings that the family or the method declares
    `settings_for` (experiment/options.py) makes them for a family and a method, with the defaults of both.
    """

    family: str
    method: str
    shots: int = 5
    queries: int = 10
    tasks: int = 25
    inner_lr: float = 0.01
    outer_lr: float = 0.001
    half_life: int = 0
    hidden: tuple[int, ...] = (40, 40)
    activation: str = "relu"
    iterations: int = 15_000
    seed: int = 0
    dtype: str = "float64"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        validate.one_of("activation", self.activation, ACTIVATIONS)
        validate.one_of("dtype", self.dtype, ("float64", "float32"))
        kept = {name: plain(getattr(self, name)) for name in ("family", "method", "activation", "dtype")}
        kept |= {name: validate.count(name, getattr(self, name)) for name in ("shots", "queries", "tasks", "iterations")}
        kept |= {name: validate.count(name, getattr(self, name), least=0) for name in ("seed", "half_life")}
        kept |= {name: validate.rate(name, getattr(self, name)) for name in ("inner_lr", "outer_lr")}
        if not isinstance(self.hidden, list | tuple):
            raise TypeError(f"hidden is {validate.brief(self.hidden)}, expected the widths of the hidden layers: pass (40, 40)")
        if not isinstance(self.options, Mapping):
            raise TypeError(f"options are {validate.brief(self.options)}, expected names and values: pass a dict")
        kept["hidden"] = tuple(validate.count("width", width) for width in self.hidden)
        kept["options"] = {name: plain(value) for name, value in self.options.items()}
        for name, value in kept.items():  # NumPy's numbers as Python's, which a checkpoint can keep
            object.__setattr__(self, name, value)


def plain(value: Any) -> Any:
    """A number, name or flag of NumPy's as one of Python's."""
    return value.item() if isinstance(value, np.generic) else value


FIELDS = tuple(each.name for each in fields(Settings) if each.name not in ("family", "method", "options"))


def differences(one: Settings, other: Settings) -> list[str]:
    """The names of the settings in which two runs differ."""
    one, other = as_dict(one), as_dict(other)
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]


def as_dict(settings: Settings) -> dict[str, Any]:
    """Every setting by name, the options among the others."""
    shared = {each.name: getattr(settings, each.name) for each in fields(Settings) if each.name != "options"}
    return {**shared, **settings.options}


@dataclass(frozen=True)
class Option:
    """One such setting; on the command line it is --name, and a switch if its default is False.

    default    what it is when nothing is asked; its type is the type of every value
    help       what it says, in one line
    check      check(name, value) is the value to keep, or raises a ValueError or TypeError that says what was wanted
    changes    {value: {name: default}}: the defaults of other settings that come with a value of this one
    """

    name: str
    default: Any
    help: str
    check: Callable[[str, Any], Any]
    changes: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)


def one_of(*known: str) -> Callable[[str, Any], str]:
    """A check that lets these values pass."""

    def check(name: str, value: Any) -> str:
        validate.one_of(name, value, known)
        return value

    return check


class PlotStyle(NamedTuple):
    """Label, colour (Okabe and Ito's set, which the colour-blind tell apart), line style and marker, as matplotlib names them."""

    label: str
    colour: str
    line: Any = "-"
    marker: str | None = None


PURPOSES = ("initialisation", "training tasks", "testing tasks", "classes", "perturbations")


def rng_for(seed: int, purpose: str, *iteration: int) -> np.random.Generator:
    """The generator of one purpose, or of one iteration of it: the same seed gives every method the same tasks."""
    return np.random.default_rng([seed, PURPOSES.index(purpose), *iteration])
