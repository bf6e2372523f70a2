"""theta: named arrays with vector arithmetic, so that code reads as eqs. 11-13."""

from __future__ import annotations

import operator
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping

import numpy as np

from tinymaml import validate


class Parameters(Mapping):
    """A point, gradient or direction in parameter space: an immutable mapping from name to array.

    Sums and differences combine arrays of the same name, multiples scale each array, so a step of gradient
    descent is `theta - inner_lr * gradient`. A leading task axis is allowed: shared parameters (d, d') and
    parameters of T tasks (T, d, d') can be added; there is no other broadcasting. An affine matrix may be
    `Factored` (eq. 14).

    >>> theta = Parameters(w=np.array([2.0, 3.0]), b=np.array([1.0]))
    >>> theta - 0.5 * theta
    Parameters(w (2,), b (1,); 3 numbers, float64)
    """

    __slots__ = ("_arrays",)
    __array_ufunc__ = None  # NumPy scalars and arrays then defer arithmetic to this class

    def __init__(self, arrays: Mapping[str, np.ndarray] | None = None, /, **named: np.ndarray):
        """Build from a mapping, from keywords, or both. TypeError for integer and object arrays."""
        both = {**({} if arrays is None else arrays), **named}
        for name, array in both.items():
            validate.floats(validate.text("a parameter name", name), array)
        self._arrays = both

    @classmethod
    def unchecked(cls, arrays: dict) -> Parameters:
        """Build from a dict of names and arrays, without checks or copies."""
        self = object.__new__(cls)
        self._arrays = arrays
        return self

    # -- a mapping from name to array

    def __getitem__(self, name: str) -> np.ndarray:
        try:
            return self._arrays[name]
        except (KeyError, TypeError):  # TypeError: not hashable
            got = validate.brief(name)
            raise KeyError(f"no parameter named {got}: there are {', '.join(self._arrays)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def keys(self) -> KeysView:  # keys and items override those of Mapping for speed
        return self._arrays.keys()

    def items(self) -> ItemsView:
        return self._arrays.items()

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in self.items())
        return f"Parameters({shapes}; {self.size} numbers, {self.dtype})"

    # -- a vector

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> Parameters:
        """Apply `function` to every array."""
        return Parameters.unchecked({name: function(array) for name, array in self._arrays.items()})

    def copy(self) -> Parameters:
        """The same parameters with every array copied."""
        return self.map(lambda array: array.copy())

    def _matching(self, other: Parameters) -> dict[str, np.ndarray]:
        """The arrays of `other` by name, in any order; ValueError if names or shapes do not match."""
        mine, yours = self._arrays, other._arrays
        if mine.keys() != yours.keys():
            raise ValueError(f"{list(mine)} cannot be combined with {list(yours)}: the names differ")
        for name, array in mine.items():
            one, two = array.shape, yours[name].shape
            if one != two and one[1:] != two and one != two[1:]:
                shapes = f"{name} has shapes {one} and {two}"
                raise ValueError(f"{shapes}, which may differ only by a leading task axis")
        return yours

    def __add__(self, other: Parameters) -> Parameters:
        if not isinstance(other, Parameters):
            return NotImplemented
        yours = self._matching(other)
        return Parameters.unchecked({name: mine + yours[name] for name, mine in self._arrays.items()})

    def __radd__(self, other: object) -> Parameters:
        """0 + self, with which `sum` begins."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __sub__(self, other: Parameters) -> Parameters:
        if not isinstance(other, Parameters):
            return NotImplemented
        yours = self._matching(other)
        return Parameters.unchecked({name: mine - yours[name] for name, mine in self._arrays.items()})

    def __mul__(self, factor: complex | Mapping) -> Parameters:
        """Multiply by a number, by one number per name, or entry by entry by `Parameters`: the product o of eq. 11.

        Factored matrices stay factored when multiplied by numbers; entry by entry the result is dense.
        """
        if np.isscalar(factor):
            return self.map(lambda array: array * factor)
        if not isinstance(factor, Mapping):
            return NotImplemented
        if isinstance(factor, Parameters):
            yours = self._matching(factor)
        elif factor.keys() == self.keys() and all(map(np.isscalar, factor.values())):
            yours = factor
        else:
            names = ", ".join(self)
            raise ValueError(f"the factors are {dict(factor)}, expected one number for each of {names}")
        return Parameters.unchecked({name: mine * yours[name] for name, mine in self._arrays.items()})

    __rmul__ = __mul__

    def __truediv__(self, scalar: complex) -> Parameters:
        return self * (1 / scalar)

    def __neg__(self) -> Parameters:
        return self * -1.0

    def dot(self, other: Parameters) -> complex:
        """The inner product: the sum over all entries of all arrays (no complex conjugate)."""
        validate.parameters("other", other)
        return sum(array.sum() for array in (self * other).values())

    def mean(self) -> Parameters:
        """The mean over the task axis: (T, d, d') becomes (d, d')."""
        return self.map(lambda array: array.sum(0) / array.shape[0])

    def dense(self) -> Parameters:
        """The same parameters with factored matrices (eq. 14) multiplied out."""
        return self.map(_dense)

    def task(self, index: int) -> Parameters:
        """The parameters of one task, dense: (T, d, d') becomes (d, d'). IndexError beyond the last task."""
        index = operator.index(index)  # TypeError for None or a slice, which would keep an axis
        return self.dense().map(lambda array: array[index])

    # -- one flat vector, for optimisers and files

    @property
    def size(self) -> int:
        """The total number of entries."""
        return sum(array.size for array in self._arrays.values())

    @property
    def dtype(self) -> np.dtype:
        """The common dtype of the arrays."""
        return np.result_type(*(array.dtype for array in self._arrays.values()))

    @property
    def flat(self) -> np.ndarray:
        """All entries in a new vector (size,): the arrays concatenated in the order of their names."""
        return np.concatenate([_dense(array).ravel() for array in self._arrays.values()])

    def flat_like(self, other: Parameters) -> np.ndarray:
        """`flat` in the order of the names of `other`; ValueError unless names and shapes are the same."""
        validate.parameters("other", other)
        mine, wanted = ({name: array.shape for name, array in each.items()} for each in (self, other))
        for name in {**wanted, **mine}:
            if mine.get(name) != wanted.get(name):
                sizes = f"{name} has shape {mine.get(name)}, expected {wanted.get(name)}"
                raise ValueError(f"{sizes}: use parameters of the same model")
        return np.concatenate([_dense(self[name]).ravel() for name in other])

    def unflatten(self, vector: np.ndarray) -> Parameters:
        """The inverse of `flat`: views of `vector` with the names, order and shapes of self.

        If the vector comes from Parameters with another order of names, make it with `flat_like`.
        """
        if validate.floats("the vector", vector).shape != (self.size,):
            raise ValueError(f"the vector has shape {vector.shape}, expected ({self.size},): use `flat`")
        arrays, start = {}, 0
        for name, array in self._arrays.items():
            arrays[name] = vector[start:start + array.size].reshape(array.shape)
            start += array.size
        return Parameters.unchecked(arrays)

    def astype(self, dtype: np.dtype) -> Parameters:
        """The same parameters in another precision, dense."""
        dtype = validate.precision(dtype)
        return self.dense().map(lambda array: array.astype(dtype))


def _dense(array: np.ndarray) -> np.ndarray:
    return array if isinstance(array, np.ndarray) else array.dense()
