"""Prototypical networks: a class is the mean of its embedded support examples, eq. 27 (Snell, Swersky and Zemel 2017).

arXiv 1703.05175. The logits of a query are minus its squared distances to the prototypes, in the space of the network's
outputs. There is no inner loop: a new task is learned by taking means.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from tinymaml import validate
from tinymaml.methods.method import Gradient, Method, OuterGradient, Start
from tinymaml.nn.losses import cross_entropy
from tinymaml.nn.network import Network
from tinymaml.nn.surface import in_order
from tinymaml.parameters import Parameters
from tinymaml.settings import Option, PlotStyle, Settings
from tinymaml.tasks.batch import TaskBatch
from tinymaml.tasks.family import Family, ModelSpec


def prototypes(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """m_c, the mean of the rows of z (T, n, d) of each class, for one-hot y (T, n, N): (T, N, d).

    ValueError if a class of a task has no row.
    """
    count = y.sum(-2)[..., None]  # (T, N, 1)
    if not count.all():
        raise ValueError("a class has no support example, and so no prototype: give every class of a task one or more shots")
    return y.swapaxes(-1, -2) @ z / count


def logits(z: np.ndarray, m: np.ndarray) -> np.ndarray:
    """o_qc = -|z_q - m_c|^2 for queries z (T, Q, d) and prototypes m (T, N, d): (T, Q, N)."""
    return 2 * z @ m.swapaxes(-1, -2) - (z * z).sum(-1)[..., None] - (m * m).sum(-1)[..., None, :]


def prototype_gradient(model: Network, theta: Parameters, batch: TaskBatch) -> OuterGradient:
    """The gradient of the mean cross-entropy of the queries, through their embeddings and through the prototypes (eq. 27).

    theta has no task axis; y is one-hot. The loss of the network itself is not used, only its outputs, of any width.
    """
    validate.parameters("theta", theta)
    validate.fitting("theta", theta, model.shapes, batch.x_support)
    p, y = dict(theta.items()), batch.y_support
    z_S, tape_S = model.body.forward(p, batch.x_support)  # (T, n, d)
    z_Q, tape_Q = model.body.forward(p, batch.x_query)  # (T, Q, d)
    m = prototypes(z_S, y)
    o = logits(z_Q, m)
    queries = batch.y_query.shape[-2]
    loss = cross_entropy.value(o, batch.y_query).sum(-1) / queries  # (T,)
    D = cross_entropy.gradient(o, batch.y_query) / queries  # dL/do   (T, Q, N); its rows add up to zero
    dz_Q = 2 * D @ m
    dm = 2 * (D.swapaxes(-1, -2) @ z_Q - D.sum(-2)[..., None] * m)  # (T, N, d)
    dz_S = y @ (dm / y.sum(-2)[..., None])  # each example of a class is an equal part of its mean
    parts = [model.body.backward(p, tape, dz, False)[1] for tape, dz in ((tape_S, dz_S), (tape_Q, dz_Q))]
    gradient = in_order(model.body, parts[0]) + in_order(model.body, parts[1])
    return OuterGradient(loss.mean(), gradient.mean())


@dataclass(frozen=True)
class Classifier:
    """A trained network with the support sets of some tasks: at(theta, x, y) classifies x by the nearest prototype."""

    model: Network
    x_support: np.ndarray
    y_support: np.ndarray

    def at(self, theta: Parameters, x: np.ndarray, y: np.ndarray) -> Nearest:
        """The logits of the queries x (T, Q, ...) and their loss."""
        m = prototypes(self.model.predict(theta, self.x_support), self.y_support)
        return Nearest(logits(self.model.predict(theta, x), m), y)


@dataclass(frozen=True)
class Nearest:
    """prediction: logits (T, Q, N), for the one-hot y."""

    prediction: np.ndarray
    y: np.ndarray

    @property
    def loss(self) -> np.ndarray:
        """The mean cross-entropy of each task, (T,)."""
        return cross_entropy.value(self.prediction, self.y).mean(-1)


def sizes(family: Family, settings: Settings) -> ModelSpec:
    """The network of the family, with an embedding in place of the logits."""
    return replace(family.sizes(settings), outputs=settings.options["embedding"])


def gradient(model: Network, settings: Settings) -> Gradient:
    """`prototype_gradient`, which needs no settings."""
    return lambda theta, batch, iteration: prototype_gradient(model, theta, batch)


def start(family: Family, settings: Settings, trained: Start) -> Start:
    """The setup for new tasks: a classifier with their support sets."""
    return replace(trained, model=Classifier(trained.model, trained.batch.x_support, trained.batch.y_support))


def classifies(family: Family) -> bool:
    """Whether the tasks of the family are made of classes."""
    return family.classes is not None


METHOD = Method(
    "prototypes",
    "prototypical network: the nearest mean of embedded support examples; it does not adapt",
    PlotStyle("prototypes", "#BB5566", (0, (6, 1)), "h"),
    gradient,
    sizes=sizes,
    start=start,
    adapts=False,
    uses_inner_lr=lambda settings: False,
    unused=lambda settings: {"inner_lr": "for prototypes, which does not adapt"},
    supports=classifies,
    options=(Option("embedding", 64, "width of the embedding of prototypes", partial(validate.count, most=100_000)),),
    default=False,
)
