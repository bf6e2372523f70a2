"""From settings to networks and tasks: the same tasks for all methods, new classes never seen, nonsense refused."""

from dataclasses import replace

import numpy as np
import pytest

from tinymaml.evaluation import accuracy, evaluate
from tinymaml.problems import gradient, initialisation, model, new_tasks, sampler, start_of_adaptation, stream, training_source
from tinymaml.settings import DEFAULTS, METHODS_OF, Settings, defaults
from tinymaml.training import begin, train

GENERATED = [name for name in DEFAULTS if name != "omniglot"]


def small(problem, **more):
    few = {"classes": 12} if problem == "glyphs" else {}
    return replace(defaults(problem), tasks=3, queries=2, hidden=(6, 6), **few, **more)


@pytest.mark.parametrize(("problem", "method"), [(p, m) for p in GENERATED for m in METHODS_OF[p]])
def test_every_method_of_every_problem_can_be_trained_and_adapted(problem, method):
    from tinymaml.optimizers import Adam

    settings = small(problem, method=method)
    adam = Adam(0.001)
    state = begin(initialisation(settings), adam, stream(0, "training tasks"))
    state = train(gradient(settings), sampler(settings), state, optimizer=adam, iterations=3)
    assert np.isfinite(state.losses).all() and state.theta.dtype == settings.dtype
    curve = evaluate(*start_of_adaptation(settings, state.theta, new_tasks(settings, 4, 2)), inner_lr=0.01, steps=2)
    assert curve.values.shape == (3, 4) and np.isfinite(curve.values).all()


@pytest.mark.parametrize("problem", GENERATED)
def test_all_methods_meet_the_same_tasks(problem):
    one, other = small(problem), small(problem, method="first-order", inner_lr=0.001)
    batches = [sampler(settings)(stream(settings.seed, "training tasks")) for settings in (one, other)]
    np.testing.assert_array_equal(batches[0].x_query, batches[1].x_query)
    np.testing.assert_array_equal(new_tasks(one, 3, 2).y_query, new_tasks(other, 3, 2).y_query)


def test_new_classes_are_never_training_classes():
    settings = small("glyphs")
    trained = {drawing.tobytes() for drawing in training_source(settings).reshape(-1, 256)}
    tested = new_tasks(settings, 20, 5)
    assert not trained & {image.tobytes() for image in tested.x_query.reshape(-1, 256)}


def test_a_new_head_stands_on_what_the_trained_network_makes_of_the_inputs():
    settings = small("planes", method="transfer", classes=9)
    net, theta = model(settings), initialisation(settings)
    assert net.widths == (10, 6, 6, 9)
    head, start, seen = start_of_adaptation(settings, theta, new_tasks(settings, 2, 2))
    assert head.widths == (6, 5) and not start.flat.any()
    assert seen.x_support.shape == (2, 5, 6)
    logits = seen.x_query @ theta["W3"] + theta["b3"]
    np.testing.assert_allclose(logits, net.predict(theta, new_tasks(settings, 2, 2).x_query), rtol=1e-5)


def test_accuracy_counts_right_answers_and_nothing_else():
    class Here:
        prediction = np.array([[[0.1, 0.9], [0.9, 0.1], [np.nan, 0.0], [2.0, 1.0]]])
        y = np.array([[[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]])

    assert accuracy(Here).tolist() == [0.5]


@pytest.mark.parametrize("wrong", [{"problem": "chess"}, {"problem": "planes", "method": "oracle"}, {"classes": -1}, {"ways": 1}])
def test_settings_of_another_world_are_refused(wrong):
    with pytest.raises(ValueError, match=list(wrong)[-1]):
        Settings(**wrong)
