"""Planes: where the signal is, where the noise is, and that the one can be learned and the other not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import quick, seeds

from tinymaml.tasks import Episodes, Planes, nearest_neighbour


@quick
@given(seed=seeds)
def test_the_rotation_is_orthogonal_and_the_seed_fixes_it(seed):
    rotation = Planes(seed=seed).rotation
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(10), atol=1e-14)
    np.testing.assert_array_equal(rotation, Planes(seed=seed, within=0.5).rotation)
    assert not np.allclose(rotation, Planes(seed=seed + 1).rotation)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@quick
@given(seed=seeds, n=st.integers(1, 4))
def test_points_of_the_plane_become_inputs_and_come_back(dtype, seed, n):
    planes, rng = Planes(), np.random.default_rng(seed)
    points = rng.standard_normal((n, 3, 2)).astype(dtype)
    x = planes.inputs(points)
    assert x.shape == (n, 3, 10) and x.dtype == dtype
    assert planes.plane(x).dtype == dtype
    np.testing.assert_allclose(planes.plane(x), points, atol=30 * np.finfo(dtype).eps)
    np.testing.assert_allclose((x**2).sum(-1), (points**2).sum(-1), rtol=1e-5)  # nothing beside the plane


@quick
@given(seed=seeds)
def test_an_example_lies_near_its_class_in_the_plane_and_anywhere_beside_it(seed):
    planes, rng = Planes(within=1e-3), np.random.default_rng(seed)
    classes = planes.classes(rng, (4, 3))
    x = planes.examples(rng, classes, 6)
    assert classes.shape == (4, 3, 2) and x.shape == (4, 3, 6, 10)
    np.testing.assert_allclose(planes.plane(x), np.repeat(classes[:, :, None], 6, axis=2), atol=0.01)
    beside = x - planes.inputs(planes.plane(x))
    assert (np.linalg.norm(beside, axis=-1) > 0.01).all()  # eight normal numbers as small as that: 1e-17


def test_the_standard_deviations_are_as_documented():
    planes, rng = Planes(between=2.0, within=0.3, nuisance=0.7), np.random.default_rng(0)
    classes = planes.classes(rng, 20_000)
    noise = planes.examples(rng, classes, 1)[:, 0] @ planes.rotation.T
    noise[:, :2] -= classes
    # the standard error of a standard deviation is 1 / sqrt(2 n) = 0.5 %: these hold but once in a million seeds
    np.testing.assert_allclose(classes.std(0), 2.0, rtol=0.03)
    np.testing.assert_allclose(noise.std(0), [0.3] * 2 + [0.7] * 8, rtol=0.03)
    assert np.abs(np.corrcoef(noise.T) - np.eye(10)).max() < 0.045


def test_the_neighbour_is_near_in_the_plane_only():
    planes = Planes()
    batch = Episodes(planes).sample(np.random.default_rng(0), tasks=1000, shots=1, queries=5)
    right = (nearest_neighbour(batch).argmax(-1) == batch.y_query.argmax(-1)).mean()
    assert 0.2 < right < 0.33  # chance is 0.2; 0.26 with a standard error of 0.01 at most
    support, query = planes.plane(batch.x_support), planes.plane(batch.x_query)
    seen = np.linalg.norm(query[:, :, None] - support[:, None], axis=-1).argmin(-1)
    assert (seen == batch.y_query.argmax(-1)).mean() > 0.9


def test_float32_rounds_the_same_examples():
    size = {"tasks": 2, "shots": 1, "queries": 2}
    one, other = (Episodes(Planes()).sample(np.random.default_rng(3), **size, dtype=dtype) for dtype in (np.float32, np.float64))
    np.testing.assert_array_equal(one.x_query, other.x_query.astype(np.float32))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"between": -1.0}, "between is -1, expected at least 0: try 0.1"),
        ({"within": np.nan}, "within is nan, expected a finite number"),
        ({"nuisance": np.inf}, "nuisance is inf, expected a finite number"),
        ({"seed": -1}, "seed is -1, expected at least 0"),
    ],
)
def test_spreads_that_are_none_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Planes(**options)
