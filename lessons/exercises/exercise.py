"""An exercise: the solution that the lesson prints, cases to try an answer on, and known mistakes as edits of the solution.

    DOUBLE = Exercise("def double(x):\\n    return 2 * x\\n", cases, ("y",), (("2 * ", "", "the factor 2 is missing"),))
    DOUBLE(answer, rng)    # prints a line for every right quantity; raises WrongAnswer for the first wrong one

A wrong answer is compared with the edited solution, with one edit and then with two, on all cases. An edit that gives
its numbers names the mistake. If none does, `pattern` says what the numbers show, and claims nothing else.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

import tinymaml.check
from exercises.guard import refuse, several
from exercises.pattern import pattern
from tinymaml import MLP, Parameters, adapt, meta_gradient
from tinymaml.check import WrongAnswer, compare
from tinymaml.check.compare import flatten, mismatch, relative_error

Edit = tuple[str, str, str]  # a text of the solution, the text in its place, the sentence that says what was done
Parts = dict[str, Any]  # {name: number, array or Parameters} of one answer

NAMES = {"np": np, "MLP": MLP, "Parameters": Parameters, "adapt": adapt, "meta_gradient": meta_gradient, **vars(tinymaml.check)}


@dataclass(frozen=True)
class Exercise:
    """cases(rng): the arguments of each call, of several sizes and kinds. answers: the names of the things returned.

    tolerance, floor: those of `compare`. A dictionary by layers or steps counts as one thing for each key: u[0], u[1], ...
    """

    solution: str
    cases: Callable[[np.random.Generator], Sequence[tuple]]
    answers: tuple[str, ...]
    edits: tuple[Edit, ...] = ()
    tolerance: float = 1e-9
    floor: float = 1e-3

    @cached_property
    def solve(self) -> Callable:
        """The solution as a function."""
        return function(self.solution)

    @cached_property
    def mistakes(self) -> list[tuple[str, Callable]]:
        """(sentence, edited solution) of each edit, then of each two that can be made one after the other."""
        found = []
        for edits in (*combinations(self.edits, 1), *combinations(self.edits, 2)):
            source = self.solution
            for old, new, _ in edits:
                if old not in source:
                    break
                source = source.replace(old, new)
            else:
                found.append(("; and ".join(sentence for _, _, sentence in edits), function(source)))
        return found

    def __call__(self, answer: Callable, rng: np.random.Generator) -> None:
        """Check `answer`, which is guarded; WrongAnswer with a sentence for the first thing that is wrong in it."""
        cases = list(self.cases(rng))
        right = [self.parts(self.solve, case) for case in cases]
        mine, stopped = [], None
        for case, wanted in zip(cases, right, strict=True):
            try:
                with np.errstate(all="ignore"):  # the sentence says it
                    mine.append(self.parts(answer, case, wanted))
            except WrongAnswer as wrong:  # a mistake that can be named in the cases before says more
                stopped = wrong
                break
        cases, right = cases[: len(mine)], right[: len(mine)]
        try:
            for i in range(len(mine)):
                if mine[i].keys() != right[i].keys():
                    self._refuse_keys(mine, right, cases, i)
                for name in right[i]:
                    self._compare(name, mine, right, cases, i)
        except WrongAnswer as wrong:
            if wrong.diagnosis or not stopped:
                raise
        if stopped:
            raise stopped

    def parts(self, answer: Callable, case: tuple, wanted: Parts | None = None) -> Parts:
        """The things that the function returns for this case, by name; a list will do for a dictionary of `wanted`."""
        value, found = answer(*case), {}
        for name, thing in zip(self.answers, [value] if len(self.answers) == 1 else several(value, *self.answers), strict=True):
            if isinstance(thing, list | tuple) and wanted and name not in wanted and f"{name}[0]" in wanted:
                thing = dict(enumerate(thing))
            whole = wanted and name in wanted  # one thing is asked for
            if not whole and isinstance(thing, dict) and thing and all(isinstance(key, int | np.integer) for key in thing):
                found |= {f"{name}[{key}]": dense(value) for key, value in thing.items()}
            else:
                found[name] = dense(thing)
        return found

    def _compare(self, name: str, mine: list[Parts], right: list[Parts], cases: list[tuple], i: int) -> None:
        """One line of `compare`; what is wrong is explained from all cases."""
        one, other = mine[i][name], right[i][name]
        different = mismatch(one, other)
        try:
            compare(name, one, other, tolerance=self.tolerance, floor=self.floor)
        except WrongAnswer as wrong:
            closeness = float(np.clip(np.nan_to_num(wrong.error / 100, nan=1), 1e-13, 1e-6))  # nearer than the right answer is
            told = self._known(mine, right, cases, [name], closeness)
            for key in other if isinstance(other, Mapping) and not different and not told else ():
                known = self._known(mine, right, cases, [name], closeness, key)
                told = told or (f"in {key}, {known}" if known else "")
            if different:
                told = f"{different.partition(': ')[0]}: {told}" if told else different
            diagnosis = told or wrong.diagnosis
            if not diagnosis:
                pairs = [(m[name], r[name]) for m, r in zip(mine, right, strict=True) if name in m and name in r]
                told = "; ".join(filter(None, [pattern(pairs, cases, self.arguments), self._so_far(name, mine, right, cases)]))
            sentence = f"{name} is wrong: {told or diagnosis}"
            raise WrongAnswer(sentence, name=name, error=wrong.error, diagnosis=diagnosis, line=wrong.line) from None

    def _refuse_keys(self, mine: list[Parts], right: list[Parts], cases: list[tuple], i: int) -> None:
        """Refuse an answer that consists of other things than the solution's."""
        told = self._known(mine, right, cases, list(right[i]))
        found = [name for name in self.answers if name in mine[i] and not isinstance(mine[i][name], dict)]
        kinds = [f"{name} is {a_kind_of(mine[i][name])}, expected a dictionary" for name in found]
        lost, more = ([name for name in a if name not in b] for a, b in ((right[i], mine[i]), (mine[i], right[i])))
        verb = f"{'is' if len(lost or more) == 1 else 'are'} {'missing' if lost else 'too many'}"
        other = kinds[0] if kinds and lost else f"{', '.join(lost or more)} {verb}"
        refuse("the answer", told or f"{other}{self._with(cases, [i])}: it must hold {', '.join(right[i])}")

    def _known(
        self, mine: list[Parts], right: list[Parts], cases: list[tuple], names: list[str], closeness: float = 1e-6, key: str = "",
    ) -> str:
        """The sentence of the edits that give all that was answered; or else what was answered under `names`, and there under `key`.

        All else that such an edit changes must be as it was answered, or be right.
        """
        pick = lambda parts: [parts[name].get(key) if key else parts[name] for name in names if name in parts]
        fits = lambda made, given: len(pick(made)) == len(pick(given)) and all(
            same(one, other, closeness) for one, other in zip(pick(made), pick(given), strict=True))
        agrees = lambda made, given, wanted: all(
            same(one, given.get(path), closeness) or same(given.get(path) if key else one, wanted.get(path), closeness)
            for path, one in made.items())
        given = [thing for parts in mine for thing in pick(parts)]
        if all(map(fits, mine, right)):  # only an axis is missing, or too many
            return ""
        if given and all(map(_says_nothing, given)):  # many mistakes lead there
            return ""
        found = ""
        for sentence, mistaken in self.mistakes:
            if "; and " in sentence and (found or key):
                break  # two mistakes are less likely than one
            try:
                with np.errstate(all="ignore"):
                    for i, case in enumerate(cases):
                        made = self.parts(mistaken, case)
                        if not fits(made, mine[i]) or not agrees(*map(spread, (made, mine[i], right[i]))):
                            break
                    else:
                        if all(same(self.parts(mistaken, case), given, closeness) for case, given in zip(cases, mine, strict=True)):
                            return sentence
                        found = found or sentence
            except Exception:  # the edited solution does not work on this case
                continue
        return found

    def _right(self, mine: Parts, right: Parts, name: str) -> bool:
        """Whether this thing is right in this case; also where it is asked for in other cases only."""
        if name not in right:
            return True
        return name in mine and not mismatch(mine[name], right[name]) and same(mine[name], right[name], self.tolerance)

    def _so_far(self, name: str, mine: list[Parts], right: list[Parts], cases: list[tuple]) -> str:
        """What is right in the answer: other things, other cases."""
        fits = {key: [self._right(m, r, key) for m, r in zip(mine, right, strict=True)] for key in right[0]}
        good = [key for key in right[0] if key != name and all(fits[key])]
        told = [f"{', '.join(good)} {'is' if len(good) == 1 else 'are'} right"] * bool(good)
        if any(fits.get(name, ())):
            where, bad = ([i for i, fit in enumerate(fits[name]) if fit == wanted] for wanted in (True, False))
            these, others = self._with(cases, where), self._with(cases, bad)
            count = f" in {len(where)} of {len(cases)} cases"
            told.append(f"it is right{these}, and wrong{others}" if these and others else f"it is right{count}")
        return "; ".join(told)

    @property
    def arguments(self) -> list[str]:
        """The names of the arguments of the function."""
        return list(inspect.signature(self.solve).parameters)

    def _with(self, cases: list[tuple], some: list[int]) -> str:
        """These cases in words: the argument that sets them apart from the others, or all in which the cases differ."""
        shown = [{name: described(name, value) for name, value in zip(self.arguments, case, strict=False)} for case in cases]
        differ = [name for name in self.arguments if len({one.get(name) for one in shown}) > 1]
        apart = [name for name in reversed(differ) if {shown[i][name] for i in some}.isdisjoint(
            one[name] for i, one in enumerate(shown) if i not in some)]  # fmt: skip
        told = [", ".join(filter(None, (one.get(name) for name in (apart[:1] or differ)))) for one in shown]
        others = {text for i, text in enumerate(told) if i not in some}
        told = [told[i] for i in some]
        return f" with {' and with '.join(dict.fromkeys(told))}" if all(told) and others.isdisjoint(told) else ""


