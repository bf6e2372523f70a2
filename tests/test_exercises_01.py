"""Lesson 01: the solutions pass, and every known mistake is called by its name."""

import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "lessons"))

import exercises
from exercises import lesson_01 as lesson

from tinymaml import MLP
from tinymaml.baselines import task_blind
from tinymaml.check import WrongAnswer
from tinymaml.tasks import Sinusoids, TaskBatch

SEEDS = (0, 1, 2)
NOTEBOOK = Path(__file__).parents[1] / "lessons" / "01_learning_to_learn.ipynb"


def refused(number, answer, seed=0):
    with pytest.raises(WrongAnswer) as caught:
        exercises.check(number, answer, seed=seed)
    return str(caught.value)


def from_notebook(number, tag):
    """The function of a stub, or of a solution, as the lesson prints it."""
    (cell,) = (c for c in nbformat.read(NOTEBOOK, 4).cells if {tag, number} <= set(c.metadata.get("tags", [])))
    source = cell.source.split("```python\n")[1].split("```")[0] if tag == "solution" else cell.source
    names = {"np": np}
    exec(source, names)
    return next(value for name, value in names.items() if callable(value) and name != "np")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("number", lesson.CHECKS)
def test_the_solution_is_right_on_any_seed(number, seed, capsys):
    exercises.check(number, from_notebook(number, "solution"), seed=seed)
    assert f"Exercise {number} is right." in capsys.readouterr().out


@pytest.mark.parametrize("number", lesson.CHECKS)
def test_the_stub_is_not_attempted(number, capsys):
    exercises.check(number, from_notebook(number, "exercise"))
    assert "not attempted" in capsys.readouterr().out


@pytest.mark.parametrize("number", lesson.CHECKS)
def test_nothing_and_the_wrong_kind_are_refused_in_words(number):
    assert "returned None" in refused(number, lambda *given: None)
    assert "expected" in refused(number, lambda *given: "a word")


# -- 1.1 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("part", lesson.PARTS)
def test_every_wrong_shape_has_its_sentence(part, seed):
    for i, (sentence, _) in enumerate(lesson.wrong_shapes(part, 2, 3, 5, 7, 11)):

        def answer(*sizes, i=i):
            return tuple((lesson.shapes_of(*sizes) | {part: lesson.wrong_shapes(part, *sizes)[i][1]}).values())

        told = refused("1.1", answer, seed)
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
        told = refused("1.2", lambda F, batch, i=i: lesson.wrong_losses(batch)[i][1], seed)
        assert sentence in told


def test_a_loss_of_every_task_and_a_whole_batch_are_refused():
    assert "shape (4,), expected one number" in refused("1.2", lambda F, batch: np.zeros(len(batch)))
    assert "of one task" in refused("1.2", lambda F, batch: F(batch.x_support, batch.y_support))
    assert "of one task" in refused("1.2", lambda F, batch: F(batch.x_support[0], batch.y_support[0])(batch.x_query))


# -- 1.3 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_every_wrong_curve_has_its_sentence(seed):
    for i, (sentence, _) in enumerate(lesson.wrong_curves(np.zeros(1), (1.0, 2.0), (0.0, 1.0))):
        told = refused("1.3", lambda x, amplitude, phase, i=i: lesson.wrong_curves(x, amplitude, phase)[i][1], seed)
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
        assert sentence in refused("1.4", lambda *given, i=i: lesson.wrong_ends(*given)[i][1], seed)


def test_a_surface_instead_of_parameters_is_refused():
    told = refused("1.4", lambda model, theta, x, y, inner_lr, steps: model.at(theta, x, y))
    assert "expected Parameters" in told


def test_the_loss_of_F_is_a_mean_over_tasks():
    one = Sinusoids().sample(np.random.default_rng(0), tasks=1)
    twice = TaskBatch(*(np.repeat(getattr(one, part), 2, axis=0) for part in lesson.PARTS))
    assert lesson.loss_of_F(lesson.line, one) == pytest.approx(lesson.loss_of_F(lesson.line, twice))
