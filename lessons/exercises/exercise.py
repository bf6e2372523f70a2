"""An exercise: the solution that the lesson prints, cases to try an answer on, and known mistakes as edits of the solution.

    DOUBLE = Exercise("def double(x):\\n    return 2 * x\\n", cases, ("y",), (("2 * ", "", "the factor 2 is missing"),))
    DOUBLE(answer, rng)    # prints a line for every right quantity; raises WrongAnswer for the first wrong one

A wrong answer is compared with the edited solution, with one edit and then with two, on all cases. An edit that gives
its numbers names the mistake. If none does, `pattern` says what the numbers show, and claims nothing else.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np

import tinymaml.check
from exercises.guard import refuse, several
from exercises.pattern import are, pattern
from tinymaml import Parameters
from tinymaml.check import WrongAnswer, compare
from tinymaml.check.compare import flatten, mismatch, relative_error
from tinymaml.tasks import TaskBatch

Edit = tuple[str, str, str]  # a text of the solution, the text in its place, the sentence that says what was done
Parts = dict[str, Any]  # {name: number, array or Parameters} of one answer

NAMES = {**vars(tinymaml), **vars(tinymaml.check), "np": np, "math": math, "TaskBatch": TaskBatch}  # of a lesson


@dataclass(frozen=True)
class Exercise:
    """cases(rng): the arguments of each call, of several sizes and kinds. answers: the names of the things returned.

    tolerance, floor: those of `compare`. A dictionary by layers or steps counts as one thing for each key: u[0], u[1], ...
    """

    solution: str
    cases: Callable[[np.random.Generator], Sequence[tuple]]
    answers: tuple[str, ...]
    edits: tuple[Edit, ...] = ()
    alone: tuple[Edit, ...] = ()  # edits that are tried by themselves only: with another, the sentences could be false
    tolerance: float = 1e-9
    floor: float = 1e-3

    @cached_property
    def solve(self) -> Callable:
        """The solution as a function."""
        return function(self.solution)

    @cached_property
    def mistakes(self) -> list[tuple[str, Callable]]:
        """(sentence, edited solution) of each edit, then of each two that change different places."""
        sources = [(edit[2], made[0]) for edit in (*self.edits, *self.alone) if (made := edited(self.solution, edit))]
        for first, second in combinations(self.edits, 2):
            if (made := edited(self.solution, first)) and (both := edited(made[0], second, made[1])):
                sources.append((f"{first[2]}; and {second[2]}", both[0]))
        return [(sentence, function(source)) for sentence, source in sources]

    def __call__(self, answer: Callable, rng: np.random.Generator) -> None:
        """Check `answer`, which is guarded; WrongAnswer with a sentence for the first thing that is wrong in it."""
        cases, mine, stopped = list(self.cases(rng)), [], None
        right = [self.parts(self.solve, case) for case in cases]
        for case, wanted in zip(cases, right, strict=True):
            try:
                with np.errstate(all="ignore"):  # the sentence says it
                    mine.append(self.parts(answer, case, wanted))
            except WrongAnswer as wrong:  # a mistake that can be named in the cases before says more
                stopped, cases, right = wrong, cases[: len(mine)], right[: len(mine)]
                break
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
            if not (told or different) and isinstance(other, Mapping):
                known = ((key, self._known(mine, right, cases, [name], closeness, key)) for key in other)
                told = next((f"in {key}, {sentence}" for key, sentence in known if sentence), "")
            if different:
                told = f"{different.partition(': ')[0]}: {told}" if told else different
            diagnosis = told or wrong.diagnosis
            if not diagnosis:
                alike = [k for k, (m, r) in enumerate(zip(mine, right, strict=True))
                         if name in m and name in r and not mismatch(m[name], r[name])]  # fmt: skip
                told = pattern([(mine[k][name], right[k][name]) for k in alike], [cases[k] for k in alike], self.arguments)
                told = "; ".join(filter(None, [told, self._so_far(name, mine, right, cases)]))
            sentence = f"{name} is wrong: {told or diagnosis}"
            raise WrongAnswer(sentence, name=name, error=wrong.error, diagnosis=diagnosis, line=wrong.line) from None

    def _refuse_keys(self, mine: list[Parts], right: list[Parts], cases: list[tuple], i: int) -> None:
        """Refuse an answer that consists of other things than the solution's."""
        told = self._known(mine, right, cases, list(right[i]))
        found = [name for name in self.answers if name in mine[i] and not isinstance(mine[i][name], dict)]
        kinds = [f"{name} is {a_kind_of(mine[i][name])}, expected a dictionary" for name in found]
        lost, more = ([name for name in a if name not in b] for a, b in ((right[i], mine[i]), (mine[i], right[i])))
        other = f"{are(lost)} missing" if lost else f"{', '.join(more)} should not be there"
        other = kinds[0] if kinds and lost else other
        refuse("the answer", told or f"{other}{self._with(cases, [i])}: it must hold {', '.join(right[i])}")

    def _known(
        self, mine: list[Parts], right: list[Parts], cases: list[tuple], names: list[str], closeness: float = 1e-6, key: str = ""
    ) -> str:
        """The sentence of the edit, or of the two, that gives what was answered in all cases; "" if there is none.

        One that gives the whole answer comes first. Else it is enough that it gives what stands under `names`, and nothing
        that is neither answered nor right; with a `key`, that it gives all that is not right.
        """
        answered, wanted = [spread(parts) for parts in mine], [spread(parts) for parts in right]
        asked = lambda arrays: {path: array for path, array in arrays.items() if path[0] in names and key in ("", path[1])}
        fits = lambda one, other: same(asked(one), asked(other), closeness)
        is_one_of = lambda array, *others: any(same(array, other, closeness) for other in others)

        def gives(mistaken: Callable, everything: bool = False) -> bool:
            for case, given, better in zip(cases, answered, wanted, strict=True):
                made = spread(self.parts(mistaken, case))
                if not fits(made, given) or (everything and not same(made, given, closeness)):
                    return False
                for path, array in made.items():
                    mistake = given.get(path) if key else array
                    if not is_one_of(mistake, array if key else given.get(path), better.get(path)):
                        return False
            return True

        if all(map(fits, answered, wanted)):  # only an axis is missing, or too many
            return ""
        things = [array for arrays in answered for array in asked(arrays).values()]
        found, one_only = "", bool(key) or all(map(_says_nothing, things))  # many mistakes lead to zeros
        for sentence, mistaken in self.mistakes:
            if "; and " in sentence and (found or one_only):
                break  # two mistakes are less likely than one
            with suppress(Exception), np.errstate(all="ignore"):  # an edited solution need not work on every case
                if gives(mistaken):
                    if gives(mistaken, everything=True):
                        return sentence
                    found = found or sentence
        return found

    def _so_far(self, name: str, mine: list[Parts], right: list[Parts], cases: list[tuple]) -> str:
        """What is right in the answer: other things, other cases."""
        fits = lambda m, r, key: key in m and not mismatch(m[key], r[key]) and (
            relative_error(m[key], r[key], floor=self.floor) <= self.tolerance)  # fmt: skip
        pairs = list(zip(mine, right, strict=True))
        good = [key for key in right[0] if key != name and all(fits(m, r, key) for m, r in pairs if key in r)]
        told = [f"{are(good)} right"] * bool(good)
        whole = [all(fits(m, r, key) for key in r) for m, r in pairs]
        if any(whole):
            where, bad = (self._with(cases, [i for i, fit in enumerate(whole) if fit == wanted]) for wanted in (True, False))
            some = f" in {sum(whole)} of {len(whole)} cases{where and ','}{where}"
            told.append(f"the answer is right{where}, and wrong{bad}" if where and bad else f"the answer is right{some}")
        return "; ".join(told)

    @property
    def arguments(self) -> list[str]:
        """The names of the arguments of the function."""
        return list(inspect.signature(self.solve).parameters)

    def _with(self, cases: list[tuple], some: list[int]) -> str:
        """These cases in words: the argument that sets them apart, or all in which they differ; "" if others have the same."""
        defaults = [argument.default for argument in inspect.signature(self.solve).parameters.values()]
        given = [zip(self.arguments, (*case, *defaults[len(case):]), strict=True) for case in cases]
        shown = [{name: described(name, value) for name, value in one} for one in given]
        differ = [name for name in self.arguments if len({one[name] for one in shown}) > 1]
        apart = [name for name in reversed(differ) if {shown[i][name] for i in some}.isdisjoint(
            one[name] for i, one in enumerate(shown) if i not in some)]  # fmt: skip
        words = [", ".join(filter(None, (one[name] for name in (apart[:1] or differ)))) for one in shown]
        told, others = list(dict.fromkeys(words[i] for i in some)), {word for i, word in enumerate(words) if i not in some}
        if not all(told) or len(told) > 3 or not others.isdisjoint(told):
            return ""
        if apart:  # steps = 1, 2, 3
            told = [", ".join([told[0], *(one.removeprefix(f"{apart[0]} ").removeprefix("= ") for one in told[1:])])]
        return f" with {' and with '.join(told)}"


