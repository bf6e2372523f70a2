"""A setting that not every family of tasks and not every method has: whoever has it declares it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Option:
    """One such setting; on the command line it is --name, and a switch if its default is False.

    default    what it is when nothing is asked; its type is the type of every value
    help       what it says, in one line
    check      check(name, value) is the value to keep, or raises a ValueError or TypeError that says what was wanted
    """

    name: str
    default: Any
    help: str
    check: Callable[[str, Any], Any]
