"""A derivation, checked line by line: the reference value of every intermediate derivative by its name.

    derivation = Derivation(model, theta, x, y, v=v)
    derivation.check("D[2]", mine)      # prints one line, or raises with the mistake's name

References never come from eqs. 2-8. The intermediate value is perturbed entry by entry, and the layers after it run
forward again: `D[l]` is the complex-step derivative of the loss with respect to z_l. This works for any chain of layers and
relies only on their `forward`; the network's own gradient is used only where values of the loss confirm it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.check import mistakes
from tinymaml.check.compare import FLOOR, TOLERANCE, Line, compare, diagnose, relative_error, tolerance_for
from tinymaml.check.derivatives import adaptive_difference, complex_step, complex_step_gradient
from tinymaml.check.layer_checks import wrong_rules
from tinymaml.check.references import certified_gradient, certified_hvp
from tinymaml.nn.layers import Elementwise, parameter_names
from tinymaml.nn.network import Network
from tinymaml.nn.surface import gradient_symbol
from tinymaml.parameters import Parameters


class Derivation:
    """The quantities of eqs. 1-8 for one network and one task, x (n, d_0) and y (n, d_L), by name.

    loss, z[l], a[l]                            forward, eq. 1; outputs of other layers have their symbols
    D[l], da[l], dW[l], db[l], gradient         dL/dz_l, dL/da_l, dL/dW_l, dL/db_l, eqs. 2-4
    Rz[l], Ra[l]                                derivatives along v, eq. 5
    RD[l], Rda[l], RdW[l], Rdb[l], hvp          eqs. 6-8

    `gradient` and `hvp` are `Parameters`. References are computed in float64, exact up to rounding for eqs. 1-5, with a
    relative error of at most 1e-10 for eqs. 6-8, where one of the two derivatives is an 8-point difference. ValueError for a
    task axis and for an unknown name. `MetaDerivation` has the quantities of eqs. 11-13.
    """

    def __init__(
        self, model: Network, theta: Parameters, x: np.ndarray, y: np.ndarray, *, v: Parameters | None = None
    ):
        if not isinstance(model, Network):
            raise TypeError(f"model is {validate.brief(model)}, expected a Network: make it with MLP, or from layers")
        here = model.at(theta, x, y)  # it checks the shapes
        if v is not None:
            here.hvp(v)
        if np.ndim(x) != 2:
            raise ValueError(f"x has shape {x.shape}, expected (n, {model.inputs}): a derivation is for one task, take x[0]")
        double = lambda value: None if value is None else value.astype(np.float64)
        self.model, self.theta, self.x, self.y, self.v = model, *map(double, (theta, x, y, v))
        self._known: dict[str, Any] = {}

    @cached_property
    def names(self) -> list[str]:
        """The names of all quantities."""
        of_layers = [*self._outputs, *self._output_gradients, *self._parameters]
        along = ["hvp", *(f"R{name}" for name in of_layers)] if self.v else []
        return ["loss", "gradient", *of_layers, *along]

    def reference(self, name: str) -> Any:
        """The reference value of one quantity: an array, or `Parameters`."""
        if validate.text("name", name) not in self.names:
            needs = "" if self.v else "; R-quantities need a direction, v=..."
            raise ValueError(f"there is no quantity {name!r}: choose one of {', '.join(self.names)}{needs}")
        if name not in self._known:
            self._known[name] = self._at(name, self.theta)
        return self._known[name]

    def check(self, name: str, mine: Any, *, tolerance: float | None = None) -> Line:
        """Compare `mine` with the reference; print and return the line. `WrongAnswer`, with a diagnosis, if it is wrong.

        The default tolerance is 1e-10 for a first derivative (eqs. 1-5), 1e-8 for a second, 1e-4 for an answer in float32.
        """
        reference = self.reference(name)
        if tolerance is not None:
            validate.tolerance("tolerance", tolerance)
        output_R = name[0] == "R" and name[1:] in self._outputs
        second = name == "hvp" or (name[0] == "R" and not output_R)
        tolerance = tolerance_for(mine, tolerance or (1e-8 if second else TOLERANCE))
        diagnosis = lambda closeness: self._diagnosis(name, mine, closeness)
        of_theta = name.removeprefix("R") in self._parameters  # one array may be zero, as for a bias before a norm
        size = np.linalg.norm(self.reference("hvp" if name[0] == "R" else "gradient").flat) if of_theta else 0
        return compare(name, mine, reference, tolerance=tolerance, floor=FLOOR * max(1, size), diagnosis=diagnosis)

    def _diagnosis(self, name: str, mine: Any, closeness: float) -> str:
        problem = (self.model, self.theta, self.x, self.y, self.v)
        kinked = any(isinstance(layer, FrozenRelu) and layer.kink for layer in self._layers)
        if kinked and name != "loss" and name not in self._outputs:
            return "a pre-activation of relu is 0, where it has no derivative (taken as 0 here): change x or the biases"
        if relative_error(mistakes.quantity(name, *problem), self.reference(name)) > closeness:  # the network itself is wrong
            return "; ".join(wrong_rules(*problem[:4]))
        others = ((f"this is {other}, not {name}", self.reference(other)) for other in self.names if other != name)
        one, two = mistakes.one_mistake(name, *problem), mistakes.two_mistakes(name, *problem)
        return diagnose(mine, self.reference(name), one, others, two, tolerance=closeness)

    # -- references: perturb one value, and run the layers after it --------------------------------------

    @cached_property
    def _outputs(self) -> dict[str, int]:
        """{name of an output: number of layers up to it}: {"z[1]": 1, "a[1]": 2, ...}."""
        named = ((layer, i) for i, layer in enumerate(self.model.layers, start=1) if getattr(layer, "symbol", ""))
        return {f"{layer.symbol}[{layer.name}]": i for layer, i in named}

    @cached_property
    def _output_gradients(self) -> dict[str, int]:
        """The same for derivatives of the loss with respect to the outputs: {"D[1]": 1, "da[1]": 2, ...}."""
        parts = ((output.split("["), i) for output, i in self._outputs.items())
        return {f"{gradient_symbol(symbol)}[{layer}": i for (symbol, layer), i in parts}

    @cached_property
    def _parameters(self) -> dict[str, str]:
        """{derivative with respect to one array of theta: name of the array}: {"dW[1]": "W1", ...}."""
        own = ((layer, symbol, name) for layer in self.model.layers for symbol, name in parameter_names(layer).items())
        return {f"d{symbol}[{getattr(layer, 'name', '')}]": name for layer, symbol, name in own}

    def _at(self, name: str, theta: Parameters) -> Any:
        """The quantity `name` at theta."""
        whole = {"d": "gradient", "R": "hvp"}[name[0]] if name.removeprefix("R") in self._parameters else ""
        if whole:
            return self.reference(whole)[self._parameters[name.removeprefix("R")]]
        loss = lambda theta: self._loss(self._run(self.x, theta, 0))
        own = lambda theta: self.model.at(theta, self.x, self.y).gradient
        by_entries = lambda theta: complex_step_gradient(loss, theta)
        if name == "loss":
            return loss(theta)
        if name == "gradient":
            return certified_gradient(theta, loss, own, by_entries)
        if name == "hvp":
            return certified_hvp(theta, self.v, loss, own, by_entries)
        if name in self._outputs:
            return self._run(self.x, theta, 0, self._outputs[name])
        if name in self._output_gradients:
            i = self._output_gradients[name]
            return complex_step_gradient(lambda output: self._loss(self._run(output, theta, i)), self._run(self.x, theta, 0, i))
        name = name.removeprefix("R")
        derivative = complex_step if name in self._outputs else adaptive_difference
        return derivative(lambda theta: self._at(name, theta), self.theta, self.v)

    def _loss(self, prediction: np.ndarray) -> np.ndarray:
        return self.model.example_loss.value(prediction, self.y).mean(-1)

    def _run(self, value: np.ndarray, theta: Mapping[str, np.ndarray], first: int, last: int | None = None) -> np.ndarray:
        """Layers first..last-1 applied to `value`; several copies of value or of theta have a leading axis."""
        leading = max((array.shape[:-2] for array in theta.values()), key=len)
        if value.ndim == 2:
            value = np.broadcast_to(value, leading + value.shape)
        for layer in self._layers[first:last]:
            value, _ = layer.forward(theta, value)
        return value

    @cached_property
    def _layers(self) -> list:
        """The layers; each relu is frozen in the linear region of theta, so that no step of a difference leaves it."""
        value, layers = self.x, []
        for layer in self.model.layers:
            kinked = isinstance(layer, Elementwise) and not layer.s.curved
            layers.append(FrozenRelu(value > 0, bool((value == 0).any())) if kinked else layer)
            value, _ = layers[-1].forward(self.theta, value)
        return layers


@dataclass(frozen=True)
class FrozenRelu:
    """A relu with a fixed set of active units `on`; `kink` says whether one of its inputs is zero."""

    on: np.ndarray
    kink: bool

    def forward(self, p: Mapping[str, np.ndarray], z: np.ndarray) -> tuple[np.ndarray, None]:
        return z * self.on, None
