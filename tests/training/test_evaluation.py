"""Loss against steps: the numbers, the statistics, and the diverged tasks."""

import warnings

import numpy as np
import pytest

from tinymaml import MLP, adapt
from tinymaml.tasks import Episodes, Planes, Sinusoids
from tinymaml.training.evaluation import ACCURACY, accuracy, constant, curve, evaluate, format_number


def setting(tasks=7):
    rng = np.random.default_rng(0)
    model = MLP([1, 8, 1], "tanh")
    return model, model.init(rng), Sinusoids().sample(rng, tasks=tasks, shots=3, queries=4)


def test_each_row_is_the_query_loss_after_that_many_steps():
    model, theta, batch = setting()
    found = evaluate(model, theta, batch, inner_lr=0.02, steps=3)
    assert found.values.shape == (4, 7)
    np.testing.assert_allclose(found.values[0], model.at(theta, batch.x_query, batch.y_query).loss)
    theta_3 = adapt(model, theta, batch.x_support, batch.y_support, inner_lr=0.02, steps=3)
    np.testing.assert_allclose(found.values[3], model.at(theta_3, batch.x_query, batch.y_query).loss)


def test_chunks_change_no_number():
    model, theta, batch = setting()
    whole, pieces = (evaluate(model, theta, batch, inner_lr=0.02, steps=2, chunk=chunk) for chunk in (100, 3))
    np.testing.assert_allclose(whole.values, pieces.values, rtol=1e-13)


def test_statistics_over_tasks():
    values = np.array([[1.0, 2.0, 3.0, 4.0], [2.0, 2.0, 2.0, 6.0]])
    found = curve(values)
    np.testing.assert_allclose(found.mean, [2.5, 3.0])
    np.testing.assert_allclose(found.median, [2.5, 2.0])
    np.testing.assert_allclose(found.interval, 1.96 * values.std(axis=1, ddof=1) / 2)
    assert found.diverged_count.tolist() == [0, 0]


def test_diverged_tasks_are_counted_and_left_out_of_the_mean():
    losses = np.array([[1.0] * 5 + [np.inf], [9.9, 10.1, np.nan, np.inf, 0.1, np.inf]])
    found = curve(losses)
    assert found.diverged.tolist() == [[False] * 5 + [True], [False, True, True, True, False, True]]
    assert found.diverged_count.tolist() == [1, 4]
    np.testing.assert_allclose(found.mean, [1.0, 5.0])
    assert found.median[1] == np.inf  # more than half the tasks are lost, and the median says so


def test_a_mean_of_nothing_is_nan_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = curve(np.array([[1.0], [np.nan]]))
        assert np.isnan(found.mean[1]) and np.isnan(found.interval).all()


def test_overflow_on_the_way_is_reported_not_averaged():
    model, theta, batch = setting()
    found = evaluate(model, theta, batch, inner_lr=1e3, steps=8)
    assert found.diverged_count[-1] > 0
    kept = found.values[-1][~found.diverged[-1]]
    assert np.isfinite(kept).all() and (kept <= 10 * found.values[0][~found.diverged[-1]]).all()


def test_a_predictor_that_does_not_adapt_has_a_constant_curve():
    assert constant(np.array([1.0, 3.0]), steps=4).mean.tolist() == [2.0] * 5
    assert constant(np.array([0.5, np.nan]), steps=1).diverged_count.tolist() == [1, 1]


def test_accuracy_counts_right_answers_and_nothing_else():
    class Surface:
        prediction = np.array([[[0.1, 0.9], [0.9, 0.1], [np.nan, 0.0], [2.0, 1.0]]])

    assert accuracy(Surface, np.array([[[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]])).tolist() == [0.5]


def test_no_task_is_left_out_of_a_mean_accuracy():
    rng = np.random.default_rng(0)
    model = MLP([10, 6, 5], "tanh", "cross_entropy")
    batch = Episodes(Planes()).sample(rng, tasks=6, shots=1, queries=3)
    found = evaluate(model, model.init(rng), batch, inner_lr=1e200, steps=2, metric=ACCURACY)
    assert found.diverged_count.tolist() == [0, 0, 0] and (0 <= found.values).all() and (found.values <= 1).all()


def test_zero_steps_are_refused():
    model, theta, batch = setting()
    with pytest.raises(ValueError, match="steps"):
        evaluate(model, theta, batch, inner_lr=0.1, steps=0)


def test_every_number_is_formatted_in_a_few_characters():
    assert [format_number(value, 2) for value in (0.126, 99999.0, np.nan, np.inf)] == ["0.13", "99999.00", "nan", "inf"]
    assert [format_number(value) for value in (1e5, 1.26e44)] == ["1.0e+05", "1.3e+44"]
