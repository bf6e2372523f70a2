"""Two answers side by side: one aligned line a quantity, with a verdict in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from tinymaml.parameters import Parameters

FLOOR = 1e-3  # below this norm a difference is measured against it: rounding around zero, 0 against 1e-16, is no error
TOLERANCE = 1e-10


class WrongAnswer(AssertionError):
    """An answer beyond its tolerance. `name`, `error` (relative; inf where it has no meaning) and `diagnosis`, "" if none."""

    def __init__(self, sentence: str, *, name: str, error: float, diagnosis: str = "", line: str = ""):
        super().__init__("\n".join(part for part in (sentence, line) if part))
        self.name, self.error, self.diagnosis, self.line = name, error, diagnosis, line


class Line(str):
    """A line that was printed already: a notebook does not show it a second time as the value of its cell."""

    def _ipython_display_(self) -> None:
        """Nothing more to show."""


def compare(
    name: str,
    mine: object,
    reference: object,
    *,
    tolerance: float = TOLERANCE,
    floor: float = FLOOR,
    diagnosis: Callable[[float], str] = lambda closeness: "",
) -> Line:
    """Print one aligned line about `mine` against `reference`: name, shape, relative error, verdict; and return it.

    Numbers, arrays or `Parameters` (a dict of arrays will do for mine). `WrongAnswer` beyond the tolerance, for
    another shape (nothing is broadcast), for missing names, and for NaN. `diagnosis(closeness)` is asked about a wrong
    answer: a sentence naming the mistake whose numbers are as close as that to mine, or "".

    >>> line = compare("dW[1]", np.array([[1.0, 2.0]]), np.array([[1.0, 2.0]]))
    dW[1]         (1, 2)        relative error 0.0e+00   right
    """
    difference = mismatch(mine, reference)
    if difference:
        raise WrongAnswer(f"{name}: {difference}", name=name, error=np.inf, diagnosis=difference)
    error = relative_error(mine, reference, floor=floor)
    shape = f"{reference.size} numbers" if isinstance(reference, Parameters) else str(np.shape(reference))
    line = f"{name:<12}  {shape:<12}  relative error {error:<8.1e}  "
    if error <= tolerance:
        print(line + "right")
        return Line(line + "right")
    found = diagnosis(max(10 * tolerance, 1e-6)) if np.isfinite(error) else "it holds NaN or infinite numbers"
    worst = f"its relative error is {error:.1e}, where {tolerance:.0e} would pass{_worst(mine, reference)}"
    line += f"wrong (beyond {tolerance:.0e})"
    raise WrongAnswer(f"{name} is wrong: {found or worst}", name=name, error=error, diagnosis=found, line=line)


def relative_error(mine: object, reference: object, *, floor: float = FLOOR) -> float:
    """|mine - reference| / max(|mine|, |reference|, floor), in the Euclidean norm over all numbers; NaN if any is NaN."""
    mine, reference = numbers(mine), numbers(reference)
    with np.errstate(all="ignore"):  # what is not finite shows in the result
        scale = max(np.linalg.norm(mine), np.linalg.norm(reference), floor)
        return float(np.linalg.norm(mine - reference) / scale)


def mismatch(mine: object, reference: object) -> str:
    """What keeps two answers from being compared number by number, as a sentence; "" if nothing does."""
    if isinstance(reference, Parameters):
        if not isinstance(mine, Mapping):
            return f"the answer is a {type(mine).__name__}, expected Parameters or a dict with {', '.join(reference)}"
        if mine.keys() != reference.keys():
            return f"the answer holds {', '.join(map(str, mine)) or 'nothing'}, expected {', '.join(reference)}"
        told = (mismatch(mine[name], reference[name]) for name in reference)
        return next((f"in {name}, {what}" for name, what in zip(reference, told, strict=True) if what), "")
    if isinstance(mine, Mapping) or np.asarray(mine).dtype.char not in "?bBhHiIlLqQefdgFDG":
        return f"the answer is {mine!r}, expected numbers of shape {np.shape(reference)}"
    got, wanted = np.shape(mine), np.shape(reference)
    if got == wanted:
        return ""
    sentence = f"the answer has shape {got}, expected {wanted}"
    if got == wanted[::-1] and close(np.transpose(mine), reference):
        return f"{sentence}: it is transposed"
    if np.size(mine) == np.size(reference) and close(np.reshape(mine, wanted), reference):
        return f"{sentence}: the numbers are right, keep the axis (keepdims=True, or a reshape)"
    for axis in range(len(got)):
        if np.shape(np.sum(mine, axis, keepdims=True)) == wanted and close(np.sum(mine, axis, keepdims=True), reference):
            return f"{sentence}: the right numbers appear when it is summed over axis {axis}"
    return sentence


def close(mine: object, reference: object, tolerance: float = 1e-6) -> bool:
    """Whether two answers of one shape are the same but for rounding."""
    return relative_error(mine, reference) <= tolerance


def attainable(mine: object, tolerance: float) -> float:
    """The tolerance that an answer can be held to: 1e-4 at least if it is in float32."""
    single = any(np.asarray(array).dtype.char in "fF" for array in (mine.values() if isinstance(mine, Mapping) else [mine]))
    return max(tolerance, 1e-4 if single else 0)


def diagnose(mine: object, reference: object, *groups: Iterable[tuple[str, object]], tolerance: float) -> str:
    """The sentences of those candidates (sentence, wrong answer) whose numbers are `mine`; "" if there are none.

    The groups are tried one after another until one has an explanation; a turned sign, a lost transpose and a constant
    factor are tried too. A candidate that happens to agree with the reference here says nothing and is passed over.
    """
    for candidates in (groups[0], _turned(reference), *groups[1:], _scaled(mine, reference)):
        sentences = {
            sentence: None  # a set, in order of mention
            for sentence, value in candidates
            if not mismatch(mine, value) and close(mine, value, tolerance) and not close(value, reference, tolerance)
        }
        if sentences:
            return "; or ".join(sentences)
    return ""


def _turned(reference: object) -> Iterator[tuple[str, object]]:
    yield "the sign is turned", -1.0 * reference
    if np.ndim(reference) == 2 and len(set(np.shape(reference))) == 1:
        yield "it is transposed", np.transpose(reference)


def _scaled(mine: object, reference: object) -> Iterator[tuple[str, object]]:
    a, b = numbers(mine), numbers(reference)
    if a.shape == b.shape and (b @ b) > 0:
        factor = float((a @ b) / (b @ b))
        yield f"every number is {factor:.6g} times the right one", factor * reference


def numbers(value: object) -> np.ndarray:
    """All numbers of an answer in one row, in order of their names."""
    if isinstance(value, Mapping):
        return np.concatenate([np.ravel(value[name]) for name in sorted(value)])
    return np.ravel(np.asarray(value))


def _worst(mine: object, reference: object) -> str:
    """Which of several arrays is furthest off."""
    if not isinstance(reference, Parameters) or len(reference) < 2:
        return ""
    errors = {name: relative_error(mine[name], reference[name]) for name in reference}
    name = max(errors, key=lambda name: np.nan_to_num(errors[name], nan=np.inf))
    return f"; furthest off is {name}, with {errors[name]:.1e}"
