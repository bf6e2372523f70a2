"""Mutants of eq. 16: wrong rules of a norm, most of them the right rule without one of its terms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinymaml.check.mistakes import Mistake, Rules, without
from tinymaml.nn.normalisation import EPS, BatchNorm, LayerNorm


class Terms(NamedTuple):
    """What the terms of eq. 16 are made of; without the last four in the sweep back."""

    mean: Callable
    h: np.ndarray
    sd: np.ndarray
    D: np.ndarray
    G: np.ndarray
    RD: Any = None
    RG: Any = None
    Rh: Any = None
    Rsd: Any = None


def _forward(wrong: Callable) -> Rules:
    """h and sd from another wrong(layer, z, c, mean of c^2)."""

    def rule(right: Callable, layer: BatchNorm, p: Any, z: np.ndarray) -> tuple:
        c = z - layer.mean(z)
        h, sd = wrong(layer, z, c, layer.mean(c * c))
        return p[layer.gamma] * h + p[layer.beta], (h, sd)

    return {BatchNorm: {"forward": rule}}


def _backward(Dz: Callable | None = None, dgamma: Callable | None = None, dbeta: Callable | None = None) -> Rules:
    """Dz with Dz(terms) / sd added, and the rows of dgamma and dbeta that are added up, or their mean."""

    def rule(right: Callable, layer: BatchNorm, p: Any, tape: tuple, D: np.ndarray, below: bool = True) -> tuple:
        Da, gradient = right(p, tape, D, below)
        terms = Terms(layer.mean, *tape, D, p[layer.gamma] * D)
        if Dz and Da is not None:
            Da = Da + Dz(terms) / terms.sd
        return Da, _gradient(layer, gradient, terms, dgamma, dbeta)

    return {BatchNorm: {"backward": rule}}


def _R_backward(RDz: Callable | None = None, dgamma: Callable | None = None, dbeta: Callable | None = None) -> Rules:
    """RDz with RDz(terms) / sd added, and the rows of R dgamma and R dbeta."""

    def rule(right: Callable, layer: BatchNorm, p: Any, v: Any, tape: tuple, Rtape: Any, D: Any, RD: Any) -> tuple:
        RDa, gradient = right(p, v, tape, Rtape, D, RD)
        G, RG = p[layer.gamma] * D, v[layer.gamma] * D + p[layer.gamma] * RD
        Rh, Rsd = (0 * D, 0) if Rtape is None else Rtape
        terms = Terms(layer.mean, *tape, D, G, RD, RG, Rh, Rsd)
        if RDz and RDa is not None:
            RDa = RDa + RDz(terms) / terms.sd
        return RDa, _gradient(layer, gradient, terms, dgamma, dbeta)

    return {BatchNorm: {"R_backward": rule}}


def _gradient(layer: BatchNorm, gradient: dict, terms: Terms, *rows: Callable | None) -> dict:
    wrong = {name: each(terms) for name, each in zip((layer.gamma, layer.beta), rows, strict=True) if each}
    return gradient | {name: array.sum(-2, keepdims=True) for name, array in wrong.items()}


def _R_forward(h: Callable | None = None, **of: Callable) -> Rules:
    """Ra of another Rh(terms, Rz), or with one of the direction's entries lost."""

    def rule(right: Callable, layer: BatchNorm, p: Any, v: Any, tape: tuple, Rz: Any) -> tuple:
        if h is None or Rz is None:
            return right(of["p"](p, layer) if "p" in of else p, of["v"](v, layer) if "v" in of else v, tape, Rz)
        Rh, Rsd = h(layer.mean, *tape, Rz)
        return v[layer.gamma] * tape[0] + p[layer.gamma] * Rh + v[layer.beta], (Rh, Rsd)

    return {BatchNorm: {"R_forward": rule}}


def _over_the_other_axis(layer: BatchNorm, z: np.ndarray, *_: Any) -> tuple[np.ndarray, np.ndarray]:
    axis = -2 if isinstance(layer, LayerNorm) else -1
    c = z - z.mean(axis, keepdims=True)
    sd = np.sqrt((c * c).mean(axis, keepdims=True) + EPS)
    return c / sd, sd


