"""Compare an answer with a reference: one aligned line for each quantity, with a verdict in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import product

import numpy as np

from tinymaml import validate
from tinymaml.parameters import Parameters

FLOOR = 1e-3  # the smallest norm that an error is relative to: 1e-16 in place of 0 is rounding, not an error
TOLERANCE = 1e-10
FEW_DIGITS = 1e-5  # below this error the formula is right but digits were lost


class WrongAnswer(AssertionError):
    """An answer is wrong: its `name`, relative `error` (inf for another shape) and `diagnosis` ("" if none).

    A notebook shows the sentence and the line without a traceback, which would point into the check.
    """

    def __init__(self, sentence: str, *, name: str, error: float, diagnosis: str = "", line: str = ""):
        super().__init__("\n".join(part for part in (sentence, line) if part))
        self.name, self.error, self.diagnosis, self.line = name, error, diagnosis, line

    def __reduce__(self) -> tuple:
        return Exception.__new__, (WrongAnswer, *self.args), self.__dict__  # for pickle, which a process pool uses

    def _render_traceback_(self) -> list[str]:
        """IPython shows this in place of a traceback."""
        return str(self).splitlines()


class Line(str):
    """A printed line; a notebook does not show it again as the value of the cell."""

    def _ipython_display_(self) -> None:
        """Show nothing."""


def compare(
    name: str,
    mine: object,
    reference: object,
    *,
    tolerance: float = TOLERANCE,
    floor: float = FLOOR,
    diagnosis: Callable[[float], str] = lambda closeness: "",
) -> Line:
    """Compare `mine` with `reference`; print and return one aligned line: name, shape, relative error, verdict.

    Both are numbers, arrays or `Parameters`; mine may be a dict of arrays. `WrongAnswer` for an error beyond the
    tolerance, another shape (nothing is broadcast), missing names, or NaN. For a wrong answer `diagnosis(closeness)`
    returns a sentence that names a mistake whose result is within `closeness` of mine, or "".

    >>> line = compare("dW[1]", np.array([[1.0, 2.0]]), np.array([[1.0, 2.0]]))
    dW[1]         (1, 2)        relative error 0.0e+00   right
    """
    validate.text("name", name)
    validate.tolerance("tolerance", tolerance)
    if not (isinstance(reference, Parameters) or _numeric(reference)):
        raise TypeError(f"reference is {validate.brief(reference)}, expected numbers: pass an array or Parameters")
    mine = formed(mine)
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
    if not found and error < FEW_DIGITS:
        found = (
            f"about {-np.log10(error):.0f} digits are right and the others are lost: "
            "by a rounded number, float32, a finite step or sum in place of a limit, or a small number added on the way"
        )
    if not found:
        where = wrong_arrays(mine, reference, tolerance)
        where = f"its relative error is {error:.1e}, where {tolerance:.0e} would pass{where and f'; {where}'}"
    line += f"wrong (beyond {tolerance:.0e})"
    raise WrongAnswer(f"{name} is wrong: {found or where}", name=name, error=error, diagnosis=found, line=line)


def relative_error(mine: object, reference: object, *, floor: float = FLOOR) -> float:
    """|mine - reference| / max(|mine|, |reference|, floor), in the Euclidean norm over all numbers; NaN if any is NaN.

    ValueError for other names or other shapes: nothing is broadcast.
    """
    validate.tolerance("floor", floor)
    for name, value in (("mine", mine), ("reference", reference)):
        if not ((isinstance(value, Mapping) and value) or _numeric(value)):
            raise TypeError(f"{name} is {validate.brief(value)}, expected numbers: pass an array or Parameters")
    if isinstance(mine, Mapping) and isinstance(reference, Mapping) and mine.keys() != reference.keys():
        raise ValueError(f"mine holds {list(mine)} and reference {list(reference)}, expected the same names: compare those")
    a, b = flatten(mine), flatten(reference)
    if a.shape != b.shape:
        raise ValueError(f"mine holds {a.size} numbers and reference {b.size}: compare equal numbers of entries")
    if isinstance(mine, Mapping) == isinstance(reference, Mapping):  # else one of them is flat
        pairs = [(mine[name], reference[name]) for name in mine] if isinstance(mine, Mapping) else [(mine, reference)]
        for one, two in pairs:
            if np.shape(one) != np.shape(two):
                raise ValueError(f"mine has shape {np.shape(one)}, reference {np.shape(two)}: compare arrays of one shape")
    with np.errstate(all="ignore"):  # the result is NaN or infinite then
        return float(np.linalg.norm(a - b) / max(np.linalg.norm(a), np.linalg.norm(b), floor))


def flatten(value: object) -> np.ndarray:
    """One row with all entries of a number, an array, or a mapping of arrays (in the order of the sorted names)."""
    if isinstance(value, Mapping):
        return np.concatenate([np.ravel(value[name]) for name in sorted(value)])
    return np.ravel(np.asarray(value))


def formed(answer: object) -> object:
    """The answer with factored matrices (eq. 14) multiplied out."""
    return answer.dense() if isinstance(answer, Parameters) else answer


def close(mine: object, reference: object, tolerance: float = 1e-6) -> bool:
    """Whether two answers of one shape are equal up to rounding."""
    return relative_error(mine, reference) <= tolerance


def tolerance_for(mine: object, tolerance: float) -> float:
    """The tolerance for this answer: at least 1e-4 if it is in float32."""
    arrays = formed(mine).values() if isinstance(mine, Mapping) else [mine]
    single = any(np.asarray(array).dtype.char in "fF" for array in arrays)
    return max(tolerance, 1e-4 if single else 0)


def _numeric(value: object) -> bool:
    try:
        return not isinstance(value, Mapping) and np.asarray(value).dtype.char in "?bBhHiIlLqQefdgFDG"
    except ValueError:  # rows of different lengths
        return False


def mismatch(mine: object, reference: object) -> str:
    """A sentence that says why the answer cannot be compared with the reference entry by entry; "" if it can."""
    if isinstance(reference, Parameters):
        if not isinstance(mine, Mapping):
            return f"the answer is a {type(mine).__name__}, expected Parameters or a dict with {', '.join(reference)}"
        if mine.keys() != reference.keys():
            return f"the answer holds {', '.join(map(str, mine)) or 'nothing'}, expected {', '.join(reference)}"
        sentences = ((name, mismatch(mine[name], array)) for name, array in reference.items())
        return next((f"in {name}, {sentence}" for name, sentence in sentences if sentence), "")
    wanted = np.shape(reference)
    expected = f"an array of shape {wanted}" if wanted else "one number"
    if isinstance(mine, list):
        how = "np.array makes an array of a list" if wanted else "return the number itself"
        return f"the answer is a list of {len(mine)}, expected {expected}: {how}"
    if isinstance(mine, tuple):
        why = "a comma at the end of the return makes a tuple" if len(mine) == 1 else "return it alone"
        return f"the answer is a tuple of {len(mine)}, expected {expected}: {why}"
    if not _numeric(mine):
        short = repr(mine) if len(repr(mine)) <= 60 and "\n" not in repr(mine) else f"a {type(mine).__name__}"
        return f"the answer is {short}, expected numbers of shape {wanted}"
    if np.shape(mine) == wanted:
        return ""
    hint = _shape_hint(np.asarray(mine), reference)
    return f"the answer has shape {np.shape(mine)}, expected {wanted}{hint and f': {hint}'}"


def _shape_hint(mine: np.ndarray, reference: object) -> str:
    """A sentence that says how the answer must change shape to equal the reference; "" if it cannot."""
    got, wanted = mine.shape, np.shape(reference)
    if got == wanted[::-1] and close(mine.T, reference):
        return "it is transposed"
    if mine.size and mine.size == np.size(reference) and close(mine.reshape(wanted), reference):
        if len(got) < len(wanted):
            return "the numbers are right, keep the axis (keepdims=True, or a reshape)"
        if len(got) == len(wanted):
            return f"the numbers are right, in another shape: .reshape{wanted}"
        return "the numbers are right, and an axis is too many: remove it (.item(), [0], a reshape, or no keepdims)"
    for axis, keepdims in product(range(mine.ndim), (True, False)):
        total = mine.sum(axis, keepdims=keepdims)
        if total.shape == wanted and close(total, reference):
            return f"the right numbers appear when it is summed over axis {axis}"
    return ""


def diagnose(mine: object, reference: object, *groups: Iterable[tuple[str, object]], tolerance: float) -> str:
    """The sentences of those candidates (sentence, wrong answer) whose wrong answer equals `mine`; "" if there are none.

    The groups are tried in order until one explains the answer; a wrong sign, a missing transpose and a constant factor
    are tried too. A candidate that equals the reference on these data explains nothing and is skipped.
    """
    mine = formed(mine)
    first, *others = groups or [()]
    for candidates in (first, _wrong_sign_or_transpose(reference), *others, _scaled(mine, reference)):
        sentences = [
            sentence
            for sentence, value in candidates
            if not mismatch(mine, value) and close(mine, value, tolerance) and not close(value, reference, tolerance)
        ]
        if sentences:
            return "; or ".join(dict.fromkeys(sentences))  # without repetitions
    return ""


def _wrong_sign_or_transpose(reference: object) -> Iterator[tuple[str, object]]:
    yield "the sign is wrong", -1.0 * reference
    if np.ndim(reference) == 2 and len(set(np.shape(reference))) == 1:
        yield "it is transposed", np.transpose(reference)


def _scaled(mine: object, reference: object) -> Iterator[tuple[str, object]]:
    """The reference times the factor mine / reference, if that is a simple fraction: another can be a coincidence."""
    a, b = flatten(mine), flatten(reference)
    if a.shape != b.shape or not (np.isrealobj(a) and np.isrealobj(b)) or not b @ b > 0:
        return
    factor = float(a @ b / (b @ b))
    simple = lambda f: abs(Fraction(f).limit_denominator(10) / f - 1) < 1e-6
    if 1e-4 < abs(factor) < 1e4 and (simple(factor) or simple(1 / factor)):
        yield f"every number is {factor:.6g} times the right one", factor * reference


def wrong_arrays(mine: object, reference: object, tolerance: float) -> str:
    """A clause that names the arrays beyond the tolerance; "" for a single array."""
    if not isinstance(reference, Parameters) or len(reference) < 2:
        return ""
    return f"wrong in {', '.join(name for name in reference if not close(mine[name], reference[name], tolerance))}"
