"""A derivation, checked line by line: the true value of every intermediate derivative by its name.

    derivation = Derivation(model, theta, x, y, v=v)
    derivation.check("delta[2]", mine)      # prints one line, or raises with the mistake's name

The true value never comes from eqs. 2-8. The intermediate itself is moved, entry by entry, and what follows is
computed again, forwards: `delta[l]` is the complex step of the loss in z_l. So it can judge any derivation.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

import numpy as np

from tinymaml.activations import ACTIVATIONS
from tinymaml.check import mistakes
from tinymaml.check.compare import TOLERANCE, Line, attainable, compare, diagnose
from tinymaml.check.derivatives import complex_step, gradient_at_once, steady_difference
from tinymaml.check.meta_derivation import MetaDerivation
from tinymaml.losses import LOSSES
from tinymaml.models import MLP
from tinymaml.parameters import Parameters
from tinymaml.tasks import TaskBatch


class Derivation:
    """The quantities of eqs. 1-8 and 12 for one MLP and one task, x (n, d_0) and y (n, d_L), by name.

    loss, z[l], a[l]                               forward, eq. 1
    delta[l], da[l], dW[l], db[l], gradient        dL/dz_l, dL/da_l, dL/dW_l, dL/db_l, eqs. 2-4
    Rz[l], Ra[l]                                   derivatives along v, eq. 5
    Rdelta[l], Rda[l], RdW[l], Rdb[l], hvp         eqs. 6-8
    u[0]..u[K]                                     eq. 12; needs `query=(xq, yq)`, `inner_lr` and `steps` = K

    `gradient`, `hvp` and `u[k]` are `Parameters`. References are computed in float64: to rounding for eqs. 1-5, to a
    relative 1e-10 or better for eqs. 6-8 and 12, where one of the two derivatives is an 8-point difference.
    ValueError for a task axis, and for a name that there is not.
    """

    def __init__(
        self, model: MLP, theta: Parameters, x: np.ndarray, y: np.ndarray, *, v: Parameters | None = None,
        query: tuple[np.ndarray, np.ndarray] | None = None, inner_lr: float | None = None, steps: int = 1,
    ):  # fmt: skip
        here = model.at(theta, x, y)  # what it refuses, we refuse
        if v is not None:
            here.hvp(v)
        if np.ndim(x) != 2:
            raise ValueError(f"x has shape {x.shape}, expected (n, {model.widths[0]}): a derivation is for one task, take x[0]")
        if query is not None and inner_lr is None:
            raise ValueError("inner_lr is missing: u[k] is the gradient through inner steps of a certain size")
        double = lambda value: None if value is None else value.astype(np.float64)
        self.model, self.theta, self.x, self.y, self.v = model, *map(double, (theta, x, y, v))
        self._known: dict[str, Any] = {}
        self._meta = None
        if query is not None:
            xq, yq = map(double, query)
            batch = TaskBatch(self.x[None], self.y[None], xq[None], yq[None])
            self._meta = MetaDerivation(model, self.theta, batch, inner_lr=inner_lr, steps=steps)

    @cached_property
    def names(self) -> list[str]:
        """Everything that can be asked for."""
        layers, inner = range(1, self.model.depth + 1), range(1, self.model.depth)
        kinds = {"z": layers, "a": inner, "delta": layers, "da": inner, "dW": layers, "db": layers}
        along = {"Rz": layers, "Ra": inner, "Rdelta": layers, "Rda": inner, "RdW": layers, "Rdb": layers} if self.v else {}
        of_layers = [f"{kind}[{l}]" for kind, ls in (kinds | along).items() for l in ls]
        whole = ["loss", "gradient", *(["hvp"] if self.v else [])]
        return whole + of_layers + ([f"u[{k}]" for k in range(self._meta.steps + 1)] if self._meta else [])

    def reference(self, name: str) -> Any:
        """The true value of one quantity: an array, or `Parameters`."""
        if name not in self.names:
            needs = "" if self.v else "; R-quantities need a direction, v=..."
            needs += "" if self._meta else "; u[k] needs query=(xq, yq) and inner_lr=..."
            raise ValueError(f"nothing here is named {name!r}: there are {', '.join(self.names)}{needs}")
        if name not in self._known:
            self._known[name] = self._meta.reference(name).task(0) if name[0] == "u" else self._at(name, self.theta)
        return self._known[name]

    def check(self, name: str, mine: Any, *, tolerance: float | None = None) -> Line:
        """Prints and returns the line of a right answer; `WrongAnswer` with error and diagnosis for a wrong one.

        The tolerance is 1e-10 for eqs. 1-5 and 1e-8 beyond, 1e-4 for an answer in float32.
        """
        two_derivatives = re.match(r"u|hvp|R[^za]|Rda", name)
        tolerance = attainable(mine, tolerance or (1e-8 if two_derivatives else TOLERANCE))
        diagnosis = lambda closeness: self._diagnosis(name, mine, closeness)
        return compare(name, mine, self.reference(name), tolerance=tolerance, diagnosis=diagnosis)

    def _diagnosis(self, name: str, mine: Any, closeness: float) -> str:
        if name[0] == "u":
            return self._meta.diagnosis(name, mine, closeness, one_task=True)
        problem = (self.model, self.theta, self.x, self.y, self.v)
        names = [other for other in self.names if other != name and other[0] != "u"]
        others = ((f"this is {other}, not {name}", self.reference(other)) for other in names)
        one, two = mistakes.one_mistake(name, *problem), mistakes.two_mistakes(name, *problem)
        return diagnose(mine, self.reference(name), one, others, two, tolerance=closeness)

    # -- references: move one thing, and compute forwards what follows ----------------------------------------

    def _at(self, name: str, theta: Parameters) -> Any:
        """The quantity `name` at theta."""
        if name == "hvp":
            return self._along(lambda theta: self._at("gradient", theta))
        if name == "gradient":
            return gradient_at_once(lambda thetas: self._loss_after(0, self.x, thetas), theta)
        if name == "loss":
            return self._loss_after(0, self.x, theta)
        kind, l = re.fullmatch(r"(\w+)\[(\d+)\]", name).groups()
        l = int(l)
        if kind in ("z", "a"):
            return self._forward(l, theta)[kind == "a"]
        if kind in ("Rz", "Ra"):
            return complex_step(lambda theta: self._at(f"{kind[1:]}[{l}]", theta), theta, self.v)
        if kind[0] == "R":
            return self._along(lambda theta: self._at(f"{kind[1:]}[{l}]", theta))
        if kind == "delta":
            return gradient_at_once(lambda z: self._loss_from(l, z, theta), self._forward(l, theta)[0])
        if kind == "da":
            return gradient_at_once(lambda a: self._loss_after(l, a, theta), self._forward(l, theta)[1])
        name = f"{kind[1]}{l}"  # dW, db: one array of theta moves
        moved = lambda copies: self._loss_after(0, self.x, Parameters({**theta, name: copies}))
        return gradient_at_once(moved, theta[name])

    def _along(self, quantity: Any) -> Any:
        return steady_difference(quantity, self.theta, self.v)

    def _forward(self, upto: int, theta: Parameters) -> tuple[np.ndarray, np.ndarray]:
        """z_l and a_l = s(z_l) for l = upto."""
        a = self.x
        for l in range(1, upto + 1):
            z = a @ theta[f"W{l}"] + theta[f"b{l}"]
            a = self._activation(l, z)
        return z, a

    def _activation(self, l: int, z: np.ndarray) -> np.ndarray:
        """s(z); a ReLU remains in the linear region in which theta lies, however far a difference steps."""
        s = ACTIVATIONS[self.model.activation]
        return s.value(z) if s.curved else z * self._region[l]

    @cached_property
    def _region(self) -> dict[int, np.ndarray]:
        """Where the units of each layer are on, at theta."""
        a, on = self.x, {}
        for l in range(1, self.model.depth + 1):
            z = a @ self.theta[f"W{l}"] + self.theta[f"b{l}"]
            on[l] = z > 0
            a = z * on[l]
        return on

    def _loss_after(self, l: int, a: np.ndarray, theta: Parameters) -> np.ndarray:
        """The loss if the output of layer l is `a`, which may have leading axes."""
        return self._loss_from(l + 1, a @ theta[f"W{l + 1}"] + theta[f"b{l + 1}"], theta)

    def _loss_from(self, l: int, z: np.ndarray, theta: Parameters) -> np.ndarray:
        """The loss if the pre-activation of layer l is `z`, which may have leading axes."""
        if l < self.model.depth:
            return self._loss_after(l, self._activation(l, z), theta)
        return LOSSES[self.model.loss].value(z, self.y).mean(-1)
