"""Two answers side by side: one aligned line a quantity, with a verdict in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction

import numpy as np

from tinymaml import validate
from tinymaml.parameters import Parameters

FLOOR = 1e-3  # below this norm a difference is measured against it: rounding around zero, 0 against 1e-16, is no error
TOLERANCE = 1e-10
FEW_DIGITS = 1e-5  # an answer that is wrong by less has lost digits


class WrongAnswer(AssertionError):
    """An answer beyond its tolerance. `name`, `error` (relative; inf where it has no meaning) and `diagnosis`, "" if none.

    A notebook shows its sentence and its line, and no traceback: that would be of the check, not of the answer.
    """

    def __init__(self, sentence: str, *, name: str, error: float, diagnosis: str = "", line: str = ""):
        super().__init__("\n".join(part for part in (sentence, line) if part))
        self.name, self.error, self.diagnosis, self.line = name, error, diagnosis, line

    def __reduce__(self) -> tuple:
        return Exception.__new__, (WrongAnswer, *self.args), self.__dict__  # for pickle: a pool hands exceptions back

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of a traceback."""
        return str(self).splitlines()


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
    validate.text("name", name)
    validate.tolerance("tolerance", tolerance)
    if not (isinstance(reference, Parameters) or _numeric(reference)):
        raise TypeError(f"reference is {validate.told(reference)}, expected numbers: pass an array or Parameters")
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
            "by a rounded number, by float32 on the way, or by a difference quotient"
        )
    worst = f"its relative error is {error:.1e}, where {tolerance:.0e} would pass{_worst(mine, reference)}"
    line += f"wrong (beyond {tolerance:.0e})"
    raise WrongAnswer(f"{name} is wrong: {found or worst}", name=name, error=error, diagnosis=found, line=line)


def relative_error(mine: object, reference: object, *, floor: float = FLOOR) -> float:
    """|mine - reference| / max(|mine|, |reference|, floor), in the Euclidean norm over all numbers; NaN if any is NaN."""
    validate.tolerance("floor", floor)
    mine, reference = _answers(mine, reference)
    with np.errstate(all="ignore"):  # what is not finite shows in the result
        scale = max(np.linalg.norm(mine), np.linalg.norm(reference), floor)
        return float(np.linalg.norm(mine - reference) / scale)