@dataclass(frozen=True)
class ByHand:
    """An exercise whose answer is no function of arrays, or has more to it than its numbers: check(answer, rng) judges it."""

    solution: str
    check: Callable[[Callable, np.random.Generator], None]

    def __call__(self, answer: Callable, rng: np.random.Generator) -> None:
        """Check `answer`, which is guarded; WrongAnswer with a sentence for the first thing that is wrong in it."""
        self.check(answer, rng)


def edited(source: str, edit: Edit, taken: Sequence[tuple[int, int]] = ()) -> tuple[str, list[tuple[int, int]]] | None:
    """The source after an edit, and where its new texts are; None if the old text is not there, or in a place that is taken."""
    old, new, _ = edit
    starts = [found.start() for found in re.finditer(re.escape(old), source)]
    if not starts or any(start < end and begin < start + len(old) for start in starts for begin, end in taken):
        return None
    shift = len(new) - len(old)
    return source.replace(old, new), [(at + k * shift, at + k * shift + len(new)) for k, at in enumerate(starts)]


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
    return Parameters.unchecked(thing) if arrays and all(isinstance(array, np.ndarray) for array in thing.values()) else thing


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
    return not finite.any() or relative_error(a[finite], b[finite], floor=1e-6) <= closeness


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
    if isinstance(value, tuple) and all(isinstance(part, int | float | np.number) for part in value):
        return f"{name} = ({', '.join(f'{part:.3g}' for part in value)})"
    if isinstance(value, TaskBatch):
        return f"{name} of {len(value)} tasks"
    return f"{name} = {value:g}" if isinstance(value, int | float | np.number) else ""


def a_kind_of(value: Any) -> str:
    return f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
