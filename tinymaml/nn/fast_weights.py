"""Fast weights as factors, and the matrix products used by layers (eqs. 14 and 15).

A gradient of a layer is a sum of outer products, one per example: dW = a^T D (eq. 3). An adapted layer is
therefore the shared layer plus a few outer products, W' = W - alpha a^T D. A product with W' is a product
with the shared W, of all T n rows at once, plus a short sum over the support examples. Gradients, directions
and Hessian-vector products have this form too (eqs. 3 and 7). For wide layers and few examples this saves
most of the memory traffic of T adapted matrices.
"""

from __future__ import annotations

from functools import lru_cache, reduce

import numpy as np

Factors = tuple[np.ndarray, np.ndarray, float]  # left (T, m, d), right (T, m, d'), scale


class Factored:
    """The matrices W_t = shared + sum_i scale_i left_i[t]^T right_i[t] of T tasks, kept as factors.

    shared (d, d') or None    the part that all tasks share
    factors                   tuples (left (T, m, d), right (T, m, d'), scale), one row per outer product;
                              without T for one task

    It supports the operations that eqs. 2-8 and 11-13 apply to a matrix: `x @ W`, the transpose, sums,
    multiples and the sum over tasks. Sums only append to the list of factors, and scales stay numbers: the
    factors are concatenated once, on the first product, and not at each of the K steps. Keeping a single pair
    of arrays instead of the list is 4 to 17 % slower at widths 128 to 1024.
    """

    __array_ufunc__ = None  # NumPy arrays then defer `x @ W` to `__rmatmul__`

    def __init__(self, shared: np.ndarray | None, factors: tuple[Factors, ...] = ()):
        self.shared, self.factors = shared, factors

    @property
    def concatenated(self) -> Factors:
        """All factors as one: left (T, m, d), right (T, m, d'), scale. Computed once: replaces the list."""
        if len(self.factors) > 1:
            lefts, rights, scales = zip(*self.factors, strict=True)
            if len(set(scales)) > 1:
                rights, scales = [_times(scale, right) for _, right, scale in self.factors], (1.0,)
            self.factors = ((np.concatenate(lefts, axis=-2), np.concatenate(rights, axis=-2), scales[0]),)
        return self.factors[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """(d, d') if the tasks share the matrix or there is no task axis, else (T, d, d')."""
        if not self.factors:
            return self.shared.shape
        left, right, _ = self.factors[0]
        return (*left.shape[:-2], left.shape[-1], right.shape[-1])

    @property
    def dtype(self) -> np.dtype:
        return (self.factors[-1][1] if self.factors else self.shared).dtype

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def copy(self) -> Factored:
        """Returns self: its arrays are never modified."""
        return self

    def __rmatmul__(self, x: np.ndarray) -> np.ndarray:
        """x @ W for x (T, n, d): x W' = x W - alpha sum_k (x a_k^T) D_k, eq. 14, where scale is -alpha."""
        product = None
        if self.shared is not None:
            rows = x.reshape(-1, x.shape[-1]) @ self.shared  # one product for all tasks   (T n, d')
            product = rows.reshape(*x.shape[:-1], -1)
        if self.factors:
            left, right, scale = self.concatenated
            fast = _times(scale, x @ transpose(left)) @ right  # linear attention to the examples   (T, n, d')
            product = fast if product is None else add_in_place(product, fast)
        return product

    def swapaxes(self, first: int, second: int) -> Factored:
        """The transpose, as `swapaxes(-1, -2)`: left and right are swapped."""
        if self.factors:
            left, right, scale = self.concatenated
        factors = ((right, left, scale),) if self.factors else ()
        return Factored(None if self.shared is None else self.shared.T, factors)

    def __add__(self, other: Factored | np.ndarray) -> Factored | np.ndarray:
        if not isinstance(other, Factored):
            return self.dense() + other  # with a dense operand the result is dense, also below
        shared = [matrix for matrix in (self.shared, other.shared) if matrix is not None]
        return Factored(sum(shared[1:], start=shared[0]) if shared else None, self.factors + other.factors)

    def __sub__(self, other: Factored | np.ndarray) -> Factored | np.ndarray:
        if not isinstance(other, Factored):
            return self.dense() - other
        minus = tuple((left, right, -scale) for left, right, scale in other.factors)
        return self + Factored(None if other.shared is None else -other.shared, minus)

    def __mul__(self, other: float | Factored | np.ndarray) -> Factored | np.ndarray:
        if not np.isscalar(other):
            return self.dense() * (other.dense() if isinstance(other, Factored) else other)
        shared = None if self.shared is None else self.shared * other
        if self.factors:
            left, right, scale = self.concatenated  # before scaling, so that u and alpha o u of eq. 12 share arrays
        return Factored(shared, ((left, right, scale * other),) if self.factors else ())

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: np.ndarray) -> np.ndarray:
        return other - self.dense()

    def sum(self, axis: int = 0) -> np.ndarray:
        """The sum over tasks, dense: sum_t left_t^T right_t is ONE product of the stacked rows (eq. 15)."""
        rows = lambda side: side.reshape(-1, side.shape[-1])  # (T, m, d) to (T m, d)
        products = (_times(scale, rows(left).T @ rows(right)) for left, right, scale in self.factors)
        total = reduce(add_in_place, products)
        return total if self.shared is None else total + self.shared * self.shape[0]

    def dense(self) -> np.ndarray:
        """The matrices multiplied out: (T, d, d'), or (d, d') if the tasks share one matrix."""
        if not self.factors:
            return self.shared
        left, right, scale = self.concatenated
        return (0 if self.shared is None else self.shared) + _times(scale, transpose(left)) @ right


