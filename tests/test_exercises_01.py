"""Lesson 01: every known mistake is called by its name."""

import numpy as np
import pytest
from answering import refused
from exercises import lesson_01 as lesson

from tinymaml import MLP
from tinymaml.tasks import Sinusoids, TaskBatch, task_blind

SEEDS = (0, 1, 2)


# -- 1.1 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("part", lesson.PARTS)
def test_every_wrong_shape_has_its_sentence(part, seed):
    for i, (sentence, _) in enumerate(lesson.wrong_shapes(part, 2, 3, 5, 7, 11)):

        def answer(*sizes, i=i):
            return tuple((lesson.shapes_of(*sizes) | {part: lesson.wrong_shapes(part, *sizes)[i][1]}).values())

        told = refused("1.1", answer, seed=seed)
        assert part in told and sentence[1:] in told


def test_an_unknown_shape_and_three_shapes_are_refused():
    assert "think of one task" in refused("1.1", lambda *sizes: [(1, 1, 1)] * 4)
    assert "three" not in refused("1.1", lambda *sizes: [(1, 1, 1)] * 3) and "expected four" in refused("1.1", lambda *s: [1] * 3)
    assert "is no shape" in refused("1.1", lambda *sizes: [1, 2, 3, 4])


# -- 1.2 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_every_wrong_loss_has_its_sentence(seed):
    batch = Sinusoids().sample(np.random.default_rng(9), tasks=2)
    for i, (sentence, _) in enumerate(lesson.wrong_losses(batch)):
        told = refused("1.2", lambda F, batch, i=i: lesson.wrong_losses(batch)[i][1], seed=seed)
        assert sentence in told


def test_a_loss_of_every_task_and_a_whole_batch_are_refused():
    assert "shape (4,), expected one number" in refused("1.2", lambda F, batch: np.zeros(len(batch)))
    assert "of one task" in refused("1.2", lambda F, batch: F(batch.x_support, batch.y_support))
    assert "of one task" in refused("1.2", lambda F, batch: F(batch.x_support[0], batch.y_support[0])(batch.x_query))


# -- 1.3 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_every_wrong_curve_has_its_sentence(seed):
    for i, (sentence, _) in enumerate(lesson.wrong_curves(np.zeros(1), (1.0, 2.0), (0.0, 1.0))):
        told = refused("1.3", lambda x, amplitude, phase, i=i: lesson.wrong_curves(x, amplitude, phase)[i][1], seed=seed)
        assert sentence in told


def test_a_turned_sign_and_a_wrong_shape_are_named():
    curve = lambda x, amplitude, phase: task_blind(Sinusoids(amplitude, phase), x)
    assert "the sign is turned" in refused("1.3", lambda *given: -curve(*given))
    told = refused("1.3", lambda x, amplitude, phase: curve(x[:, None], amplitude, phase))
    assert "(9, 1), expected (9,)" in told


# -- 1.4 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_every_wrong_inner_loop_has_its_sentence(seed):
    model, rng = MLP([1, 2, 1]), np.random.default_rng(0)
    x, y = rng.standard_normal((2, 3, 1))
    for i, (sentence, _) in enumerate(lesson.wrong_ends(model, model.init(rng), x, y, 0.1, 2)):
        assert sentence in refused("1.4", lambda *given, i=i: lesson.wrong_ends(*given)[i][1], seed=seed)


def test_a_surface_instead_of_parameters_is_refused():
    told = refused("1.4", lambda model, theta, x, y, inner_lr, steps: model.at(theta, x, y))
    assert "expected Parameters" in told


def test_the_loss_of_F_is_a_mean_over_tasks():
    one = Sinusoids().sample(np.random.default_rng(0), tasks=1)
    twice = TaskBatch(*(np.repeat(getattr(one, part), 2, axis=0) for part in lesson.PARTS))
    assert lesson.loss_of_F(lesson.line, one) == pytest.approx(lesson.loss_of_F(lesson.line, twice))
