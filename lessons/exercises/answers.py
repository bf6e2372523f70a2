"""What every check does with a student's function: call it safely, refuse what is no answer, explain what is wrong."""

from __future__ import annotations

import inspect
import itertools
import operator
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, NoReturn

import numpy as np

from tinymaml.check import WrongAnswer, compare
from tinymaml.check.compare import close, diagnose, mismatch, relative_error
from tinymaml.nn.surface import Surface
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch

Known = tuple[str, Any]  # a sentence, and the wrong answer it describes


def refuse(name: str, diagnosis: str) -> NoReturn:
    """Raise `WrongAnswer` with one sentence, for what cannot be compared number by number."""
    raise WrongAnswer(f"{name}: {diagnosis}", name=name, error=np.inf, diagnosis=diagnosis)


def guarded(answer: Callable) -> Callable:
    """The function under a guard: what is wrong whatever the exercise becomes a `WrongAnswer` in words.

    That is an error inside it, an input that it changed in place, a None, and a result in float32 where float64 was given.
    A stub's NotImplementedError passes through. `whole` and `returned` remember what is worth saying if nothing else is
    wrong: which part of the answer holds whole numbers where floats were given, which argument came back as it was given.
    `kind` is the type of the answer.
    """
    name = getattr(answer, "__name__", "the function")

    def called(*given: Any, **named: Any) -> Any:
        arguments = _arguments(answer, given, named)
        found = [pair for key, value in arguments.items() for pair in arrays_in(value, key)]
        before = [(path, array, array.copy()) for path, array in found]
        try:
            value = answer(*given, **named)
        except (NotImplementedError, WrongAnswer):
            raise
        except Exception as error:
            sentence = f"it stops {_where(answer, error)}with {type(error).__name__}: {error}{_shapes(arguments)}"
            raise WrongAnswer(f"{name}: {sentence}", name=name, error=np.inf) from error
        _unchanged(name, before)
        called.kind = f"a {type(value).__name__}"
        if value is None:
            refuse(name, "it returns None: does it end with a return?")
        if any(array.dtype in (np.float64, np.complex128) for _, array in found):
            _precise(name, value)
            called.whole = next((f"the answer{path} holds whole numbers, {array.dtype}, where floats are expected"
                                 for path, array in arrays_in(value) if array.dtype.kind in "iub"), called.whole)  # fmt: skip
        called.returned = next((key for key, argument in arguments.items() if _same(value, argument)), "")
        return value

    called.whole = called.returned = called.kind = ""
    return called


def explained(wrong: WrongAnswer, called: Callable) -> WrongAnswer:
    """The same; if nothing else could be said about it, with what the guard remembers."""
    shape = wrong.diagnosis if wrong.diagnosis.startswith("the answer has shape") and ": " not in wrong.diagnosis else ""
    unnamed = not wrong.diagnosis or shape or "; and " in wrong.diagnosis
    told = f"this is {called.returned}, as it was given" if called.returned and unnamed else ""
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


def _shapes(arguments: dict[str, Any]) -> str:
    """A line about the shapes that it was given."""
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


def combined(*parts: Sequence[Known], join: Callable[..., Any] = operator.mul, most: int = 2) -> Iterator[Known]:
    """The ways to put an answer together, one entry of each part, with the sentences of what is wrong in it.

    The first entry of a part is the right one and has no sentence. One mistake comes first, then two, up to `most`.
    """
    for mistakes in range(1, most + 1):
        for wrong in itertools.combinations(range(len(parts)), mistakes):
            for way in itertools.product(*(part[1:] if i in wrong else part[:1] for i, part in enumerate(parts))):
                yield "; and ".join(sentence for sentence, _ in way if sentence), reduce(join, (value for _, value in way))


def beside(known: Iterable[Known], more: Iterable[Known]) -> Iterator[Known]:
    """The known mistakes, and of the others those that give other numbers: what has a sentence of its own keeps it alone."""
    found = set()
    key = lambda value: (np.shape(value), f"{np.cos(np.arange(np.size(value))) @ np.ravel(value):.7e}")
    for sentence, value in known:
        found.add(key(value))
        yield sentence, value
    yield from (pair for pair in more if key(pair[1]) not in found and np.max(np.abs(pair[1])) > 1e-12)


