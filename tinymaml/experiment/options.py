"""The settings of a family and a method with their defaults; ValueError for any other setting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from tinymaml import methods, tasks, validate
from tinymaml.methods import Method
from tinymaml.settings import FIELDS, Option, Settings, as_dict
from tinymaml.tasks import Family

TRAINING = ("queries", "tasks", "outer_lr", "half_life", "iterations")  # settings that new tasks do not depend on


def options_of(*several: Family | Method) -> dict[str, Option]:
    """The options of some families and methods, by name."""
    return {option.name: option for each in several for option in each.options}


def defaults(family: Family, method: Method, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of all settings; those of the family, and those implied by values of options, take precedence."""
    known = options_of(family, method)
    found = {each.name: each.default for each in fields(Settings) if each.name in FIELDS}
    found |= {name: option.default for name, option in known.items()}
    found |= {name: value for name, value in family.defaults.items() if name in found}
    for name, option in known.items():
        for value, implied in option.implied_defaults.items():
            if overrides.get(name, found[name]) == value:
                found |= implied
    return found


def resolve(settings: Settings) -> Settings:
    """The settings with all options of the family and the method, checked; missing options get their defaults.

    ValueError if the method does not support the family, if neither has the option, and for a bad value.
    """
    family, method, given = tasks.named(settings.family), methods.named(settings.method), settings.options
    if not method.supports(family):
        able = ", ".join(each.name for each in methods.METHODS if each.supports(family))
        raise ValueError(f"method {method.name} does not apply to {family.name}: choose one of {able}")
    known = options_of(family, method)
    refuse_unknown(given, family, [method])
    values = {name: family.defaults.get(name, option.default) for name, option in known.items()} | given
    return replace(settings, options={name: known[name].check(name, value) for name, value in values.items()})


def settings_for(family: str, method: str = methods.METHODS[0].name, **overrides: Any) -> Settings:
    """The settings of a method on a family: the defaults, replaced by `overrides` (fields or options by name)."""
    return settings_for_each(family, [method], **overrides)[method]


def settings_for_each(family: str, several: Sequence[str] | None = None, **overrides: Any) -> dict[str, Settings]:
    """{method: settings} of several methods on one family; by default those that a comparison includes by default.

    An option is set for the methods that have it. ValueError for an option that none has or that has no effect.
    """
    chosen = tasks.named(family)
    if several is None:
        several = [method.name for method in methods.METHODS if method.default and method.supports(chosen)]
    each = [methods.named(name) for name in several]
    if len(set(several)) < len(each):
        raise ValueError(f"a method is named twice in {', '.join(several)}: name each method once")
    refuse_unknown(overrides, chosen, each)
    found = {}
    for method in each:
        values = defaults(chosen, method, overrides)
        values |= {name: value for name, value in overrides.items() if name in values}
        options = {name: values.pop(name) for name in list(values) if name not in FIELDS}
        found[method.name] = resolve(Settings(family=chosen.name, method=method.name, options=options, **values))
    refuse_unused(found, (name for name in overrides if name not in FIELDS))  # fields are the same for all methods
    return found


def refuse_unknown(names: Iterable[str], family: Family, several: Sequence[Method]) -> None:
    """ValueError for a name that is neither a field nor an option of the family or of a method in `several`."""
    for name in names:
        if name in FIELDS or name in options_of(family, *several):
            continue
        families = [each.name for each in tasks.FAMILIES if name in options_of(each)]
        able = [each.name for each in methods.METHODS if name in options_of(each)]
        if not families and not able:
            known = (*FIELDS, *options_of(*tasks.FAMILIES, *methods.METHODS))
            raise ValueError(f"there is no setting {validate.brief(name)}: choose among {', '.join(known)}")
        lacking = family.name if families else ", ".join(method.name for method in several)
        raise ValueError(f"--{name.replace('_', '-')} is for {', '.join(families + able)}, not for {lacking}: leave it out")


def unused(settings: Settings) -> dict[str, str]:
    """{name: reason, such as "for this method"} of the settings that have no effect, given the others."""
    family, method = tasks.named(settings.family), methods.named(settings.method)
    found = dict(method.unused(settings))
    if method.gradient is None:
        found |= dict.fromkeys((*TRAINING, *family.training_only), f"for {method.name}, which is not trained")
    if not settings.hidden:
        found |= dict.fromkeys(("activation", "norm", "model"), "without hidden layers")
    return found


def refuse_unused(runs: Mapping[str, Settings], names: Iterable[str]) -> None:
    """ValueError if one of these settings has no effect in any of the runs."""
    for name in names:
        where = [unused(settings).get(name) for settings in runs.values() if name in as_dict(settings)]
        if where and all(where):
            raise ValueError(f"--{name.replace('_', '-')} changes nothing {' and '.join(dict.fromkeys(where))}: leave it out")
