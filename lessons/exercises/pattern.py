"""What the numbers of a wrong answer show, whatever the exercise: a factor, a transposition, rows that are right, lost digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinymaml.check.compare import flatten, relative_error
from tinymaml.tasks import TaskBatch


def pattern(pairs: Sequence[tuple[Any, Any]], cases: Sequence[tuple], arguments: Sequence[str]) -> str:
    """A sentence about the pairs (mine, right), of one shape, one pair for each case, that is true of their numbers; never "".

    A statement about all numbers of all cases comes first; then one about the first pair that is wrong.
    """
    rows = [(flatten(mine), flatten(right)) for mine, right in pairs]
    if any(np.iscomplexobj(a) > np.iscomplexobj(b) for a, b in rows):
        return "its numbers are complex"
    if not all(np.isfinite(a).all() for a, _ in rows):
        return "not all of its numbers are finite"
    if told := _of_all_numbers(rows):
        return told
    if all(relative_error(a, b, floor=1e-6) < 0.02 for a, b in rows):
        return "it is nearly right in all cases: is something approximated, such as an integral by a sum, or done in another way?"
    if told := _factor(rows, cases, arguments):
        return told
    wrong = [(mine, right) for (mine, right), (a, b) in zip(pairs, rows, strict=True) if not near(a, b)] or list(pairs)
    mine, right = wrong[0]
    if isinstance(right, Mapping):
        return _of_names(mine, right)
    if np.ndim(right):
        return _of_array(np.asarray(mine), np.asarray(right))
    above = {bool(a > b) for a, b in wrong}
    if len(above) > 1:
        return "it is too large in some cases and too small in others"
    return "it is too large" if True in above else "it is too small"


def are(names: Sequence[str]) -> str:
    """These names as the subject of a sentence, with their verb."""
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def near(a: np.ndarray, b: np.ndarray) -> bool:
    return relative_error(a, b, floor=1e-6) < 1e-8


def _of_all_numbers(rows: list[tuple[np.ndarray, np.ndarray]]) -> str:
    if all(np.abs(a).max(initial=0) < 1e-12 for a, _ in rows):
        return "all its numbers are 0" if rows[0][0].size > 1 else "it is 0"
    with np.errstate(all="ignore"):
        for sentence, change in {
            "it is the absolute value of the right answer": np.abs,
            "it is the square of the right answer": np.square,
            "it is the square root of the right answer": np.sqrt,
            "it is one over the right answer": np.reciprocal,
            **{
                f"it is the right answer, rounded to {n} decimal{'s' * (n != 1)}": lambda b, n=n: np.round(b, n)
                for n in range(1, 6)  # whole numbers come about in other ways too
            },
        }.items():
            if all(near(a, change(b)) for a, b in rows) and not all(near(a, b) for a, b in rows):
                return sentence
        off = np.concatenate([a - b for a, b in rows])
        if off.size > 1 and np.isfinite(off).all() and np.ptp(off) <= 1e-9 * np.abs(off).max():
            return f"{'every number' if rows[0][0].size > 1 else 'it'} is off by {off[0]:.6g}"
    return ""


def _factor(rows: list[tuple[np.ndarray, np.ndarray]], cases: Sequence[tuple], arguments: Sequence[str]) -> str:
    """The number that each answer is of the right one: the same in all cases, or a size of an argument."""
    kept = [i for i, row in enumerate(rows) if any(np.abs(part).max(initial=0) > 1e-12 for part in row)]  # not 0 = f * 0
    rows, cases = [rows[i] for i in kept], [cases[i] for i in kept if cases]
    factors = np.array([float((a @ b).real / max((b @ b).real, 1e-30)) for a, b in rows])
    if not rows or not all(factor and near(a, factor * b) for factor, (a, b) in zip(factors, rows, strict=True)):
        return ""
    one = rows[0][0].size == 1
    it = "it is" if one else "every number is"
    if all(f"{factor:.4g}" == "1" for factor in factors):
        return ""
    if np.ptp(factors) < 1e-7 * abs(factors[0]):
        return "the sign is wrong" if abs(factors[0] + 1) < 1e-7 else f"{it} {factors[0]:.6g} times the right one"
    sizes = [{k: v for pair in zip(arguments, case, strict=False) for k, v in _sizes(*pair).items()} for case in cases]
    for what in sizes[0]:
        size = np.array([found.get(what, np.nan) for found in sizes])
        for text, ratio in ((what, factors / size), (f"1 / {what}", factors * size)):
            if np.isfinite(ratio).all() and np.ptp(ratio) < 1e-7 * abs(ratio[0]) and np.ptp(size) > 0:
                times = "" if abs(ratio[0] - 1) < 1e-7 else "-" if abs(ratio[0] + 1) < 1e-7 else f"{ratio[0]:.6g} * "
                return f"{it} {times}{text} times the right one"
    shown = ", ".join(f"{factor:.4g}" for factor in factors)
    return "" if one or not cases else f"{it} {shown} times the right one in the {len(factors)} cases"


def _sizes(name: str, value: Any) -> dict[str, float]:
    """The numbers of an argument that an answer may be multiplied by, in the words of Python."""
    if isinstance(value, tuple) and value:
        return _sizes(f"{name}[0]", value[0])
    if isinstance(value, np.ndarray) and value.ndim:
        columns = {f"{name}.shape[1]": value.shape[1]} if value.ndim > 1 else {}
        return {f"len({name})": len(value), **columns, f"{name}.size": value.size}
    if isinstance(value, TaskBatch):
        return {f"len({name})": len(value)}
    return {name: float(value)} if isinstance(value, int | float) and value else {}


def _of_names(mine: Mapping, right: Mapping) -> str:
    good = [name for name in right if near(flatten(mine[name]), flatten(right[name]))]
    bad = [name for name in right if name not in good]
    if good:
        told = _factor([(flatten({name: mine[name] for name in bad}), flatten({name: right[name] for name in bad}))], [], [])
        return f"{are(good)} right, {are(bad)} not{told and f': {told}'}"
    name = max(right, key=lambda name: np.abs(np.asarray(mine[name]) - right[name]).max(initial=0))
    return f"{_of_array(np.asarray(mine[name]), np.asarray(right[name]))}, in {name}"


def _of_array(a: np.ndarray, b: np.ndarray) -> str:
    """Of one array and the right one: what is right in it, and where it is farthest away."""
    if a.ndim == 2 and a.shape[0] == a.shape[1] and near(a, b.T):
        return "it is transposed"
    if b.size > 1 and not near(a, b) and near(np.sort(a, None), np.sort(b, None)):
        return "the right numbers are there, in another order"
    if b.size > 1 and np.ptp(a - b) <= 1e-9 * np.abs(a - b).max():
        return "every number is off by the same amount"
    for axis, what in enumerate({1: ("number",), 2: ("row", "column")}.get(a.ndim, ())):
        fits = [near(one, other) for one, other in zip(np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0), strict=True)]
        if any(fits) and not all(fits):
            good, bad = ([str(i) for i, fit in enumerate(fits) if fit == wanted] for wanted in (True, False))
            return f"{what}{'s' * (len(good) > 1)} {are(good)} right, {are(bad)} not (counted from 0)"
    place = np.unravel_index(np.argmax(np.abs(a - b)), a.shape)
    return f"the largest difference is at [{', '.join(str(int(i)) for i in place)}]"