def factors(told: str, **sizes: float) -> list[Known]:
    """Numbers by which an answer may be off, after the right one, 1: 2, 1/2, -1, and n, 1/n, 2/n, ... of the sizes by name."""
    powers = [("", "", 1.0)]  # what is multiplied by, what is divided by, and its value
    for name, size in sizes.items():
        powers += [(name, "", size), ("", name, 1 / size), ("", f"{name}^2", size**-2.0)]
    for (one, a), (two, b) in itertools.permutations(sizes.items(), 2):
        powers += [(one, two, a / b), *([("", f"{one} {two}", 1 / (a * b))] if one < two else [])]
    found = [("the sign is wrong", -1.0)]
    for up, down, value in powers:
        for name, number in (
            (up or "1", value), (f"2 {up}".strip(), 2 * value), (f"-{up or 1}", -value),
        ):  # fmt: skip
            found += [(f"it has the factor {name}{f' / ({down})' if ' ' in down else f'/{down}' if down else ''}{told}", number)]
        half = f"2 {down}".strip()
        found += [(f"it has the factor {up or '1'}/{f'({half})' if ' ' in half else half}{told}", value / 2)]
    return [("", 1.0), *((sentence, value) for sentence, value in found if abs(value - 1) > 1e-9 and value not in (-1.0,)),
            found[0]]  # fmt: skip


def judge(
    name: str, mine: Any, right: Any, known: Iterable[Known] = (), *, tolerance: float = 1e-9, floor: float = 1e-3,
    otherwise: Callable[[], str] = str,
) -> None:  # fmt: skip
    """One line of `compare`, which explains a wrong answer by the known mistakes that give its numbers.

    `otherwise()` is asked for a sentence when none of them does.
    """
    _real(name, mine, right)

    def explain(closeness: float) -> str:
        pairs = list(known)
        one, several = ([pair for pair in pairs if ("; and " in pair[0]) == many] for many in (False, True))
        told = diagnose(mine, right, one, several, tolerance=closeness) or otherwise() or pattern(mine, right)
        ways = told.split("; or ")
        own = [way for way in ways if not way.startswith("it has the factor")]  # a plain factor is the last thing to say
        return "; or ".join((own or ways)[:2])

    compare(name, mine, right, tolerance=tolerance, floor=floor, diagnosis=explain)


def pattern(mine: Any, right: Any) -> str:
    """What can be said of an answer that no known mistake explains, from its numbers beside the right ones; or ""."""
    if isinstance(right, Mapping):
        wrong = [name for name in right if not close(mine[name], right[name], 1e-9)]
        return f"only {', '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} wrong" if len(wrong) < len(right) else ""
    a, b = np.asarray(mine), np.asarray(right)
    if np.abs(a).max(initial=0) < 1e-12:
        return "all its numbers are 0" if a.ndim else "it is 0"
    with np.errstate(all="ignore"):
        told = [
            ("it is the square of the right answer", b**2), ("it is the root of the right answer", np.sqrt(b)),
            ("it is the absolute value of the right answer", np.abs(b)), ("it is one over the right answer", 1 / b),
            ("it is the logarithm of the right answer", np.log(b)), ("it is e to the power of the right answer", np.exp(b)),
            ("the negative numbers of the right answer are cut to 0", np.maximum(b, 0)),
            ("tanh is applied to the right answer", np.tanh(b)), ("it is one minus the right answer", 1 - b),
            *((f"it is the right answer, rounded to {digits} decimals", np.round(b, digits)) for digits in range(6)),
        ]  # fmt: skip
        for sentence, value in told:
            if np.isfinite(value).all() and close(a, value, 1e-9) and not close(value, b, 1e-9):
                return sentence
    if a.ndim and a.size > 1:
        return _rows(a, b)
    return ""


