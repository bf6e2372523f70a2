"""A toy worth meta-learning: classes that differ in a hidden plane only, among eight dimensions of noise.

A class is a point of the *signal plane*. Its examples lie close to that point in the plane, and in eight *nuisance*
dimensions they are noise. One fixed rotation hides which directions are which. In the ten dimensions of the input
the noise outweighs the signal, so the nearest support example is mostly one of another class; but a learner that has
found the plane, over many tasks, needs a single example of each class.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.settings import Settings, rng_for
from tinymaml.tasks import fewshot
from tinymaml.tasks.episodes import pool

SIGNAL, NUISANCE = 2, 8  # dimensions
LABELLED = 200  # classes to train one classifier on, where there is no end of them


@dataclass(frozen=True)
class Planes:
    """The family of classes m ~ between * normal (2,), with examples x = [m + within * normal, nuisance * normal] R.

    between, within, nuisance    standard deviations: of the classes, of the examples of one class, of the noise
    seed    fixes the rotation R (10, 10), which all tasks share

    A source for `Episodes`; `pool(Planes(), rng, classes=5, examples=200)` is a fixed set of its classes.
    """

    between: float = 0.6
    within: float = 0.06
    nuisance: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("between", "within", "nuisance"):
            validate.deviation(name, getattr(self, name))
        validate.count("seed", self.seed, least=0)

    @cached_property
    def rotation(self) -> np.ndarray:
        """R (10, 10), orthogonal: its first two rows span the signal plane, the others the noise."""
        size = SIGNAL + NUISANCE
        q, r = np.linalg.qr(np.random.default_rng(self.seed).standard_normal((size, size)))
        return q * np.sign(np.diag(r))  # of the two signs of each column, the one that no library chooses

    def classes(self, rng: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
        """New classes: their points m of the signal plane, (*shape, 2)."""
        return self.between * validate.generator(rng).standard_normal((*validate.shape(shape), SIGNAL))

    def examples(self, rng: np.random.Generator, classes: np.ndarray, count: int, dtype: type = np.float64) -> np.ndarray:
        """`count` new examples of each of the classes (..., 2): inputs (..., count, 10)."""
        rng, count, dtype = validate.generator(rng), validate.count("count", count), validate.precision(dtype)
        validate.rows("classes", classes, (SIGNAL,))
        x = rng.standard_normal((*classes.shape[:-1], count, SIGNAL + NUISANCE))
        x[..., :SIGNAL] = classes[..., None, :] + self.within * x[..., :SIGNAL]
        x[..., SIGNAL:] *= self.nuisance
        return (x @ self.rotation).astype(dtype, copy=False)

    def inputs(self, points: np.ndarray) -> np.ndarray:
        """The inputs (..., 10) of points (..., 2) of the signal plane, free of noise: what a figure of it asks a model for."""
        validate.rows("points", points, (SIGNAL,))
        return points @ self.rotation[:SIGNAL].astype(points.dtype)

    def plane(self, x: np.ndarray) -> np.ndarray:
        """Where inputs (..., 10) lie in the signal plane, (..., 2): the inverse of `inputs`, blind to the noise."""
        validate.rows("x", x, (SIGNAL + NUISANCE,))
        return x @ self.rotation[:SIGNAL].T.astype(x.dtype)


@lru_cache(maxsize=1)
def _pool(seed: int, classes: int) -> np.ndarray:
    """The training classes of one seed, drawn once: (classes, examples, 10)."""
    return pool(Planes(), rng_for(seed, "classes"), classes=classes, examples=fewshot.EXAMPLES)


def _training(settings: Settings) -> Planes | np.ndarray:
    """Classes without end, unless a number of them was asked."""
    if settings.options["classes"]:
        return _pool(settings.seed, settings.options["classes"])
    if settings.options["fixed_labels"]:
        raise ValueError("--fixed-labels needs classes that come back, and there is no end of planes: add --classes 5")
    return Planes()


def figure(found: Any) -> Any:
    """What a method makes of the signal plane before and after its first step, of the first that sees the inputs as they are."""
    from tinymaml.plot import classes as class_plots

    raw = lambda start: np.shares_memory(start.batch.x_query, found.batch.x_query)
    start = next((start for start in found.starts.values() if raw(start)), None)
    if start is None:
        return None
    planes = Planes()
    points = planes.plane(found.batch.x_support[0]), planes.plane(found.batch.x_query[0])
    classify = {
        name: lambda p, theta=theta: start.model.predict(theta, planes.inputs(p)).argmax(-1)
        for name, theta in fewshot.steps(start).items()
    }
    return class_plots.regions(classify, points, fewshot.labels(found.batch))


FAMILY = fewshot.classification(
    "planes",
    "N-way K-shot classification of points whose class shows in a plane hidden among eight dimensions of noise",
    inputs=SIGNAL + NUISANCE,
    training=_training,
    testing=lambda settings: Planes(),
    classes=lambda settings: _pool(settings.seed, settings.options["classes"] or LABELLED),
    defaults={"iterations": 3000},
    figures={"episode.png": figure},
    training_only=("classes", "fixed_labels"),  # new classes come without end
    pooled=lambda settings: settings.options["classes"],
)