def _answers(mine: object, reference: object) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of two answers, in rows of one length."""
    for name, value in (("mine", mine), ("reference", reference)):
        if not ((isinstance(value, Mapping) and value) or _numeric(value)):
            raise TypeError(f"{name} is {validate.told(value)}, expected numbers: pass an array or Parameters")
    if isinstance(mine, Mapping) and isinstance(reference, Mapping) and mine.keys() != reference.keys():
        raise ValueError(f"mine holds {list(mine)} and reference {list(reference)}, expected the same names: compare those")
    one, other = numbers(mine), numbers(reference)
    if one.shape != other.shape:
        raise ValueError(f"mine holds {one.size} numbers and reference {other.size}: compare as many with as many")
    return one, other


def formed(answer: object) -> object:
    """The answer itself, with matrices that are kept as factors (eq. 14) multiplied out."""
    return answer.formed() if isinstance(answer, Parameters) else answer


def mismatch(mine: object, reference: object) -> str:
    """What keeps two answers from being compared number by number, as a sentence; "" if nothing does."""
    if isinstance(reference, Parameters):
        if not isinstance(mine, Mapping):
            return f"the answer is a {type(mine).__name__}, expected Parameters or a dict with {', '.join(reference)}"
        if mine.keys() != reference.keys():
            return f"the answer holds {', '.join(map(str, mine)) or 'nothing'}, expected {', '.join(reference)}"
        told = (mismatch(mine[name], reference[name]) for name in reference)
        return next((f"in {name}, {what}" for name, what in zip(reference, told, strict=True) if what), "")
    got, wanted = np.shape(mine) if _numeric(mine) else None, np.shape(reference)
    expected = f"an array of shape {wanted}" if wanted else "one number"
    if isinstance(mine, list | tuple):
        why = "np.array makes an array of a list" if isinstance(mine, list) else "return it alone"
        why = "a comma at the end of the return makes a tuple" if isinstance(mine, tuple) and len(mine) == 1 else why
        return f"the answer is a {type(mine).__name__} of {len(mine)}, expected {expected}: {why}"
    if got is None:
        told = repr(mine)
        told = told if len(told) <= 60 and "\n" not in told else f"a {type(mine).__name__}"
        return f"the answer is {told}, expected numbers of shape {wanted}"
    if got == wanted:
        return ""
    sentence, why = f"the answer has shape {got}, expected {wanted}", _reshaped(mine, reference)
    return f"{sentence}: {why}" if why else sentence


def _numeric(value: object) -> bool:
    try:
        return not isinstance(value, Mapping) and np.asarray(value).dtype.char in "?bBhHiIlLqQefdgFDG"
    except ValueError:  # rows of different lengths
        return False


def _reshaped(mine: object, reference: object) -> str:
    """How the numbers of an answer of another shape are those of the reference; "" if they are not."""
    got, wanted = np.shape(mine), np.shape(reference)
    if not np.size(mine):
        return ""
    if got == wanted[::-1] and close(np.transpose(mine), reference):
        return "it is transposed"
    if np.size(mine) == np.size(reference) and close(np.reshape(mine, wanted), reference):
        if len(got) < len(wanted):
            return "the numbers are right, keep the axis (keepdims=True, or a reshape)"
        if len(got) == len(wanted):
            return f"the numbers are right, in another shape: .reshape{wanted}"
        go = ".item()" if not wanted else "[0]" if got[1:] == wanted else "[..., 0]" if got[:-1] == wanted else "a reshape"
        return f"the numbers are right, and an axis is too many: it must go ({go}, or no keepdims)"
    for axis in range(len(got)):
        for kept in (True, False):
            for word, total in (("summed", np.sum), ("averaged", np.mean)):
                value = total(mine, axis, keepdims=kept)
                if np.shape(value) == wanted and close(value, reference):
                    return f"the right numbers appear when it is {word} over axis {axis}"
    if len(got) >= len(wanted) and np.size(mine) > np.size(reference):
        try:
            repeated = close(mine, np.broadcast_to(reference, got))
        except ValueError:
            repeated = False
        if repeated:
            return "the right numbers are there several times: broadcasting has repeated them"
    n = max(wanted, default=0)
    if n > 1 and np.size(reference) == n and got == (n, n):
        return f"an array ({n},) has met an array ({n}, 1), and broadcasting has paired every number with every other"
    return ""


def close(mine: object, reference: object, tolerance: float = 1e-6) -> bool:
    """Whether two answers of one shape are the same but for rounding."""
    return relative_error(mine, reference) <= tolerance


def tolerance_for(mine: object, tolerance: float) -> float:
    """The tolerance that an answer can be held to: 1e-4 at least if it is in float32."""
    arrays = formed(mine).values() if isinstance(mine, Mapping) else [mine]
    single = any(np.asarray(array).dtype.char in "fF" for array in arrays)
    return max(tolerance, 1e-4 if single else 0)


def diagnose(mine: object, reference: object, *groups: Iterable[tuple[str, object]], tolerance: float) -> str:
    """The sentences of those candidates (sentence, wrong answer) whose numbers are `mine`; "" if there are none.

    The groups are tried one after another until one has an explanation; a turned sign, a lost transpose and a constant
    factor are tried too. A candidate that happens to agree with the reference here says nothing and is passed over.
    """
    mine = formed(mine)
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
    yield "the sign is wrong", -1.0 * reference
    if np.ndim(reference) == 2 and len(set(np.shape(reference))) == 1:
        yield "it is transposed", np.transpose(reference)


def _scaled(mine: object, reference: object) -> Iterator[tuple[str, object]]:
    """A constant factor, if it is one that a mistake makes: a whole number, a part of one, or a simple ratio."""
    a, b = numbers(mine), numbers(reference)
    if a.shape != b.shape or not (b @ b) > 0:
        return
    factor = (a @ b) / (b @ b)
    if np.isfinite(factor) and np.isreal(factor):
        simple = _simple(float(np.real(factor)))
        if simple:
            yield f"every number is {simple:.6g} times the right one", simple * reference
        if a.size > 1:
            yield "it is scaled to length one: the length is part of the answer", float(np.linalg.norm(b)) ** -1 * reference


def _simple(factor: float) -> float:
    """The clean number that a factor is but for rounding, -1, n, 1/n or p/q with p and q up to 10; 0 if it is none."""
    if not 1e-6 < abs(factor) < 1e6:
        return 0.0
    ratio = Fraction(factor).limit_denominator(10)
    whole = Fraction(round(factor)) if abs(factor) >= 1 else 1 / Fraction(round(1 / factor))
    clean = [whole] if abs(ratio.numerator) > 10 else [ratio, whole]
    near = (float(one) for one in clean if abs(one - 1) > 0.05 and abs(factor - float(one)) < 1e-6 * abs(factor))
    return next(near, 0.0)


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
