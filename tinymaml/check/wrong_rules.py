"""What a mistake is: wrong rules by kind of layer, and a layer that has them in place of its own.

A wrong rule gets the right one first, bound to its layer, and most of them are the right rule on something else: without a
term, `{**p, b: 0}`, or with another array in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

Rules = Mapping[type, Mapping[str, Callable]]


@dataclass(frozen=True)
class Mistake:
    """`sentence` says what went wrong; `rules` maps a kind of layer, or `Loss`, to {rule: wrong(right, layer, ...)}.

    loss    the only loss with which it can be made; "" for any
    """

    sentence: str
    rules: Rules
    loss: str = ""


class Wrong:
    """A layer with some of its rules replaced, which is like the right one in all else."""

    def __init__(self, layer: Any, rules: Mapping[str, Callable]):
        self.layer, self.kind = layer, kind_of(layer)
        for name, rule in rules.items():
            setattr(self, name, partial(rule, getattr(layer, name), layer))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.layer, name)


def kind_of(layer: Any) -> type:
    return layer.kind if isinstance(layer, Wrong) else type(layer)


class Carrying(np.ndarray):
    """An array that brings another one along, for a mistake made with what its layer has no right to see."""

    carried: np.ndarray


def carry(array: np.ndarray, carried: np.ndarray) -> np.ndarray:
    array = array.view(Carrying)
    array.carried = carried
    return array


def with_zero(arrays: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {**arrays, name: 0 * arrays[name]}
