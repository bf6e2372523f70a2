"""Synthetic handwriting: every class is a random character made of a few smooth strokes.

A character is represented by the control points of its strokes. An example is a random distortion: the control points
jitter, the character is slanted, stretched and shifted, and the pen radius varies. A dot of ink is a Gaussian, which is
separable, so drawing an image is one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tinymaml import validate
from tinymaml.settings import rng_for
from tinymaml.tasks import fewshot
from tinymaml.tasks.episodes import pool, split

STROKES, CONTROLS, DOTS = 3, 5, 36  # strokes of a character at most; control points and dots per stroke
EDGE = 1.5  # the canvas spans [-EDGE, EDGE], an undistorted character [-1, 1]
TEST_CLASSES = 500  # characters to test on
CHUNK = 256  # images drawn at a time, which fit into the processor's cache


@dataclass(frozen=True)
class Glyphs:
    """The family of random characters as grey images of `size` x `size` pixels, row by row, ink 1 on background 0.

    jitter           standard deviation of each control point
    shift            standard deviation of the position of the character
    slant, stretch   standard deviations of its slant, and of its log-scale separately in width and height
    Lengths are in units of half a character. A source for `Episodes`; drawing takes longer than a training
    step, so train on a `pool(Glyphs(), rng, classes=2000, examples=20)`.
    """

    size: int = 16
    jitter: float = 0.1
    shift: float = 0.2
    slant: float = 0.25
    stretch: float = 0.15

    def __post_init__(self) -> None:
        validate.count("size", self.size, least=4)
        for name in ("jitter", "shift", "slant", "stretch"):
            validate.deviation(name, getattr(self, name))

    def classes(self, rng: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
        """New characters: the control points of their strokes (*shape, 3, 5, 2), x to the right and y down, in [-1, 1].

        A character has one to three strokes; the points of a missing stroke coincide, so it has no length and no ink.
        """
        rng, shape = validate.generator(rng), (*validate.shape(shape), STROKES)
        # a stroke starts in a random direction and bends by a similar angle at every point; one in three bends back
        bend = rng.normal(0, 0.7, (*shape, 1)) + rng.normal(0, 0.3, (*shape, CONTROLS - 1))
        bend[..., CONTROLS // 2:] *= rng.choice([1, 1, -1], (*shape, 1))
        angle = rng.uniform(0, 2 * np.pi, (*shape, 1)) + bend.cumsum(-1)
        pieces = rng.uniform(0.5, 1, (*shape, 1, 1)) * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        strokes = np.concatenate([np.zeros_like(pieces[..., :1, :]), pieces.cumsum(-2)], axis=-2)

        # the second and third stroke touch or cross the first: each has one point in common with it
        own, of_first = rng.integers(0, CONTROLS, (2, *shape, 1, 1))
        own[..., 0, :, :] = of_first[..., 0, :, :]  # the first stroke does not move
        move = np.take_along_axis(strokes[..., :1, :, :], of_first, axis=-2) - np.take_along_axis(strokes, own, axis=-2)
        number = rng.choice([1, 2, 3], (*shape[:-1], 1, 1, 1), p=[0.15, 0.5, 0.35])
        strokes = np.where(np.arange(STROKES)[:, None, None] < number, strokes + move, strokes[..., :1, :1, :])

        low, high = strokes.min((-3, -2), keepdims=True), strokes.max((-3, -2), keepdims=True)
        return (2 * strokes - low - high) / (high - low).max(-1, keepdims=True)

    def examples(self, rng: np.random.Generator, classes: np.ndarray, count: int, dtype: type = np.float64) -> np.ndarray:
        """`count` examples of each of the characters (..., 3, 5, 2): images (..., count, size * size)."""
        rng, count, dtype = validate.generator(rng), validate.count("count", count), validate.precision(dtype)
        validate.rows("classes", classes, (STROKES, CONTROLS, 2))
        shape = (*classes.shape[:-3], count)
        plain = np.broadcast_to(classes[..., None, :, :, :], (*shape, *classes.shape[-3:])).reshape(-1, *classes.shape[-3:])
        images = np.empty((len(plain), self.size, self.size), dtype)
        for start in range(0, len(plain), CHUNK):
            points = self._distort(rng, plain[start:start + CHUNK])
            pen = 0.085 * np.exp(0.15 * rng.standard_normal((len(points), 1, 1)))
            images[start:start + CHUNK] = ink((CURVE @ points).astype(np.float32), pen.astype(np.float32), self.size)
        return images.reshape(*shape, -1)

    def _distort(self, rng: np.random.Generator, points: np.ndarray) -> np.ndarray:
        """A random distortion of the control points (n, 3, 5, 2) of each character."""
        n = len(points)
        exists = (points != points[:, :, :1]).any((2, 3), keepdims=True)  # a missing stroke stays missing
        points = points + self.jitter * exists * rng.standard_normal(points.shape)
        linear = np.zeros((n, 1, 2, 2))  # (x, y) becomes (stretch_x x - slant y, stretch_y y): y points down
        linear[:, 0, [0, 1], [0, 1]] = np.exp(self.stretch * rng.standard_normal((n, 2)))
        linear[:, 0, 1, 0] = -self.slant * rng.standard_normal(n)
        return points @ linear + self.shift * rng.standard_normal((n, 1, 1, 2))


def ink(curves: np.ndarray, pen: np.ndarray, size: int) -> np.ndarray:
    """Images (n, size, size) of curves (n, strokes, dots, 2) drawn with pens of radius `pen` (n, 1, 1)."""
    n, pixels = len(curves), np.linspace(-EDGE, EDGE, size, dtype=curves.dtype)
    before, after = curves[:, :, :-1], curves[:, :, 1:]
    dots = ((before + after) / 2).reshape(n, -1, 2)
    length = np.sqrt(((after - before) ** 2).sum(-1)).reshape(n, -1, 1)  # of the curve that a dot covers, (n, dots, 1)

    def profile(axis: int) -> np.ndarray:
        squared = ((dots[..., axis, None] - pixels) / pen) ** 2
        return np.exp(-0.5 * np.minimum(squared, 60))  # (n, dots, size); the minimum avoids subnormal numbers, which are slow

    flow = (length / pen * profile(1)).swapaxes(1, 2) @ profile(0)  # (n, size, size), the sum over dots
    return 1 - np.exp(-flow)  # ink saturates


def _catmull_rom(controls: int, dots: int) -> np.ndarray:
    """The matrix (dots, controls) from control points to points of the Catmull-Rom curve through them."""
    t = np.linspace(0, controls - 1, dots)
    piece = np.minimum(t.astype(int), controls - 2)
    u = t - piece
    cubics = np.stack([-u + 2 * u**2 - u**3, 2 - 5 * u**2 + 3 * u**3, u + 4 * u**2 - 3 * u**3, u**3 - u**2]) / 2
    matrix = np.zeros((dots, controls + 2))
    np.put_along_axis(matrix, piece[:, None] + np.arange(4), cubics.T, axis=1)
    ends = np.eye(controls + 2)[:, 1:-1]  # an end point has one neighbour; its mirror image replaces the missing one
    ends[0, :2], ends[-1, -2:] = (2, -1), (-1, 2)
    return matrix @ ends


CURVE = _catmull_rom(CONTROLS, DOTS)


@lru_cache(maxsize=1)
def _pools(seed: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """`classes` characters to train on and TEST_CLASSES others to test on, drawn once for each seed."""
    if not classes:
        raise ValueError("classes is 0, expected a number of glyphs to draw: ask for 2000")
    rng = rng_for(seed, "classes")
    return split(rng, pool(Glyphs(), rng, classes=classes + TEST_CLASSES, examples=fewshot.EXAMPLES), classes)


FAMILY = fewshot.classification(
    "glyphs",
    "N-way K-shot classification of synthetic characters, 16 x 16 pixels",
    inputs=Glyphs.size**2,
    training=lambda settings: _pools(settings.seed, settings.options["classes"])[0],
    testing=lambda settings: _pools(settings.seed, settings.options["classes"])[1],
    defaults={"iterations": 3000, "outer_lr": 0.003, "half_life": 1000, "hidden": (64, 64), "classes": 2000},
    options=fewshot.of_images(blocks=3),
    pooled=lambda settings: settings.options["classes"] + TEST_CLASSES,
)
