"""A multilayer perceptron with its gradient and Hessian-vector product by hand: eqs. 1-8.

    model = MLP([1, 40, 40, 1], activation="relu", loss="squared_error")
    theta = model.init(rng)
    here = model.at(theta, x, y)          # the loss surface seen from theta
    here.loss, here.gradient, here.hvp(v)

Shapes: rows are examples; T tasks, n examples a task, layers l = 1..L of widths d_0..d_L. x is (T, n, d_0) or, for
one task, (n, d_0). W_l is (d_{l-1}, d_l) when the tasks share it and (T, d_{l-1}, d_l) when each has its own; a bias
is a row, (1, d_l) or (T, 1, d_l). All tasks go through one `np.matmul`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tinymaml import validate
from tinymaml.activations import ACTIVATIONS
from tinymaml.fast_weights import Factored, outer, products
from tinymaml.losses import LOSSES
from tinymaml.parameters import Parameters


@dataclass(frozen=True)
class MLP:
    """A fully connected network of any depth.

    widths: d_0..d_L, inputs first, outputs last. activation: relu, tanh, sigmoid or softplus, after every layer but
    the last. loss: squared_error (eq. 9) or cross_entropy on logits (eq. 10).
    """

    widths: tuple[int, ...]
    activation: str = "relu"
    loss: str = "squared_error"

    def __post_init__(self) -> None:
        if not isinstance(self.widths, Sequence):
            raise TypeError(f"widths is {self.widths!r}, expected inputs, hidden layers and outputs: for instance [1, 40, 40, 1]")
        widths = tuple(validate.count(f"width {i}", d) for i, d in enumerate(self.widths))
        if len(widths) < 2:
            raise ValueError(f"widths are {widths}, expected inputs and outputs at least: for instance [1, 40, 40, 1]")
        object.__setattr__(self, "widths", widths)
        validate.one_of("activation", self.activation, ACTIVATIONS)
        validate.one_of("loss", self.loss, LOSSES)

    @property
    def depth(self) -> int:
        """L, the number of layers that have weights."""
        return len(self.widths) - 1

    @cached_property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """The shape of every parameter by name: W1, b1, W2, ..."""
        shapes = {}
        for l in range(1, self.depth + 1):
            shapes[f"W{l}"], shapes[f"b{l}"] = self.widths[l - 1:l + 1], (1, self.widths[l])
        return shapes

    def __repr__(self) -> str:
        title = f"MLP  {' - '.join(map(str, self.widths))}  {self.activation}, {self.loss}"
        rows = [title, "layer  W           b        parameters"]
        total = 0
        for l in range(1, self.depth + 1):
            d, d_out = self.widths[l - 1:l + 1]
            total += (d + 1) * d_out
            rows.append(f"{l:<5}  {f'{d} x {d_out}':<10}  {f'1 x {d_out}':<7}  {(d + 1) * d_out:>10,}")
        return "\n".join([*rows, f"{'total':<26}  {total:>10,}"])

    def init(self, rng: np.random.Generator, dtype: type = np.float64) -> Parameters:
        """A random theta: weights and biases of layer l uniform within +- 1 / sqrt(d_{l-1}), the variance of LeCun et al. 1998.

        The biases are random too, so that the kinks of a relu network lie all over the inputs and not in one point.
        """
        theta = {}
        for name, shape in self.shapes.items():
            reach = self.widths[int(name[1:]) - 1] ** -0.5
            theta[name] = rng.uniform(-reach, reach, shape).astype(dtype)
        return Parameters.trusted(theta)

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Surface:
        """The loss surface seen from theta, for inputs x (..., n, d_0) and targets y (..., n, d_L).

        TypeError for integer or object arrays and for mixed precision, ValueError for shapes that do not fit and for
        data that is NaN or infinite.
        """
        validate.examples(x, validate.floats("y", y), self.widths[0], self.widths[-1])
        validate.fitting("theta", theta, self.shapes, x)
        LOSSES[self.loss].check(y)
        return Surface(self, theta, x, y)

    def fast_weights(self, theta: Parameters, examples: int = 0) -> Parameters:
        """The same theta with every W_l ready to be adapted as factors (eqs. 14 and 15).

        Given the number of `examples` that a task adapts on, counted once a step, only those W_l for which the
        factors are smaller than the matrix they stand for: examples (d_{l-1} + d_l) < d_{l-1} d_l.
        """
        return Parameters.trusted({
            name: Factored(array) if name[0] == "W" and examples * sum(array.shape) < array.size else array
            for name, array in theta.items()
        })

    def predict(self, theta: Parameters, x: np.ndarray) -> np.ndarray:
        """z_L for inputs x (..., n, d_0), when there are no targets: (..., n, d_L)."""
        validate.examples(x, None, self.widths[0])
        validate.fitting("theta", theta, self.shapes, x)
        return forward(self, *layers(self, theta), x)[0][self.depth]

    def features(self, theta: Parameters, x: np.ndarray) -> np.ndarray:
        """a_{L-1} for inputs x (..., n, d_0): what all layers below the last make of them, (..., n, d_{L-1})."""
        return forward(self, *layers(self, theta), x)[1][self.depth - 1]


def _T(matrix: np.ndarray) -> np.ndarray:
    """The transpose of every task's matrix."""
    return matrix.swapaxes(-1, -2)


