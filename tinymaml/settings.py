"""What can be set in a training run: what all runs have, and the options of the family and of the method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from tinymaml import methods, tasks, validate
from tinymaml.activations import ACTIVATIONS
from tinymaml.methods import Method
from tinymaml.option import Option
from tinymaml.tasks import Family


@dataclass(frozen=True)
class Settings:
    """One training run. The defaults are the paper's for its sine waves, but for a shorter training.

    tasks, shots, queries    of one meta-batch: how many tasks; support and query examples of each, or of each class
    inner_lr                 the rate of the inner loop, in training and on new tasks
    outer_lr, half_life      the outer loop: Adam's rate, and in how many iterations it falls to a half (0: never)
    hidden, activation       the widths of the hidden layers and what follows them
    options                  the settings that the family or the method declares: those not given have their defaults
    """

    family: str = tasks.FAMILIES[0].name
    method: str = methods.METHODS[0].name
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
        family, method = tasks.named(self.family), methods.named(self.method)
        if not method.applies(family):
            able = ", ".join(each.name for each in methods.METHODS if each.applies(family))
            raise ValueError(f"method {method.name} does not apply to {family.name}: choose one of {able}")
        validate.one_of("activation", self.activation, ACTIVATIONS)
        validate.one_of("dtype", self.dtype, ("float64", "float32"))
        for name in ("shots", "queries", "tasks", "iterations"):
            validate.count(name, getattr(self, name))
        for name in ("seed", "half_life"):
            validate.count(name, getattr(self, name), least=0)
        for name in ("inner_lr", "outer_lr"):
            validate.rate(name, getattr(self, name))
        object.__setattr__(self, "hidden", tuple(validate.count("width", width) for width in self.hidden))
        object.__setattr__(self, "options", _completed(self.options, family, method))


FIELDS = tuple(each.name for each in fields(Settings) if each.name not in ("family", "method", "options"))


def declared(*several: Family | Method) -> dict[str, Option]:
    """The options of some families and methods, by name."""
    return {option.name: option for each in several for option in each.options}


def refusal(name: str, family: Family, several: Sequence[Method]) -> str:
    """What to say of an option that neither the family nor any of the methods declares."""
    families = [each.name for each in tasks.FAMILIES if name in declared(each)]
    able = [each.name for each in methods.METHODS if name in declared(each)]
    if not families and not able:
        known = (*FIELDS, *declared(*tasks.FAMILIES, *methods.METHODS))
        return f"there is no setting {name!r}: choose among {', '.join(known)}"
    lacking = family.name if families else " and ".join(method.name for method in several)
    return f"--{name.replace('_', '-')} is for {', '.join(families + able)}, not for {lacking}: leave it out"


def _completed(given: Mapping[str, Any], family: Family, method: Method) -> dict[str, Any]:
    """The value of every option that the two declare, checked; ValueError for one that neither does."""
    known = declared(family, method)
    for name in given:
        if name not in known:
            raise ValueError(refusal(name, family, [method]))
    values = {name: option.default for name, option in known.items()}
    values |= {name: value for name, value in family.defaults.items() if name in known}
    return {name: known[name].check(name, value) for name, value in (values | dict(given)).items()}


def settings_for(family: str, method: str = methods.METHODS[0].name, **asked: Any) -> Settings:
    """The settings of a family and a method as they are when nothing is asked, but for what is asked: fields or options."""
    values = {name: value for name, value in tasks.named(family).defaults.items() if name in FIELDS} | asked
    options = {name: values.pop(name) for name in list(values) if name not in FIELDS}
    return Settings(family=family, method=method, options=options, **values)


def settings_for_each(family: str, several: Sequence[str] | None = None, **asked: Any) -> dict[str, Settings]:
    """The settings of several methods on one family, by method; by default of all that a comparison includes.

    An option that some of them have is theirs only; ValueError for one that none has.
    """
    chosen = tasks.named(family)
    if several is None:
        several = [method.name for method in methods.METHODS if method.compared and method.applies(chosen)]
    found = [methods.named(name) for name in several]
    for name in asked:
        if name not in FIELDS and name not in declared(chosen, *found):
            raise ValueError(refusal(name, chosen, found))
    own = {method.name: {*FIELDS, *declared(chosen, method)} for method in found}
    return {
        name: settings_for(family, name, **{key: value for key, value in asked.items() if key in known})
        for name, known in own.items()
    }


def differences(one: Settings, other: Settings) -> list[str]:
    """The names of the settings in which two runs differ."""
    one, other = flattened(one), flattened(other)
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]


def flattened(settings: Settings) -> dict[str, Any]:
    """Every setting by name, the options among the others."""
    shared = {each.name: getattr(settings, each.name) for each in fields(Settings) if each.name != "options"}
    return {**shared, **settings.options}
