"""What every check does with a student's function: call it safely, refuse what is no answer, explain what is wrong."""

from __future__ import annotations

import inspect
import io
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any, NoReturn

import numpy as np

from tinymaml.check import WrongAnswer
from tinymaml.check.compare import mismatch, relative_error
from tinymaml.nn.surface import Surface
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch


def refuse(name: str, diagnosis: str) -> NoReturn:
    """Raise `WrongAnswer` with one sentence, for what cannot be compared number by number."""
    raise WrongAnswer(f"{name}: {diagnosis}", name=name, error=np.inf, diagnosis=diagnosis)


def guarded(answer: Callable) -> Callable:
    """The function under a guard: what is wrong whatever the exercise becomes a `WrongAnswer` in words.

    That is an error inside it, an input that it changed in place, a None, and a result in float32 where float64 was given.
    A stub's NotImplementedError passes through. `whole` and `returned` remember what is worth saying if nothing else is
    wrong: which part of the answer holds whole numbers where floats were given, which arguments came back in every call.
    `kind` is the type of the answer.
    """
    name = getattr(answer, "__name__", "the function")

    def called(*given: Any, **named: Any) -> Any:
        arguments = _arguments(answer, given, named)
        found = [pair for key, value in arguments.items() for pair in arrays_in(value, key)]
        before = [(path, array, array.copy()) for path, array in found]
        printed = io.StringIO()
        try:
            with redirect_stdout(printed):
                value = answer(*given, **named)
        except (NotImplementedError, WrongAnswer):
            raise
        except Exception as error:
            sentence = f"it stops {_where(answer, error)}with {type(error).__name__}: {error}{_why(error, arguments)}"
            raise WrongAnswer(f"{name}: {sentence}", name=name, error=np.inf) from error
        finally:
            print(printed.getvalue(), end="")
        _unchanged(name, before)
        called.kind = f"a {type(value).__name__}"
        if value is None:
            refuse(name, f"it {'prints, and ' * bool(printed.getvalue())}returns None: does it end with a return?")
        if any(array.dtype in (np.float64, np.complex128) for _, array in found):
            _precise(name, value)
            called.whole = next((f"the answer{path} holds {'truth values' if array.dtype.kind == 'b' else 'whole numbers'}, "
                                 f"{array.dtype}, where floats are expected"
                                 for path, array in arrays_in(value) if array.dtype.kind in "iub"), called.whole)  # fmt: skip
        given_back = [key for key, argument in arguments.items() if _same(value, argument)]
        called.returned = [key for key in given_back if called.returned is None or key in called.returned]
        return value

    called.whole, called.returned, called.kind = "", None, ""
    return called


def explained(wrong: WrongAnswer, called: Callable) -> WrongAnswer:
    """The same; if nothing else could be said about it, with what the guard remembers."""
    shape = wrong.diagnosis if wrong.diagnosis.startswith("the answer has shape") and ": " not in wrong.diagnosis else ""
    unnamed = not wrong.diagnosis or shape or "; and " in wrong.diagnosis
    told = f"this is {called.returned[0]}, as it was given" if called.returned and unnamed else ""
    if called.whole and (unnamed or np.isfinite(wrong.error)):
        told = called.whole
    if not told:
        return wrong
    told = f"{shape}: {told}" if shape else told
    return WrongAnswer(f"{wrong.name} is wrong: {told}", name=wrong.name, error=wrong.error, diagnosis=told, line=wrong.line)