def layers(model: MLP, theta: Parameters) -> tuple[dict, dict]:
    """W_1..W_L and b_1..b_L of theta, or V_1..V_L and c_1..c_L of a direction, by layer number."""
    W, b = {}, {}
    for l in range(1, model.depth + 1):
        W[l], b[l] = theta[f"W{l}"], theta[f"b{l}"]
    return W, b


def forward(model: MLP, W: dict, b: dict, x: np.ndarray) -> tuple[dict, dict]:
    """z_1..z_L and a_0..a_{L-1} by layer number: eq. 1."""
    s, L = ACTIVATIONS[model.activation], model.depth
    z, a = {}, {0: x}
    for l in range(1, L + 1):
        z[l] = products((a[l - 1], W[l]), plus=b[l])  # eq. 1   (T, n, d_l)
        if l < L:
            a[l] = s.value(z[l])  # (T, n, d_l)
    return z, a


class Surface:
    """The loss of one MLP at (theta, x, y), with every intermediate by name and layer number.

    W[1..L], b[1..L]      theta, layer by layer
    z[1..L], a[0..L-1]    the forward sweep, eq. 1
    delta[1..L]           dL/dz_l, eqs. 2 and 4: the D_l of the text; da[1..L-1] is dL/da_l
    dW[1..L], db[1..L]    dL/dW_l and dL/db_l, eq. 3
    s1[1..L-1], s2[...]   s'(z_l) and s''(z_l)
    The sweep back is made when first asked for, and once. With a task axis every quantity has it, `loss` too.
    """

    def __init__(self, model: MLP, theta: Parameters, x: np.ndarray, y: np.ndarray):
        self.model, self.theta, self.x, self.y = model, theta, x, y
        self.s, self.l = ACTIVATIONS[model.activation], LOSSES[model.loss]
        self.n, self.L = x.shape[-2], model.depth
        self.one = np.ones((1, self.n), x.dtype)
        self.W, self.b = layers(model, theta)
        self.z, self.a = forward(model, self.W, self.b, x)

    @property
    def prediction(self) -> np.ndarray:
        """z_L (T, n, d_L): the regression's values or the classifier's logits."""
        return self.z[self.L]

    @cached_property
    def loss(self) -> np.ndarray:
        """The mean over the n examples of the loss of each: (T,), a scalar for one task."""
        return self.l.value(self.prediction, self.y).sum(-1) / self.n

    @cached_property
    def s1(self) -> dict[int, np.ndarray]:
        return {l: self.s.first(self.z[l], self.a[l]) for l in range(1, self.L)}

    @cached_property
    def s2(self) -> dict[int, np.ndarray]:
        return {l: self.s.second(self.z[l], self.a[l]) for l in range(1, self.L)}

    @cached_property
    def _backward(self) -> dict[str, dict[int, np.ndarray]]:
        L, W, a, s1 = self.L, self.W, self.a, self.s1
        delta = {L: self.l.gradient(self.prediction, self.y) / self.n}  # eq. 2   (T, n, d_L)
        da, dW, db = {}, {}, {}
        for l in range(L, 0, -1):
            dW[l] = outer(a[l - 1], delta[l], like=W[l])  # eq. 3   (T, d_{l-1}, d_l)
            db[l] = self.one @ delta[l]  # eq. 3   (T, 1, d_l)
            if l > 1:
                da[l - 1] = products((delta[l], _T(W[l])))
                delta[l - 1] = da[l - 1] * s1[l - 1]  # eq. 4   (T, n, d_{l-1})
        return {"delta": delta, "da": da, "dW": dW, "db": db}

    delta = property(lambda self: self._backward["delta"])
    da = property(lambda self: self._backward["da"])
    dW = property(lambda self: self._backward["dW"])
    db = property(lambda self: self._backward["db"])

    @cached_property
    def gradient(self) -> Parameters:
        """dL/dtheta, each task's own: W_l (T, d_{l-1}, d_l), b_l (T, 1, d_l)."""
        return _named(self.L, self.dW, self.db)

    def along(self, v: Parameters) -> Along:
        """The same surface differentiated along the direction v: every R-quantity by name."""
        validate.fitting("v", v, self.model.shapes, self.x)
        return Along(self, v)

    def hvp(self, v: Parameters) -> Parameters:
        """The Hessian-vector product H v, for about the price of a gradient; H is never formed."""
        return self.along(v).hvp


