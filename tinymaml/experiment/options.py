"""Which settings a family of tasks and a method can be given, with their defaults; anything else is refused by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tinymaml import methods, tasks, validate
from tinymaml.methods import Method
from tinymaml.settings import FIELDS, Option, Settings, flattened
from tinymaml.tasks import Family

TRAINING = ("queries", "tasks", "outer_lr", "half_life", "iterations")  # what new tasks do not depend on


def declared(*several: Family | Method) -> dict[str, Option]:
    """The options of some families and methods, by name."""
    return {option.name: option for each in several for option in each.options}


def refusal(name: str, family: Family, several: Sequence[Method]) -> str:
    """What to say of an option that neither the family nor any of the methods declares."""
    families = [each.name for each in tasks.FAMILIES if name in declared(each)]
    able = [each.name for each in methods.METHODS if name in declared(each)]
    if not families and not able:
        known = (*FIELDS, *declared(*tasks.FAMILIES, *methods.METHODS))
        return f"there is no setting {validate.told(name)}: choose among {', '.join(known)}"
    lacking = family.name if families else " and ".join(method.name for method in several)
    return f"--{name.replace('_', '-')} is for {', '.join(families + able)}, not for {lacking}: leave it out"


def checked(settings: Settings) -> Settings:
    """The same settings with every option that the family and the method declare, those not given at their defaults.

    ValueError for a method that does not apply to the family, for an option that neither declares, and for bad values.
    """
    family, method, given = tasks.named(settings.family), methods.named(settings.method), settings.options
    if not method.supports(family):
        able = ", ".join(each.name for each in methods.METHODS if each.supports(family))
        raise ValueError(f"method {method.name} does not apply to {family.name}: choose one of {able}")
    known = declared(family, method)
    for name in given:
        if name not in known:
            raise ValueError(refusal(name, family, [method]))
    values = {name: option.default for name, option in known.items()}
    values |= {name: value for name, value in family.defaults.items() if name in known}
    values |= given
    return replace(settings, options={name: known[name].check(name, value) for name, value in values.items()})


def defaults(family: Family, method: Method, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults that the family changes, and those that come with what is asked."""
    known = declared(family, method)
    found = {name: value for name, value in family.defaults.items() if name in FIELDS or name in known}
    for name, option in known.items():
        for value, changes in option.changes.items():
            if asked.get(name, found.get(name, option.default)) == value:
                found |= changes
    return found


def unused(settings: Settings) -> dict[str, str]:
    """The settings that change nothing under the others, and where: {name: "for this method"}."""
    family, method = tasks.named(settings.family), methods.named(settings.method)
    found = dict(method.unused(settings))
    if method.gradient is None:
        found |= dict.fromkeys((*TRAINING, *family.training_only), f"for {method.name}, which is not trained")
    if not settings.hidden:
        found |= dict.fromkeys(("activation", "norm", "model"), "without hidden layers")
    return found


def settings_for(family: str, method: str = methods.METHODS[0].name, **asked: Any) -> Settings:
    """The settings of a family and a method as they are when nothing is asked, but for what is asked: fields or options."""
    return settings_for_each(family, [method], **asked)[method]


def settings_for_each(family: str, several: Sequence[str] | None = None, **asked: Any) -> dict[str, Settings]:
    """The settings of several methods on one family, by method; by default of all that a comparison includes.

    An option that some of them have is theirs only; ValueError for one that none has, and for one that changes nothing.
    """
    chosen = tasks.named(family)
    if several is None:
        several = [method.name for method in methods.METHODS if method.default and method.supports(chosen)]
    each = [methods.named(name) for name in several]
    for name in asked:
        if name not in FIELDS and name not in declared(chosen, *each):
            raise ValueError(refusal(name, chosen, each))
    found = {method.name: _settings(chosen, method, asked) for method in each}
    refuse_unused(found, (name for name in asked if name not in FIELDS))  # those are the same for all methods
    return found


def refuse_unused(runs: Mapping[str, Settings], names: Iterable[str]) -> None:
    """ValueError for a setting of these names that changes nothing in any of the runs."""
    for name in names:
        where = [unused(settings).get(name) for settings in runs.values() if name in flattened(settings)]
        if where and all(where):
            raise ValueError(f"--{name.replace('_', '-')} changes nothing {' and '.join(dict.fromkeys(where))}: leave it out")


def _settings(family: Family, method: Method, asked: Mapping[str, Any]) -> Settings:
    known = {*FIELDS, *declared(family, method)}
    own = {name: value for name, value in asked.items() if name in known}
    values = defaults(family, method, own) | own
    options = {name: values.pop(name) for name in list(values) if name not in FIELDS}
    return checked(Settings(family=family.name, method=method.name, options=options, **values))
