"""N-way K-shot classification: a task is N classes with K support and Q query examples each (section 5.2).

The *source* of the classes is an array (classes, examples, ...), or an infinite family of classes such as `Planes` or
`Glyphs`, that is, any object with two methods:

    classes(rng, shape)                     new classes, an array whose leading axes are `shape`
    examples(rng, classes, count, dtype)    `count` new examples of each class, (*shape, count, ...)

Labels are local to an episode: a class can have label 2 in one and 4 in another; only the support set reveals it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.tasks.batch import TaskBatch, checked


@dataclass(frozen=True, eq=False)
class Episodes:
    """The distribution over N-way tasks, N = `ways`, whose classes come from `source`.

    An array of uint8 contains grey levels, which samples scale by 1 / 255; so a large pool of images needs little memory.
    With `shuffled=False`, for an array only, class c has the label c mod N in every task: a learner can then
    memorise the classes and need not adapt. It demonstrates that collapse.

    >>> episodes = Episodes(np.zeros((20, 8, 3)), ways=5)
    >>> episodes.sample(np.random.default_rng(0), tasks=2, shots=1, queries=4).x_query.shape
    (2, 20, 3)
    """

    source: Any
    ways: int = 5
    shuffled: bool = True

    def __post_init__(self) -> None:
        validate.count("ways", self.ways, least=2)
        validate.flag("shuffled", self.shuffled)
        if isinstance(self.source, np.ndarray):
            _check_array(self.source)
            if self.ways > (number := len(self.source)):
                raise ValueError(f"ways is {self.ways} and source has {number} classes: ask for {number} ways or fewer")
        else:
            _check_family(self.source)
            if not self.shuffled:
                raise ValueError("shuffled=False needs a fixed set of classes, and this source has none: draw one with pool")

    def sample(
        self, rng: np.random.Generator, *, tasks: int = 25, shots: int = 1, queries: int = 5, dtype: type = np.float64
    ) -> TaskBatch:
        """A batch of `tasks` tasks, with `shots` support and `queries` query examples of each of the N classes of a task.

        x_support (tasks, N * shots, ...) and one-hot y_support (tasks, N * shots, N), ordered by label; x_query and
        y_query likewise. The classes of a task are distinct, and so are its examples. task_params[t, i] is the class with
        label i in task t: its index in the array, or the class that the family drew.
        ValueError if shots + queries exceeds the number of examples per class of the array.
        """
        rng, dtype, tasks, shots, queries = checked(rng, dtype, tasks=tasks, shots=shots, queries=queries)
        if isinstance(self.source, np.ndarray):
            classes, x = self._from_array(rng, tasks, shots + queries, dtype)
        else:
            classes = self.source.classes(rng, (tasks, self.ways))
            x = self.source.examples(rng, classes, shots + queries, dtype)  # (T, N, K + Q, ...)
        x_support, x_query = (part.reshape(tasks, -1, *x.shape[3:]) for part in (x[:, :, :shots], x[:, :, shots:]))
        one_hot = np.eye(self.ways, dtype=dtype)
        y_support, y_query = (np.tile(np.repeat(one_hot, count, axis=0), (tasks, 1, 1)) for count in (shots, queries))
        return TaskBatch(x_support, y_support, x_query, y_query, task_params=classes)

    def _from_array(self, rng: np.random.Generator, tasks: int, count: int, dtype: type) -> tuple[np.ndarray, np.ndarray]:
        number, has = self.source.shape[:2]
        if count > has:
            raise ValueError(f"shots + queries is {count} and each class has {has} examples: ask for {has} or fewer together")
        if self.shuffled:
            classes = _distinct(rng, number, (tasks, self.ways))  # in random order: the labels are permuted
        else:
            label = np.arange(self.ways)
            classes = label + self.ways * rng.integers(0, -(-(number - label) // self.ways), (tasks, self.ways))
        picked = _distinct(rng, has, (tasks, self.ways, count))
        x = self.source[classes[..., None], picked]  # (T, N, K + Q, ...)
        if x.dtype == np.uint8:
            return classes, np.multiply(x, 1 / 255, dtype=dtype)
        return classes, x.astype(dtype, copy=False)


def pool(source: Any, rng: np.random.Generator, *, classes: int, examples: int, dtype: type = np.float32) -> np.ndarray:
    """A fixed set of classes drawn once from an infinite family: an array (classes, examples, ...), a source for `Episodes`.

    Sampling from the pool is fast even if drawing from the family is slow.
    """
    _check_family(source)
    rng, dtype, classes, examples = checked(rng, dtype, classes=classes, examples=examples)
    return source.examples(rng, source.classes(rng, (classes,)), examples, dtype)


def split(rng: np.random.Generator, array: np.ndarray, train: int) -> tuple[np.ndarray, np.ndarray]:
    """Split an array (classes, examples, ...) into `train` random classes for meta-training and the rest for meta-testing.

    ValueError if one of the two parts would be empty.
    """
    _check_array(array)
    rng = validate.generator(rng)
    if validate.count("train", train) >= len(array):
        raise ValueError(f"train is {train} and there are {len(array)} classes, expected some to test on: train on fewer")
    order = rng.permutation(len(array))
    return array[np.sort(order[:train])], array[np.sort(order[train:])]


def nearest_neighbour(batch: TaskBatch) -> np.ndarray:
    """For each query example the target of its nearest support example, one-hot (T, N * Q, N) like y_query.

    The distance is Euclidean, between inputs; of equal distances the first example wins. Nothing is learned. The accuracy
    is `(prediction.argmax(-1) == batch.y_query.argmax(-1)).mean()`.
    """
    tasks = len(batch)
    support, query = (x.reshape(tasks, x.shape[1], -1) for x in (batch.x_support, batch.x_query))
    centre = support.mean(1, keepdims=True, dtype=np.float64)  # avoids cancellation in the squares below
    support, query = support - centre, query - centre
    # |q - s|^2 without |q|^2, which is the same for every s
    distance = (support**2).sum(-1)[:, None] - 2 * query @ support.swapaxes(-1, -2)  # (T, N * Q, N * K)
    return np.take_along_axis(batch.y_support, distance.argmin(-1)[..., None], axis=1)


def _distinct(rng: np.random.Generator, below: int, shape: tuple[int, ...]) -> np.ndarray:
    """Integers from 0 to below - 1, distinct along the last axis, uniform over all ordered choices."""
    n = shape[-1]
    if below <= n * n:  # few to choose from: the first n of a permutation
        return rng.random((*shape[:-1], below)).argsort(-1)[..., :n]
    drawn = rng.integers(0, below, shape)
    while (clash := (np.diff(np.sort(drawn, -1), axis=-1) == 0).any(-1)).any():  # many: rejection sampling
        drawn[clash] = rng.integers(0, below, (np.count_nonzero(clash), n))
    return drawn


def _check_array(array: np.ndarray) -> None:
    if not (type(array) is np.ndarray and array.dtype == np.uint8):
        validate.floats("source", array)
    if array.ndim < 3 or 0 in array.shape:
        raise ValueError(f"source has shape {array.shape}, expected (classes, examples, features): leave none of them empty")


def _check_family(source: Any) -> None:
    if not (hasattr(source, "classes") and hasattr(source, "examples")):
        raise TypeError(
            f"source is a {type(source).__name__}, expected an array (classes, examples, features) "
            "or a family with the methods classes and examples: see tinymaml/tasks/episodes.py"
        )
