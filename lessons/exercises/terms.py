"""The mistakes that can be made in a sum of products, each with the numbers that it gives, or read off an answer's numbers.

    formula = Formula("eq. 5", {"Ra W": ("Ra", "W"), "a V": ("a", "V"), "c": ("c",)}, values, product, n=5)
    formula.mistakes(swaps={"a": {"z": z}}, extras={"b": b})     # (sentence, wrong answer)
    made_of(mine, {"Ra W": Ra @ W, "a V": a @ V}, {"a W": a @ W})  # "it is Ra W + 2 a W, and not Ra W + a V"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np

Swaps = Mapping[str, Mapping[str, Any]]  # {factor: {what may stand in its place: its value}}


@dataclass(frozen=True)
class Formula:
    """A sum of terms, each a product of factors by name.

    terms: {how the term is written: the names of its factors}. values: {factor: array}. product: of a term's factors.
    n: the number of examples, a factor that is often lost or there twice.
    """

    equation: str
    terms: Mapping[str, tuple[str, ...]]
    values: Mapping[str, Any]
    product: Callable[..., np.ndarray]
    n: int

    def mistakes(self, swaps: Swaps, extras: Mapping[str, Any] | None = None) -> Iterator[tuple[str, np.ndarray]]:
        """One mistake, or one term alone. Mistakes whose shapes do not fit cannot be made, and are passed over."""
        right = sum(self._term(term) for term in self.terms)
        yield from ((sentence, right + change) for sentence, change in self._fitting(swaps, extras or {}))
        if len(self.terms) > 2:
            for term in self.terms:
                yield f"this is the term {term} alone: {self.equation} has more", self._term(term)

    def two_mistakes(self, swaps: Swaps, extras: Mapping[str, Any] | None = None) -> Iterator[tuple[str, np.ndarray]]:
        """Every two of them, for an answer that no single one explains."""
        right = sum(self._term(term) for term in self.terms)
        for (first, change), (second, other) in combinations(list(self._fitting(swaps, extras or {})), 2):
            yield f"{first}; and {second}", right + change + other

    def _fitting(self, swaps: Swaps, extras: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
        shape = np.shape(sum(self._term(term) for term in self.terms))
        return ((sentence, change) for sentence, change in self._changes(swaps, extras) if np.shape(change) == shape)

    def _term(self, term: str, **other: Any) -> np.ndarray:
        return self.product(*(other.get(factor, self.values[factor]) for factor in self.terms[term]))

    def _changes(self, swaps: Swaps, extras: Mapping[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
        """(sentence, what is added to the right answer by the mistake)."""
        several = len(self.terms) > 1
        for term in self.terms if several else ():
            value = self._term(term)
            yield f"the term {term} of {self.equation} is missing", -value
            yield f"the term {term} has the wrong sign: {self.equation} adds it", -2 * value
            yield f"the term {term} is there twice ({self.equation})", value
            yield f"the term {term} is halved ({self.equation})", -value / 2
            yield f"the term {term} is divided by n, which {self.equation} does not do", value / self.n - value
            yield f"the term {term} is multiplied by n, which {self.equation} does not do", value * self.n - value
            if value.ndim == 2 and value.shape[0] == value.shape[1]:
                yield f"the term {term} is transposed ({self.equation})", value.T - value
        total = sum(self._term(term) for term in self.terms)
        yield f"it is divided by n: {self.equation} has no such factor", total / self.n - total
        yield f"it is multiplied by n: {self.equation} has no such factor", total * self.n - total
        yield f"it is halved: {self.equation} has no such factor", -total / 2
        yield from self._swapped(swaps)
        for name, value in extras.items():
            yield f"{name} is added, which {self.equation} does not have", value

    def _swapped(self, swaps: Swaps) -> Iterator[tuple[str, np.ndarray]]:
        """A factor in place of another: wherever it stands, then in one term only."""
        for factor, others in swaps.items():
            homes = [term for term, factors in self.terms.items() if factor in factors]
            for name, value in others.items():
                try:
                    changes = {term: self._term(term, **{factor: value}) - self._term(term) for term in homes}
                except ValueError:  # the shapes do not fit
                    continue
                stands = f"{name} stands where {factor} belongs" if name != "1" else f"the factor {factor} is missing"
                if len(homes) > 1:
                    yield f"{stands} ({self.equation})", sum(changes.values())
                for term, change in changes.items():
                    where = f", in the term {term}" if len(self.terms) > 1 and term != factor else ""
                    yield f"{stands}{where} ({self.equation})", change


def made_of(mine: Any, right: Mapping[str, Any], others: Mapping[str, Any], *, most: int = 2) -> str:
    """An answer written as a sum of named terms: any of the right ones, with at most `most` others; "" if it is none.

    A sum is told only if it leaves four numbers at least beyond its factors, and agrees with all of them but for rounding.
    """
    target = np.ravel(np.asarray(mine, dtype=float))
    flat = lambda terms: {name: np.ravel(value) for name, value in terms.items() if np.shape(value) == np.shape(mine)}
    base, size = flat(right), np.linalg.norm(target)
    rest = {name: value for name, value in flat(others).items() if np.isfinite(value).all() and np.any(value)}
    if len(base) < len(right) or not (np.isfinite(size) and size > 0):
        return ""
    for count in range(most + 1):
        if len(base) + count + 4 > target.size:
            break
        for names in combinations(rest, count):
            terms = base | {name: rest[name] for name in names}
            factors = np.linalg.lstsq(np.stack(list(terms.values()), axis=1), target, rcond=1e-9)[0]
            fitting = sum(c * value for c, value in zip(factors, terms.values(), strict=True))
            if np.linalg.norm(fitting - target) < 1e-9 * size:
                used = [(c, name) for c, name in zip(factors, terms, strict=True)
                        if abs(c) * np.linalg.norm(terms[name]) > 1e-7 * size]  # fmt: skip
                if sum(abs(Fraction(c).limit_denominator(100) - c) > 1e-8 * abs(c) for c, _ in used) > 1:
                    continue  # many odd factors explain anything
                return f"it is {_sum(used)}, and not {_sum((1.0, name) for name in right)}"
    return ""


def _sum(terms: Iterable[tuple[float, str]]) -> str:
    """`2 a V - 1/5 c`: a factor as a fraction if it is one; a name that begins with a minus stands for its negative."""
    parts = []
    for c, name in terms:
        signed = -c if name[0] == "-" else c
        ratio = Fraction(abs(c)).limit_denominator(100)
        factor = f"{ratio}" if abs(float(ratio) - abs(c)) < 1e-8 * abs(c) else f"{abs(c):.4g}"
        told = factor if name == "1" else name.removeprefix("-") if factor == "1" else f"{factor} {name.removeprefix('-')}"
        parts.append(f"{'-' if signed < 0 else '+'} {told}")
    told = " ".join(parts)
    return told.removeprefix("+ ") if told[0] == "+" else told.replace("- ", "-", 1)
