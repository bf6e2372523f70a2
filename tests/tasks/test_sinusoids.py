"""The paper's tasks: ranges, truth, disjoint support and query, reproducible, nonsense refused; their closed form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinymaml.tasks import Sinusoid, Sinusoids, TaskBatch, task_blind, with_task_params

seeds = st.integers(0, 2**32 - 1)


few = st.integers(1, 12)


@given(seed=seeds, tasks=few, shots=few, queries=few, dtype=st.sampled_from(["f8", "f4"]))
def test_a_batch_is_drawn_as_in_the_paper(seed, tasks, shots, queries, dtype):
    batch = Sinusoids().sample(np.random.default_rng(seed), tasks=tasks, shots=shots, queries=queries, dtype=dtype)
    assert len(batch) == tasks
    assert batch.x_support.shape == batch.y_support.shape == (tasks, shots, 1)
    assert batch.x_query.shape == batch.y_query.shape == (tasks, queries, 1)
    A, phase = batch.task_params.amplitude, batch.task_params.phase
    assert (A >= 0.1).all() and (A <= 5).all() and (phase >= 0).all() and (phase <= np.pi).all()
    for x, y in ((batch.x_support, batch.y_support), (batch.x_query, batch.y_query)):
        assert x.dtype == y.dtype == dtype
        assert (np.abs(x) <= 5).all()
        np.testing.assert_allclose(y, A * np.sin(x - phase), atol=1e-5 if dtype == "f4" else 1e-14)


def test_support_and_query_never_share_a_point_even_where_points_are_rare():
    # between 1 and 1 + 40 ulp of float32 there are about 40 points: without redrawing most tasks would share one
    few = Sinusoids(x=(1.0, 1.0 + 40 * 2.0**-23))
    batch = few.sample(np.random.default_rng(0), tasks=500, shots=5, queries=5, dtype=np.float32)
    assert not (batch.x_support == batch.x_query[:, None, :, 0]).any()


def test_a_task_is_rebuilt_from_its_two_numbers():
    batch = Sinusoids().sample(np.random.default_rng(1), tasks=4)
    wave = batch.task_params[2]
    assert isinstance(wave.amplitude, float)
    rebuilt = Sinusoid(wave.amplitude, wave.phase)
    np.testing.assert_array_equal(rebuilt(batch.x_query[2]), batch.y_query[2])


def test_the_generator_decides():
    first, again, other = (Sinusoids().sample(np.random.default_rng(seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.y_query, again.y_query)
    assert not np.array_equal(first.y_query, other.y_query)


def test_a_slice_of_a_batch_is_a_batch_and_keeps_its_truth():
    batch = Sinusoids().sample(np.random.default_rng(2), tasks=6)
    part = batch[2:4]
    assert len(part) == 2
    np.testing.assert_array_equal(part.task_params(part.x_support), part.y_support)
    with pytest.raises(TypeError, match="slice"):
        batch[2]


@pytest.mark.parametrize("asked", [{"shots": 0}, {"queries": 0}, {"tasks": -1}])
def test_nothing_is_sampled_from_nothing(asked):
    with pytest.raises(ValueError, match="expected at least 1"):
        Sinusoids().sample(np.random.default_rng(0), **asked)


def test_counts_are_whole_numbers():
    with pytest.raises(TypeError, match="whole number"):
        Sinusoids().sample(np.random.default_rng(0), shots=2.5)


@pytest.mark.parametrize("ranges", [{"amplitude": (5, 1)}, {"phase": (0, np.nan)}, {"x": (2.0, 2.0)}])
def test_ranges_that_make_no_sense_are_refused(ranges):
    with pytest.raises(ValueError, match=next(iter(ranges))):
        Sinusoids(**ranges).sample(np.random.default_rng(0))


def test_a_batch_refuses_parts_that_do_not_belong_together():
    x, y = np.zeros((3, 4, 1)), np.zeros((3, 5, 1))
    with pytest.raises(ValueError, match="every example needs its target"):
        TaskBatch(x, y, x, x)
    with pytest.raises(ValueError, match="3 tasks have a support and 2 a query set"):
        TaskBatch(x, x, x[:2], x[:2])
    with pytest.raises(ValueError, match=r"x_support\[None\]"):
        TaskBatch(x[0], x[0], x, x)
    with pytest.raises(TypeError, match="int64"):
        TaskBatch(x.astype(np.int64), x, x, x)


def test_the_task_blind_optimum_is_minus_1_623_cos_x():
    x = np.linspace(-5, 5, 50)[:, None]
    expected = -(2 / np.pi) * 2.55 * np.cos(x)
    np.testing.assert_allclose(task_blind(Sinusoids(), x), expected, atol=1e-14)
    assert abs(2 / np.pi * 2.55 - 1.623) < 5e-4


def test_no_other_multiple_of_it_does_better_and_its_error_is_the_closed_form():
    batch = Sinusoids().sample(np.random.default_rng(0), tasks=20_000, shots=1, queries=5)
    blind = task_blind(Sinusoids(), batch.x_query)
    losses = [((scale * blind - batch.y_query) ** 2).mean() for scale in (0.8, 1.0, 1.2)]
    assert losses[1] < losses[0] and losses[1] < losses[2]
    # E[y^2] - E[blind^2] = 3.01; the standard error over 20 000 tasks is about 0.02
    assert losses[1] == pytest.approx(3.01, abs=0.12)
    assert (batch.y_query**2).mean() == pytest.approx(4.25, abs=0.15)


def test_with_phases_around_the_whole_circle_it_is_zero():
    x = np.linspace(-5, 5, 9)[:, None]
    np.testing.assert_allclose(task_blind(Sinusoids(phase=(0, 2 * np.pi)), x), 0, atol=1e-14)
    np.testing.assert_allclose(task_blind(Sinusoids(phase=(1.0, 1.0)), x), 2.55 * np.sin(x - 1.0))


def test_the_oracle_has_amplitude_and_phase_of_its_task():
    batch = Sinusoids().sample(np.random.default_rng(3), tasks=5, shots=4, queries=3, dtype=np.float32)
    seen = with_task_params(batch)
    assert seen.x_support.shape == (5, 4, 3) and seen.x_query.shape == (5, 3, 3)
    x, A, phase = np.moveaxis(seen.x_query.astype(float), -1, 0)
    np.testing.assert_allclose(A * np.sin(x - phase), batch.y_query[..., 0], atol=1e-5)
    assert seen.x_query.dtype == np.float32