@dataclass(frozen=True)
class ByHand:
    """An exercise whose answer is no function of arrays, or has more to it than its numbers: check(answer, rng) judges it."""

    solution: str
    check: Callable[[Callable, np.random.Generator], None]

    def __call__(self, answer: Callable, rng: np.random.Generator) -> None:
        """Check `answer`, which is guarded; WrongAnswer with a sentence for the first thing that is wrong in it."""
        self.check(answer, rng)


def function(source: str) -> Callable:
    """The function that this text defines."""
    names = dict(NAMES)
    exec(source, names)
    return names[re.search(r"^def (\w+)", source, re.MULTILINE)[1]]


def dense(thing: Any) -> Any:
    """A dict of arrays as Parameters, with factored matrices (eq. 14) multiplied out; other things as they are."""
    if isinstance(thing, Parameters):
        return thing.dense()
    arrays = isinstance(thing, dict) and thing and all(isinstance(name, str) for name in thing)
    return Parameters(thing) if arrays and all(isinstance(array, np.ndarray) for array in thing.values()) else thing


def same(one: Any, other: Any, closeness: float = 1e-6) -> bool:
    """Whether two things have the same numbers up to rounding, and NaN in the same places; an axis of length 1 may be missing."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[name], other[name], closeness) for name in one)
    try:
        a, b = np.squeeze(one), np.squeeze(other)
    except ValueError:  # rows of different lengths
        return False
    if a.shape != b.shape or a.dtype.kind not in "biufc" or b.dtype.kind not in "biufc":
        return False
    finite = np.isfinite(a)
    if not np.array_equal(finite, np.isfinite(b)) or not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return False
    return not finite.any() or relative_error(a[finite], b[finite], floor=1e-12) <= closeness


def _says_nothing(thing: Any) -> bool:
    """Whether every number in it is 0, NaN or infinite."""
    try:
        return not np.nan_to_num(flatten(thing), posinf=0, neginf=0).any()
    except (TypeError, ValueError):
        return False


def spread(parts: Parts) -> dict[Any, Any]:
    """The arrays of an answer one by one, by name and, in Parameters, by the name there."""
    return {(name, key): array for name, thing in parts.items()
            for key, array in (thing.items() if isinstance(thing, Mapping) else [("", thing)])}  # fmt: skip


def described(name: str, value: Any) -> str:
    """An argument in a few words: its shape, or its value."""
    if isinstance(value, np.ndarray):
        return f"{name} {value.shape}"
    if isinstance(value, tuple) and value and all(isinstance(part, np.ndarray) for part in value):
        return f"{name} {', '.join(str(part.shape) for part in value)}"
    return f"{name} = {value:g}" if isinstance(value, int | float | np.number) else ""


def a_kind_of(value: Any) -> str:
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
