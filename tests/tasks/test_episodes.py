"""N-way K-shot episodes: whose examples they are, that no class or example comes twice, and that labels mean nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import quick, seeds

from tinymaml.tasks import Episodes, Glyphs, Planes, TaskBatch, nearest_neighbour, pool, split


def named(classes: int, examples: int, dtype: type = float) -> np.ndarray:
    """A source whose examples say who they are: [class, example]."""
    return np.stack(np.meshgrid(np.arange(classes), np.arange(examples), indexing="ij"), axis=-1).astype(dtype)


@st.composite
def samplers(draw) -> tuple[Episodes, dict]:
    """Episodes from a named array, from the tightest fit (N classes, K + Q examples) to a wide one."""
    ways, shots, queries = (draw(st.integers(low, 5), label=name) for low, name in ((2, "ways"), (1, "shots"), (1, "queries")))
    classes = ways + draw(st.sampled_from([0, 1, 3, 40]), label="spare classes")
    examples = shots + queries + draw(st.sampled_from([0, 1, 100]), label="spare examples")
    episodes = Episodes(named(classes, examples), ways=ways, shuffled=draw(st.booleans(), label="shuffled"))
    return episodes, {"tasks": draw(st.integers(1, 4), label="tasks"), "shots": shots, "queries": queries}


@quick
@given(sampler=samplers(), seed=seeds)
def test_an_episode_is_balanced_and_holds_no_class_or_example_twice(sampler, seed):
    episodes, size = sampler
    batch = episodes.sample(np.random.default_rng(seed), **size)
    T, N, K, Q = len(batch), episodes.ways, size["shots"], size["queries"]
    assert batch.x_support.shape == (T, N * K, 2) and batch.y_support.shape == (T, N * K, N)
    assert batch.x_query.shape == (T, N * Q, 2) and batch.y_query.shape == (T, N * Q, N)
    assert all(len(set(classes)) == N for classes in batch.task_params.tolist())
    for x, y, count in ((batch.x_support, batch.y_support, K), (batch.x_query, batch.y_query, Q)):
        assert (y.sum(-1) == 1).all() and (y.sum(-2) == count).all() and set(y.flat) == {0, 1}
        np.testing.assert_array_equal(np.take_along_axis(batch.task_params, y.argmax(-1), 1), x[..., 0])  # the label's own class
    for task in np.concatenate([batch.x_support, batch.x_query], axis=1).tolist():
        assert len({tuple(example) for example in task}) == N * (K + Q)


@quick
@given(sampler=samplers(), seed=seeds)
def test_the_generator_alone_decides(sampler, seed):
    episodes, size = sampler
    rng, again = np.random.default_rng(seed), np.random.default_rng(seed)
    first, second, same = episodes.sample(rng, **size), episodes.sample(rng, **size), episodes.sample(again, **size)
    np.testing.assert_array_equal(first.x_query, same.x_query)
    np.testing.assert_array_equal(first.task_params, same.task_params)
    assert rng.bit_generator.state != again.bit_generator.state and second.x_query.shape == first.x_query.shape


# tests of a distribution fix their seed: they hold for a fair sampler in all but one seed of a million
@pytest.mark.parametrize("classes", [5, 7, 40])
def test_every_class_gets_every_label_and_every_pair_meets_as_often(classes):
    tasks, ways = 8000, 5
    hidden = Episodes(named(classes, 2), ways).sample(np.random.default_rng(0), tasks=tasks, shots=1, queries=1).task_params
    got = np.stack([np.bincount(hidden[:, label], minlength=classes) for label in range(ways)])
    assert _farthest(got, tasks / classes) < 6
    ordered = np.bincount(hidden[:, 0] * classes + hidden[:, 1], minlength=classes**2).reshape(classes, classes)
    apart = ~np.eye(classes, dtype=bool)
    assert not ordered[~apart].any() and _farthest(ordered[apart], tasks / (classes * (classes - 1))) < 6


@pytest.mark.parametrize("examples", [3, 30])
def test_every_example_is_as_often_support_and_query(examples):
    batch = Episodes(named(5, examples)).sample(np.random.default_rng(0), tasks=4000, shots=1, queries=2)
    for x, count in ((batch.x_support, 1), (batch.x_query, 2)):
        times = np.bincount((x[..., 0] * examples + x[..., 1]).astype(int).ravel(), minlength=5 * examples)
        assert _farthest(times, 4000 * count / examples) < 6


def _farthest(counts: np.ndarray, expected: float) -> float:
    """The farthest of all counts from what is expected of them, in standard deviations (of a Poisson count, the widest)."""
    return np.abs(counts - expected).max() / np.sqrt(expected)


@quick
@given(ways=st.integers(2, 6), spare=st.integers(0, 7), seed=seeds)
def test_labels_never_shuffled_stay_with_their_class(ways, spare, seed):
    episodes = Episodes(named(ways + spare, 2), ways, shuffled=False)
    hidden = episodes.sample(np.random.default_rng(seed), tasks=5, shots=1, queries=1).task_params
    np.testing.assert_array_equal(hidden % ways, np.broadcast_to(np.arange(ways), (5, ways)))
    assert hidden.max() < ways + spare


def test_labels_never_shuffled_leave_no_class_out():
    hidden = Episodes(named(7, 2), 5, shuffled=False).sample(np.random.default_rng(0), tasks=200, shots=1, queries=1).task_params
    assert set(hidden.flat) == set(range(7))  # the rarest class is missed once in 2^200


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_grey_levels_and_trailing_shape(dtype):
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 3, 3), np.uint8)
    batch = Episodes(images).sample(np.random.default_rng(1), tasks=2, shots=1, queries=3, dtype=dtype)
    assert batch.x_query.shape == (2, 15, 3, 3)
    assert {array.dtype for array in (batch.x_support, batch.y_support, batch.x_query, batch.y_query)} == {np.dtype(dtype)}
    expected = images[batch.task_params[0, 0]].astype(dtype) / 255
    got = np.concatenate([batch.x_support[0, :1], batch.x_query[0, :3]])
    np.testing.assert_allclose(np.sort(got, axis=0), np.sort(expected, axis=0), rtol=1e-6)
    floats = Episodes(images / 255).sample(np.random.default_rng(1), tasks=2, shots=1, queries=3, dtype=dtype)
    assert floats.x_query.dtype == dtype
    np.testing.assert_allclose(floats.x_query, batch.x_query, rtol=1e-6)
    part = batch[1:]
    assert len(part) == 1 and part.task_params.shape == (1, 5)


@pytest.mark.parametrize("family", [Planes(), Glyphs(size=5)])
def test_a_family_has_new_classes_for_every_task_and_a_pool_is_a_fixed_set_of_them(family):
    rng = np.random.default_rng(0)
    batch = Episodes(family, ways=3).sample(rng, tasks=4, shots=2, queries=1, dtype=np.float32)
    identities = batch.task_params.reshape(12, -1)
    assert len(np.unique(identities, axis=0)) == 12
    assert batch.x_support.dtype == np.float32 and batch.x_support.shape[:2] == (4, 6)
    fixed = pool(family, rng, classes=6, examples=3)
    assert fixed.shape == (6, 3, batch.x_support.shape[-1]) and fixed.dtype == np.float32
    assert len(np.unique(fixed.reshape(18, -1), axis=0)) == 18


@quick
@given(classes=st.integers(2, 30), data=st.data(), seed=seeds)
def test_a_split_gives_every_class_to_one_side(classes, data, seed):
    train = data.draw(st.integers(1, classes - 1), label="train")
    left, right = split(np.random.default_rng(seed), named(classes, 2), train)
    assert len(left) == train
    assert sorted([*left[:, 0, 0], *right[:, 0, 0]]) == list(range(classes))
    assert left.shape[1:] == right.shape[1:] == (2, 2)


def test_a_split_is_random():
    sides = [split(np.random.default_rng(seed), named(30, 1), 15)[0] for seed in range(3)]
    assert not np.array_equal(sides[0], sides[1]) or not np.array_equal(sides[0], sides[2])  # of 155 million splits


@pytest.mark.parametrize(
    ("source", "options", "error", "sentence"),
    [
        (named(4, 2), {}, ValueError, "ways is 5 and source has 4 classes: ask for 4 ways or fewer"),
        (named(9, 2), {"ways": 1}, ValueError, "ways is 1, expected at least 2: ask for 2 or more"),
        (named(9, 2), {"ways": 2.0}, TypeError, "ways is 2.0, expected a whole number"),
        (named(9, 2, int), {}, TypeError, "source has dtype int64, expected float64 or float32: use source.astype"),
        (np.zeros((9, 2)), {}, ValueError, r"source has shape \(9, 2\), expected \(classes, examples, features\)"),
        (np.zeros((9, 0, 2)), {}, ValueError, r"source has shape \(9, 0, 2\), .* none of them empty"),
        ([[[1.0]]], {}, TypeError, "source is a list, expected an array"),
        (Planes(), {"shuffled": False}, ValueError, "shuffled=False needs a fixed set of classes, .* draw one with pool"),
    ],
)
def test_a_source_that_cannot_be_is_refused(source, options, error, sentence):
    with pytest.raises(error, match=sentence):
        Episodes(source, **options)


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        ({"shots": 3, "queries": 2}, r"shots \+ queries is 5 and each class has 4 examples: ask for 4 or fewer together"),
        ({"shots": 0, "queries": 1}, "shots is 0, expected at least 1"),
        ({"shots": 1, "queries": 0}, "queries is 0, expected at least 1"),
        ({"shots": 1, "queries": 1, "tasks": 0}, "tasks is 0, expected at least 1"),
    ],
)
def test_an_episode_that_cannot_be_is_refused(size, sentence):
    with pytest.raises(ValueError, match=sentence):
        Episodes(named(6, 4)).sample(np.random.default_rng(0), **{"tasks": 2, **size})


def test_a_split_that_leaves_a_side_empty_is_refused():
    with pytest.raises(ValueError, match="train is 6 and there are 6 classes, expected some to test on: train on fewer"):
        split(np.random.default_rng(0), named(6, 4), 6)
    with pytest.raises(ValueError, match="train is 0, expected at least 1"):
        split(np.random.default_rng(0), named(6, 4), 0)
    with pytest.raises(TypeError, match="source is a list"):
        split(np.random.default_rng(0), [1, 2], 1)


@quick
@given(tasks=st.integers(1, 3), shots=st.integers(1, 3), queries=st.integers(1, 4), seed=seeds,
       dtype=st.sampled_from("fd"), outliers=st.booleans())  # fmt: skip
def test_nearest_neighbour_is_that_of_a_plain_loop(tasks, shots, queries, seed, dtype, outliers):
    """Wherever the features lie, and in either precision; one class may be far from the others."""
    rng = np.random.default_rng(seed)
    far = rng.uniform(-1, 1, (5 if outliers else 1, 1, 2, 3)) * 10 ** rng.uniform(0, 4)
    source = (far + rng.standard_normal((5, 8, 2, 3))).astype(dtype)
    batch = Episodes(source, ways=3).sample(rng, tasks=tasks, shots=shots, queries=queries, dtype=dtype)
    predicted = nearest_neighbour(batch)
    assert predicted.dtype == dtype
    batch = TaskBatch(*(getattr(batch, name).astype(float) for name in ("x_support", "y_support", "x_query", "y_query")))
    assert predicted.shape == batch.y_query.shape
    for t in range(tasks):
        for q in range(3 * queries):
            distances = [((support - batch.x_query[t, q]) ** 2).sum() for support in batch.x_support[t]]
            np.testing.assert_array_equal(predicted[t, q], batch.y_support[t, np.argmin(distances)])


def test_nearest_neighbour_takes_the_first_of_equals_and_knows_an_example_that_it_has_seen():
    x, y = np.array([[[3.0, 1.0], [1.0, 0.0], [3.0, 1.0]]]), np.eye(3)[None]
    predicted = nearest_neighbour(TaskBatch(x, y, x, y))
    np.testing.assert_array_equal(predicted.argmax(-1), [[0, 1, 0]])
