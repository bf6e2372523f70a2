"""What every check does with a student's function: call it safely, refuse what is no answer, explain what is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from tinymaml.check import WrongAnswer, compare
from tinymaml.check.compare import close, diagnose, mismatch

Known = tuple[str, Any]  # a sentence, and the wrong answer it describes


def refuse(name: str, diagnosis: str) -> NoReturn:
    """Raise `WrongAnswer` with one sentence, for what cannot be compared number by number."""
    raise WrongAnswer(f"{name}: {diagnosis}", name=name, error=np.inf, diagnosis=diagnosis)


def guarded(answer: Callable) -> Callable:
    """The function, called on copies of its arrays; an error inside it, and a None, become a `WrongAnswer` in words.

    A stub's NotImplementedError passes through.
    """
    name = getattr(answer, "__name__", "the function")
    copied = lambda value: value.copy() if isinstance(value, np.ndarray) else value

    def called(*given: Any, **named: Any) -> Any:
        try:
            value = answer(*map(copied, given), **{key: copied(value) for key, value in named.items()})
        except (NotImplementedError, WrongAnswer):
            raise
        except Exception as error:
            sentence = f"it stops with {type(error).__name__}: {error}{_given(answer, given, named)}"
            raise WrongAnswer(f"{name}: {sentence}", name=name, error=np.inf) from error
        if value is None:
            refuse(name, "it returns None: does it end with a return?")
        return value

    return called


def _given(answer: Callable, given: tuple, named: dict) -> str:
    """A sentence about the shapes that it was called with, under the names that it gave them."""
    try:
        arguments = inspect.signature(answer).bind(*given, **named).arguments
    except (TypeError, ValueError):  # it takes other arguments, and the error says so; or it is not written in Python
        return ""
    shapes = [f"{key} {value.shape}" for key, value in arguments.items() if isinstance(value, np.ndarray)]
    return f"\nIt was given {', '.join(shapes)}: do the shapes fit, line by line?" if shapes else ""


def several(value: Any, *names: str) -> list[Any]:
    """The things that were asked for, in a list; refuses another number of them."""
    row = isinstance(value, np.ndarray) and value.ndim == 1
    if (row or isinstance(value, tuple | list)) and len(value) == len(names):
        return list(value)
    got = f"array of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
    got = f"{len(value)} things" if isinstance(value, tuple | list) else f"one {got}"
    refuse("the answer", f"it is {got}, expected {len(names)} things: end with `return {', '.join(names)}`")


def one_number(name: str, value: Any, why: str) -> None:
    """Refuse what has a shape."""
    if np.shape(value) != ():
        refuse(name, f"the answer has shape {np.shape(value)}, expected one number, (): {why}")


def judge(
    name: str, mine: Any, right: Any, known: Sequence[Known] = (), *, tolerance: float = 1e-9, floor: float = 1e-3
) -> None:
    """One line of `compare`, which explains a wrong answer by the known mistakes that give its numbers."""
    explain = lambda closeness: diagnose(mine, right, known, tolerance=closeness)
    compare(name, mine, right, tolerance=tolerance, floor=floor, diagnosis=explain)


def judge_derived(derivation: Any, name: str, mine: Any, known: Sequence[Known] = ()) -> None:
    """`derivation.check`; the mistakes known to this exercise come before the library's, and the first that fits is told."""
    try:
        derivation.check(name, mine)
    except WrongAnswer as wrong:
        right = derivation.reference(name)
        for sentence, value in known if np.isfinite(wrong.error) else ():
            if not mismatch(mine, value) and close(mine, value) and not close(value, right):
                told = f"{name} is wrong: {sentence}"
                raise WrongAnswer(told, name=name, error=wrong.error, diagnosis=sentence, line=wrong.line) from None
        raise