def _rows(a: np.ndarray, b: np.ndarray) -> str:
    """The same of arrays: what is right in them, and what they have in place of the rest."""
    whole = _factor(a, b)
    if whole:
        return f"every number has the factor {whole:.4g} beside the right one" if abs(whole - 1) > 0.05 else ""
    if np.ptp(a) <= 1e-9 * np.abs(a).max():
        return "all its numbers are the same, and those of the right answer are not"
    if np.ptp(a - b) <= 1e-9 * np.abs(a - b).max():
        return f"every number is off by the same {np.ravel(a - b)[0]:.4g}"
    if close(np.sort(a, None), np.sort(b, None), 1e-9):
        return "the right numbers are there, in another order"
    for axis, what in zip(range(a.ndim), ("row", "column"), strict=False):
        lines = lambda array, axis=axis: np.moveaxis(array, axis, 0)
        right = [close(one, other, 1e-9) for one, other in zip(lines(a), lines(b), strict=True)]
        if any(right) and len(right) > 1:
            shown = ", ".join(str(i) for i, fits in enumerate(right) if not fits)
            return f"only some {what}s are wrong, counted from 0: {shown}"
        if len(right) > 1 and close(lines(a), np.broadcast_to(lines(a)[:1], lines(a).shape), 1e-9):
            return f"all {what}s are the same, and those of the right answer are not"
        if close(a, np.cumsum(b, axis), 1e-9):
            return f"it is the running sum of the right answer over axis {axis}"
        if len(right) > 1 and close(a, b - b.mean(axis, keepdims=True), 1e-9):
            return f"the mean over axis {axis} is taken off the right answer"
        factor = [_factor(one, other) for one, other in zip(lines(a), lines(b), strict=True)]
        if all(factor) and lines(b)[0].size > 1:
            shown = ", ".join(f"{one:.4g}" for one in factor)
            return f"each {what} has a factor of its own beside the right one: {shown}"
    if (a >= 0).all() and (b < 0).any():
        return "none of its numbers is negative, and some of the right ones are"
    return ""


def _factor(one: np.ndarray, other: np.ndarray) -> float:
    """The number that one is of the other throughout, or 0."""
    factor = float(np.ravel(one) @ np.ravel(other)) / max(float(np.ravel(other) @ np.ravel(other)), 1e-30)
    return factor if close(one, factor * other, 1e-9) else 0.0


def of_another_shape(name: str, mine: Any, right: np.ndarray, known: Callable[[], Iterable[Known]]) -> None:
    """Refuse an answer that a known mistake has given another shape."""
    different = mismatch(mine, right)
    if not isinstance(mine, np.ndarray | np.generic | float) or not different or ": " in different:
        return
    for sentence, value in known():
        if not mismatch(mine, value) and close(mine, value):
            refuse(name, f"the answer has shape {np.shape(mine)}, expected {np.shape(right)}: {sentence}")


def judge_derived(derivation: Any, name: str, mine: Any, known: Iterable[Known] = ()) -> None:
    """`derivation.check`; the mistakes known to this exercise come before the library's, and the first that fits is told."""
    _real(name, mine, derivation.reference(name))
    try:
        derivation.check(name, mine)
    except WrongAnswer as wrong:
        right = derivation.reference(name)
        for sentence, value in known if np.isfinite(wrong.error) else ():
            if not mismatch(mine, value) and close(mine, value) and not close(value, right):
                told = f"{name} is wrong: {sentence}"
                raise WrongAnswer(told, name=name, error=wrong.error, diagnosis=sentence, line=wrong.line) from None
        seen = pattern(mine, right) if np.isfinite(wrong.error) and not wrong.diagnosis and not isinstance(right, Mapping) else ""
        if seen:
            told = f"{name} is wrong: {seen}"
            raise WrongAnswer(told, name=name, error=wrong.error, diagnosis=seen, line=wrong.line) from None
        raise


def _real(name: str, mine: Any, right: Any) -> None:
    """Refuse complex numbers where the right ones are real."""
    complex_in = lambda value: any(np.iscomplexobj(array) for _, array in arrays_in(value))
    if complex_in(mine) and not complex_in(right):
        refuse(name, "the answer is complex, expected real numbers: take the part that is asked for, .real or .imag")