def _by_n_minus_1(layer: BatchNorm, z: np.ndarray, c: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    n = c.size // variance.size  # over how many the mean is taken
    sd = np.sqrt(variance * n / max(n - 1, 1) + EPS)
    return c / sd, sd


def _Rh(mean: Callable, h: np.ndarray, sd: np.ndarray, Rc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    Rsd = mean(h * Rc)
    return (Rc - h * Rsd) / sd, Rsd


IN_NORMS = {
    "z - mean": Mistake("the mean of z is not taken away: h is c / sd (eq. 16)", _forward(
        lambda layer, z, c, variance: (z / np.sqrt(variance + EPS), np.sqrt(variance + EPS)))),
    "root": Mistake("h is divided by the variance: sd is its root (eq. 16)", _forward(
        lambda layer, z, c, variance: (c / (variance + EPS), variance + EPS))),
    "n - 1": Mistake("the variance is divided by n - 1: eq. 16 has the mean of c^2", _forward(_by_n_minus_1)),
    "axis": Mistake("mean and sd are over the wrong axis: batch norm takes those of a column, layer norm those of a row (eq. 16)",
                    _forward(_over_the_other_axis)),
    "gamma": Mistake("the scale gamma is missing in a = gamma h + beta (eq. 16)", {BatchNorm: {
        "forward": lambda right, layer, p, z: right({**p, layer.gamma: 1}, z)}}),
    "beta": Mistake("the shift beta is missing in a = gamma h + beta (eq. 16)", {BatchNorm: {
        "forward": lambda right, layer, p, z: right(without(p, layer.beta), z)}}),
    "statistics": Mistake("the derivative of mean and sd is missing in Dz: G / sd holds them still (eq. 16)",
                          _backward(lambda t: t.mean(t.G) + t.h * t.mean(t.G * t.h))),
    "mean G": Mistake("the derivative of the mean, mean G, is missing in Dz (eq. 16)", _backward(lambda t: t.mean(t.G))),
    "mean(G h)": Mistake("the derivative of sd, h mean(G h), is missing in Dz (eq. 16)", _backward(
        lambda t: t.h * t.mean(t.G * t.h))),
    "G": Mistake("gamma is missing in Dz: G = gamma D (eq. 16)", {BatchNorm: {
        "backward": lambda right, layer, p, tape, D, below=True: right({**p, layer.gamma: 1}, tape, D, below)}}),
    "1/sd": Mistake("the division by sd is missing in Dz (eq. 16)", {BatchNorm: {
        "backward": lambda right, layer, p, tape, D, below=True: right(p, (tape[0], 1), D, below)}}),
    "dgamma c": Mistake("c stands where h belongs in dgamma (eq. 16)", _backward(dgamma=lambda t: t.D * t.h * t.sd)),
    "dbeta mean": Mistake("this is the mean of D over the rows: dbeta is the sum, as 1/n is in D already (eq. 16)", {BatchNorm: {
        "backward": _backward(dbeta=lambda t: t.D / t.D.shape[-2])[BatchNorm]["backward"],
        "R_backward": _R_backward(dbeta=lambda t: t.RD / t.D.shape[-2])[BatchNorm]["R_backward"]}}),
    "R mean": Mistake("R of the mean is missing: Rc = Rz - mean Rz (eq. 16)", _R_forward(_Rh)),
    "R sd": Mistake("R of sd is missing: Rh = (Rc - h Rsd) / sd (eq. 16)", _R_forward(
        lambda mean, h, sd, Rz: ((Rz - mean(Rz)) / sd, mean(0 * Rz)))),
    "Rgamma h": Mistake("the term Rgamma h is missing in Ra (eq. 16)", _R_forward(v=lambda v, layer: without(v, layer.gamma))),
    "gamma Rh": Mistake("the term gamma Rh is missing in Ra (eq. 16)", _R_forward(p=lambda p, layer: without(p, layer.gamma))),
    "Rbeta": Mistake("the direction of the shift, Rbeta, is missing in Ra (eq. 16)", _R_forward(
        v=lambda v, layer: without(v, layer.beta))),
    "Rgamma D": Mistake("the term Rgamma D is missing in RG (eq. 16)", {BatchNorm: {
        "R_backward": lambda right, layer, p, v, *given: right(p, without(v, layer.gamma), *given)}}),
    "R statistics": Mistake("mean and sd are held still in RDz: it is not RG / sd (eq. 16)", _R_backward(
        lambda t: t.mean(t.RG) + t.Rh * t.mean(t.G * t.h) + t.h * t.mean(t.RG * t.h + t.G * t.Rh)
        + (t.G - t.mean(t.G) - t.h * t.mean(t.G * t.h)) / t.sd * t.Rsd)),
    "mean RG": Mistake("the term mean RG is missing in RDz (eq. 16)", _R_backward(lambda t: t.mean(t.RG))),
    "Rh mean(G h)": Mistake("the term Rh mean(G h) is missing in RDz (eq. 16)", _R_backward(lambda t: t.Rh * t.mean(t.G * t.h))),
    "RG h": Mistake("RG h is missing in the term h mean(RG h + G Rh) of RDz (eq. 16)", _R_backward(
        lambda t: t.h * t.mean(t.RG * t.h))),
    "G Rh": Mistake("G Rh is missing in the term h mean(RG h + G Rh) of RDz (eq. 16)", _R_backward(
        lambda t: t.h * t.mean(t.G * t.Rh))),
    "Dz Rsd": Mistake("the term Dz Rsd is missing in RDz (eq. 16)", _R_backward(
        lambda t: (t.G - t.mean(t.G) - t.h * t.mean(t.G * t.h)) / t.sd * t.Rsd)),
    "D Rh": Mistake("the term D Rh is missing in R dgamma (eq. 16)", _R_backward(dgamma=lambda t: t.RD * t.h)),
    "RD h": Mistake("the term RD h is missing in R dgamma (eq. 16)", _R_backward(dgamma=lambda t: t.D * t.Rh)),
}  # fmt: skip
