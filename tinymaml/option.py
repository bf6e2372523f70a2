"""A setting that not every family of tasks and not every method has: whoever has it declares it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tinymaml import validate


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