def _times(scale: float, array: np.ndarray) -> np.ndarray:
    return array if scale == 1 else array * scale


def sum_of_products(
    *pairs: tuple[np.ndarray | None, np.ndarray | Factored], bias: np.ndarray | None = None
) -> np.ndarray:
    """The sum of a @ W over the pairs (a, W), plus a bias.

    a (T, n, d), W (d, d') or (T, d, d'), bias (1, d') or (T, 1, d'). In the first pair a may be None, meaning
    zero.
    """
    if pairs[0][0] is None:
        pairs = pairs[1:]
    total = bias
    for a, W in pairs:
        column = a.shape[-1] == 1 and isinstance(W, np.ndarray)
        product = a * W if column else a @ W  # of a column and a row NumPy's * is faster than its @
        total = product if total is None else add_in_place(product, total)
    return total


def add_in_place(total: np.ndarray, more: np.ndarray) -> np.ndarray:
    """total + more, computed in place unless the dtypes differ: `total` must be a temporary."""
    return np.add(total, more, out=total if total.dtype is more.dtype else None)


def outer(*pairs: tuple[np.ndarray | None, np.ndarray], like: np.ndarray | Factored) -> np.ndarray | Factored:
    """The sum of a^T D over the pairs (a, D), dense or factored like the weights `like` (eqs. 3 and 7)."""
    pairs = tuple(pair for pair in pairs if pair[0] is not None)
    if isinstance(like, Factored):
        return Factored(None, tuple((a, D, 1.0) for a, D in pairs))
    return reduce(add_in_place, (transpose(a) @ D for a, D in pairs))


def sum_rows(D: np.ndarray) -> np.ndarray:
    """1^T D, the sum over the rows of each task, (T, 1, d). Faster than `sum` over a middle axis."""
    return _ones(D.shape[-2], D.dtype) @ D


@lru_cache(maxsize=32)
def _ones(n: int, dtype: np.dtype) -> np.ndarray:
    return np.ones((1, n), dtype)


def transpose(matrix: np.ndarray | Factored) -> np.ndarray | Factored:
    """The transpose of every task's matrix."""
    return matrix.swapaxes(-1, -2)