class Along:
    """Pearlmutter's R-operator (1994): R f = d/dr f(theta + r v) at r = 0, of every line of `Surface`.

    Rz[1..L], Ra[1..L-1]    the forward sweep, eq. 5 (Ra_0 = 0: the inputs do not move)
    Rdelta[1..L]            R of delta, eqs. 6 and 8
    RdW[1..L], Rdb[1..L]    R of the gradient, eq. 7; `hvp` holds them as Parameters
    """

    def __init__(self, here: Surface, v: Parameters):
        L, W, z, a, s1, delta = here.L, here.W, here.z, here.a, here.s1, here.delta
        V, c = layers(here.model, v)
        self.here, self.v = here, v
        self.Rz, self.Ra, self.Rdelta, self.RdW, self.Rdb = Rz, Ra, Rdelta, RdW, Rdb = {}, {}, {}, {}, {}
        for l in range(1, L + 1):
            through = [(Ra[l - 1], W[l])] if l > 1 else []
            Rz[l] = products(*through, (a[l - 1], V[l]), plus=c[l])  # eq. 5   (T, n, d_l)
            if l < L:
                Ra[l] = s1[l] * Rz[l]  # eq. 5   (T, n, d_l)
        Rdelta[L] = here.l.hvp(z[L], here.y, Rz[L]) / here.n  # eq. 6   (T, n, d_L)
        for l in range(L, 0, -1):
            RdW[l] = outer(a[l - 1], Rdelta[l], like=W[l])  # eq. 7   (T, d_{l-1}, d_l)
            Rdb[l] = here.one @ Rdelta[l]  # eq. 7   (T, 1, d_l)
            if l > 1:
                RdW[l] = RdW[l] + outer(Ra[l - 1], delta[l], like=W[l])
                Rda = products((Rdelta[l], _T(W[l])), (delta[l], _T(V[l])))
                Rdelta[l - 1] = Rda * s1[l - 1]  # eq. 8   (T, n, d_{l-1})
                if here.s.curved:
                    Rdelta[l - 1] = Rdelta[l - 1] + here.da[l - 1] * here.s2[l - 1] * Rz[l - 1]

    @property
    def hvp(self) -> Parameters:
        """H v: W_l (T, d_{l-1}, d_l), b_l (T, 1, d_l)."""
        return _named(self.here.L, self.RdW, self.Rdb)


def _named(L: int, W: dict[int, np.ndarray], b: dict[int, np.ndarray]) -> Parameters:
    arrays = {}
    for l in range(1, L + 1):
        arrays[f"W{l}"], arrays[f"b{l}"] = W[l], b[l]
    return Parameters.trusted(arrays)
