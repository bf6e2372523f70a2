"""The mistakes that can be made in a sum of products, each with the numbers that it gives.

    formula = Formula("eq. 5", {"Ra W": ("Ra", "W"), "a V": ("a", "V"), "c": ("c",)}, values, product, n=5)
    formula.mistakes(swaps={"a": {"z": z}}, extras={"b": b})     # (sentence, wrong answer)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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
