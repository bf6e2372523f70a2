"""A toy distribution: classes differ only in a signal plane, which a rotation mixes with eight dimensions of noise.

A class is a point of the *signal plane*. In the plane its examples lie close to that point; in eight *nuisance* dimensions
they are noise. A fixed rotation mixes all ten dimensions. The noise outweighs the signal, so the nearest support example
mostly belongs to another class; a learner that has found the plane over many tasks needs only one example of each class.
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
LABELLED = 200  # training classes for `transfer` if the tasks have infinitely many classes


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
        return q * np.sign(np.diag(r))  # fixes the signs, which depend on the LAPACK library

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
        """The noise-free inputs (..., 10) of points (..., 2) of the signal plane."""
        validate.rows("points", points, (SIGNAL,))
        return points @ self.rotation[:SIGNAL].astype(points.dtype)

    def plane(self, x: np.ndarray) -> np.ndarray:
        """The projection of inputs (..., 10) onto the signal plane, (..., 2): the inverse of `inputs`."""
        validate.rows("x", x, (SIGNAL + NUISANCE,))
        return x @ self.rotation[:SIGNAL].T.astype(x.dtype)


@lru_cache(maxsize=1)
def _pool(seed: int, classes: int) -> np.ndarray:
    """The training classes of one seed, drawn once: (classes, examples, 10)."""
    return pool(Planes(), rng_for(seed, "classes"), classes=classes, examples=fewshot.EXAMPLES)


def _training(settings: Settings) -> Planes | np.ndarray:
    """The infinite family of classes, or a pool of `--classes` classes."""
    if settings.options["classes"]:
        return _pool(settings.seed, settings.options["classes"])
    if settings.options["fixed_labels"]:
        raise ValueError("--fixed-labels needs a finite number of classes, but planes draws new ones: add --classes 5")
    return Planes()


def figure(comparison: Any) -> Any:
    """Decision regions in the signal plane, before and after the first step of the first method that takes raw inputs."""
    from tinymaml.plot import classes as class_plots

    raw = lambda start: np.shares_memory(start.batch.x_query, comparison.batch.x_query)
    start, planes, batch = next(filter(raw, comparison.starts.values()), None), Planes(), comparison.batch
    if start is None:
        return None
    classify = {
        name: lambda points, theta=theta: start.network.predict(theta, planes.inputs(points)).argmax(-1)
        for name, theta in fewshot.before_and_after(start).items()
    }
    points = planes.plane(batch.x_support[0]), planes.plane(batch.x_query[0])
    return class_plots.regions(classify, points, fewshot.labels(batch))


FAMILY = fewshot.classification(
    "planes",
    "N-way K-shot classification of points: a signal plane mixed with eight dimensions of noise",
    inputs=SIGNAL + NUISANCE,
    training=_training,
    testing=lambda settings: Planes(),
    classes=lambda settings: _pool(settings.seed, settings.options["classes"] or LABELLED),
    defaults={"iterations": 3000},
    figures={"episode.png": figure},
    training_only=("classes", "fixed_labels"),  # new tasks have new classes in any case
    pooled=lambda settings: settings.options["classes"],
)
