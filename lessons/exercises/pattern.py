"""What the numbers of a wrong answer show, whatever the exercise: a factor, a transposition, rows that are right, lost digits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinymaml.check.compare import flatten, relative_error


def pattern(pairs: Sequence[tuple[Any, Any]], cases: Sequence[tuple], arguments: Sequence[str]) -> str:
    """A sentence about the pairs (mine, right), one for each case, that is true of their numbers; never "".

    A statement about all numbers of all cases comes first; then one about the first pair that is wrong.
    """
    rows = [(flatten(mine), flatten(right)) for mine, right in pairs]
    if all(a.shape == b.shape for a, b in rows):
        told = _of_all_numbers(rows) or _factor(rows, cases, arguments)
        if told:
            return told
    mine, right = next((pair for pair, (a, b) in zip(pairs, rows, strict=True) if a.shape != b.shape or not near(a, b)), pairs[0])
    if isinstance(right, Mapping):
        return _of_names(mine, right)
    return _of_array(np.asarray(mine), np.asarray(right))


def near(a: np.ndarray, b: np.ndarray) -> bool:
    return relative_error(a, b, floor=1e-12) < 1e-8


def _of_all_numbers(rows: list[tuple[np.ndarray, np.ndarray]]) -> str:
    if all(np.abs(a).max(initial=0) < 1e-12 for a, _ in rows):
        return "all its numbers are 0" if rows[0][0].size > 1 else "it is 0"
    with np.errstate(all="ignore"):
        for sentence, change in {
            "it is the absolute value of the right answer": np.abs,
            "it is the square of the right answer": np.square,
            "it is the square root of the right answer": np.sqrt,
            "it is one over the right answer": np.reciprocal,
            **{f"it is the right answer, rounded to {digits} decimals": lambda b, digits=digits: np.round(b, digits) for digits in range(6)},
        }.items():
            if all(np.isrealobj(a) and near(a, change(b)) for a, b in rows) and not all(near(a, b) for a, b in rows):
                return sentence
        off = np.concatenate([a - b for a, b in rows])
        if off.size > 1 and np.isfinite(off).all() and np.ptp(off) <= 1e-9 * np.abs(off).max():
            return f"{'every number' if rows[0][0].size > 1 else 'it'} is off by {off[0]:.6g}"
    return ""


def _factor(rows: list[tuple[np.ndarray, np.ndarray]], cases: Sequence[tuple], arguments: Sequence[str]) -> str:
    """The number that each answer is of the right one: the same in all cases, or a size of an argument."""
    kept = [i for i, (a, b) in enumerate(rows) if np.abs(a).max(initial=0) > 1e-12 or np.abs(b).max(initial=0) > 1e-12]  # not 0 = f * 0
    rows, cases = [rows[i] for i in kept], [cases[i] for i in kept if cases]
    with np.errstate(all="ignore"):
        factors = [float(a @ b / max(b @ b, 1e-30)) if np.isrealobj(a) and np.isrealobj(b) else 0.0 for a, b in rows]
    if not rows or not all(factor and near(a, factor * b) for factor, (a, b) in zip(factors, rows, strict=True)):
        return ""
    it = "every number is" if rows[0][0].size > 1 else "it is"
    if np.ptp(factors) < 1e-7 * abs(factors[0]):
        return "the sign is wrong" if abs(factors[0] + 1) < 1e-7 else f"{it} {factors[0]:.6g} times the right one"
    for k, name in enumerate(arguments):
        for what, size in ((f"len({name})", _size(0)), (f"{name}.shape[1]", _size(1)), (f"{name}.size", np.size), (name, _number)):
            sizes = np.array([size(case[k]) if k < len(case) else np.nan for case in cases], float)
            for text, values in ((what, sizes), (f"1 / {what}", 1 / sizes)):
                ratio = np.array(factors) / values
                if np.isfinite(ratio).all() and np.ptp(ratio) < 1e-7 * abs(ratio[0]) and np.ptp(sizes) > 0:
                    times = "" if abs(ratio[0] - 1) < 1e-7 else "-" if abs(ratio[0] + 1) < 1e-7 else f"{ratio[0]:.6g} * "
                    return f"{it} {times}{text} times the right one"
    shown = ", ".join(f"{factor:.4g}" for factor in factors)
    return "" if all(b.size == 1 for _, b in rows) else f"{it} a multiple of the right one, by {shown} in the {len(factors)} cases"


def _size(axis: int) -> Any:
    return lambda value: value.shape[axis] if isinstance(value, np.ndarray) and value.ndim > axis else np.nan


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) and value else np.nan


def _of_names(mine: Mapping, right: Mapping) -> str:
    good = [name for name in right if near(flatten(mine[name]), flatten(right[name]))]
    bad = [name for name in right if name not in good]
    if good:
        told = _factor([tuple(flatten({name: of[name] for name in bad}) for of in (mine, right))], [], [])
        told = told and f": {told}"
        return f"{', '.join(good)} {'is' if len(good) == 1 else 'are'} right, {', '.join(bad)} {'is' if len(bad) == 1 else 'are'} not{told}"
    name = max(right, key=lambda name: np.abs(np.asarray(mine[name]) - right[name]).max(initial=0))
    return f"{_of_array(np.asarray(mine[name]), np.asarray(right[name]))}, in {name}"


def _of_array(a: np.ndarray, b: np.ndarray) -> str:
    """Of one array and the right one: what is right in it, and where it is farthest away."""
    if not a.ndim:
        return "its sign is not that of the right answer" if a * b < 0 else f"it is {'larger' if abs(a) > abs(b) else 'smaller'} than the right one"
    if a.ndim == 2 and a.shape[0] == a.shape[1] and near(a, b.T):
        return "it is transposed"
    if b.size > 1 and not near(a, b) and near(np.sort(a, None), np.sort(b, None)):
        return "the right numbers are there, in another order"
    if b.size > 1 and np.ptp(a - b) <= 1e-9 * np.abs(a - b).max():
        return "every number is off by the same amount"
    for axis, what in zip(range(a.ndim), ("row", "column"), strict=False):
        fits = [near(one, other) for one, other in zip(np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0), strict=True)]
        if any(fits) and not all(fits):
            good, bad = (", ".join(str(i) for i, fit in enumerate(fits) if fit == wanted) for wanted in (True, False))
            return f"{what}{'s' * (fits.count(True) > 1)} {good} (from 0) {'are' if fits.count(True) > 1 else 'is'} right, {bad} not"
    place = np.unravel_index(np.argmax(np.abs(a - b)), a.shape)
    return f"the largest difference is at [{', '.join(str(int(i)) for i in place)}]"