def arrays_in(value: Any, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Every array in what was given or answered, under the words that lead to it: x, theta["W1"], here.D[2], batch.x_query."""
    if isinstance(value, np.ndarray):
        yield path, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from arrays_in(part, f"{path}[{key!r}]")
    elif isinstance(value, tuple | list):
        for i, part in enumerate(value):
            yield from arrays_in(part, f"{path}[{i}]")
    elif isinstance(value, TaskBatch):
        for part in ("x_support", "y_support", "x_query", "y_query"):
            yield f"{path}.{part}", getattr(value, part)
    elif isinstance(value, Surface):
        tape = [value.tape.outputs, value.tape.D, value.tape.caches]
        yield from ((path, array) for _, array in arrays_in([value.x, value.y, value.p, tape]))


def _arguments(answer: Callable, given: tuple, named: dict) -> dict[str, Any]:
    """What it was called with, under the names that it gave them."""
    try:
        return inspect.signature(answer).bind(*given, **named).arguments
    except (TypeError, ValueError):  # it takes other arguments, and the error will say so; or it is not written in Python
        return {**{f"number {i}": value for i, value in enumerate(given, start=1)}, **named}


def _same(value: Any, argument: Any) -> bool:
    """Whether an answer is an argument, or a copy of it."""
    if not isinstance(argument, np.ndarray | Parameters):
        return False
    return value is argument or (not mismatch(value, argument) and relative_error(value, argument) == 0)


def _unchanged(name: str, before: list[tuple[str, np.ndarray, np.ndarray]]) -> None:
    for path, array, copy in before:
        if array.shape != copy.shape or array.tobytes() != copy.tobytes():
            if array.shape == copy.shape:
                array[...] = copy  # whoever looks at it next sees what was given
            refuse(name, f"it changes its argument {path} in place, and others still need it: work on a copy")


def _precise(name: str, value: Any) -> None:
    for _, array in [*arrays_in(value), *arrays_in([np.asarray(part) for part in _scalars(value)])]:
        if array.dtype.char in "efF":
            refuse(name, f"the answer is in {array.dtype}, and float64 was given: a precision is lost, about half of the digits")


def _scalars(value: Any) -> list[np.generic]:
    parts = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else [value]
    return [part for part in parts if isinstance(part, np.generic)]


def _where(answer: Callable, error: Exception) -> str:
    """The line of the student's own function in which it stopped."""
    code = getattr(answer, "__code__", None)
    lines = [frame.line for frame in traceback.extract_tb(error.__traceback__) if code and frame.filename == code.co_filename]
    line = lines[-1].strip() if lines and lines[-1] else ""
    return f"in the line `{line}` " if 0 < len(line) <= 90 else ""


def _why(error: Exception, arguments: dict[str, Any]) -> str:
    """A line about a frequent cause: an array as a truth value, the wrong kind of object, shapes. "" for other errors."""
    if "truth value of an array" in str(error):
        return "\n`max`, `if` and `and` compare single numbers, not arrays: take one number of it first, such as its norm"
    if "'Surface'" in str(error):
        return "\nA Surface is what `model.at` returns: compute with its `.gradient` or its `.loss`"
    if "'Parameters' does not support ufuncs" in str(error):
        return "\nParameters take part in sums with other Parameters, as `.gradient` is, and are multiplied by a number"
    if isinstance(error, AttributeError | ImportError | KeyError | NameError | TypeError):
        return ""
    shapes = [f"{key} {value.shape}" for key, value in arguments.items() if isinstance(value, np.ndarray)]
    return f"\nIt was given {', '.join(shapes)}: do the shapes fit, line by line?" if shapes else ""


def several(value: Any, *names: str) -> list[Any]:
    """The things that were asked for, in a list; refuses another number of them."""
    row = isinstance(value, np.ndarray) and value.ndim == 1
    if (row or isinstance(value, tuple | list)) and len(value) == len(names):
        return list(value)
    got = f"array of shape {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
    got = f"{len(value)} thing{'s' * (len(value) != 1)}" if isinstance(value, tuple | list) else f"one {got}"
    refuse("the answer", f"it is {got}, expected {len(names)} things: end with `return {', '.join(names)}`")


def one_number(name: str, value: Any, why: str) -> None:
    """Refuse what has a shape, and what is no number."""
    if callable(value):
        refuse(name, f"the answer is a function, expected one number: {why}; call it")
    if isinstance(value, tuple | list):
        refuse(name, f"the answer is a {type(value).__name__} of {len(value)}, expected one number: {why}")
    if isinstance(value, np.ndarray | np.generic | float | int) and np.shape(value) != ():
        refuse(name, f"the answer has shape {np.shape(value)}, expected one number, (): {why}")
