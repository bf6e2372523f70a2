"""Prototypical networks: the gradient of eq. 27, and what a classifier of new tasks does."""

import numpy as np
import pytest
from hypothesis import given
from strategies import activations, quick, seeds

from tinymaml import MLP, methods, tasks
from tinymaml.check import check_equation, complex_step, relative_error
from tinymaml.check.compare import WrongAnswer
from tinymaml.experiment.options import settings_for
from tinymaml.experiment.run import adaptation_setup, evaluate_method, initialisation, model, new_tasks, run
from tinymaml.methods.prototypes import Classifier, logits, prototype_gradient, prototypes
from tinymaml.tasks import Episodes, Planes, TaskBatch


def labelled(rng, counts=(3, 1, 2), tasks=2, width=4):
    """Tasks whose classes have different numbers of examples, in random order."""
    labels = np.stack([rng.permutation(np.repeat(np.arange(len(counts)), counts)) for _ in range(tasks)])
    return rng.standard_normal((*labels.shape, width)), np.eye(len(counts))[labels]


@quick
@given(seeds, activations)
def test_the_gradient_is_that_of_the_loss_along_every_direction(seed, activation):
    rng = np.random.default_rng(seed)
    network = MLP([4, 5, 3], activation)
    theta, v = network.init(rng), network.init(rng)
    batch = TaskBatch(*labelled(rng), *labelled(rng, (2, 2, 1)))
    mine = prototype_gradient(network, theta, batch)
    slope = complex_step(lambda theta: prototype_gradient(network, theta, batch).loss, theta, v)
    assert relative_error(mine.gradient.dot(v), slope) < 1e-9


@pytest.mark.parametrize("lost", ["the way through the queries", "the way through the prototypes"])
def test_a_lost_way_is_refused(lost, monkeypatch):
    rng = np.random.default_rng(0)
    network = MLP([4, 5, 3], "tanh")
    theta, batch = network.init(rng), TaskBatch(*labelled(rng), *labelled(rng, (2, 2, 1)))
    whole = prototype_gradient(network, theta, batch).gradient
    check_equation(27, whole, network, theta, batch)
    backward, calls = type(network.body).backward, []

    def one_way(self, p, tape, D, needs_input_grad=True):
        calls.append(0)
        kept = len(calls) == (1 if lost.endswith("queries") else 2)  # the prototypes come first
        return backward(self, p, tape, D * kept, needs_input_grad)

    monkeypatch.setattr(type(network.body), "backward", one_way)
    half = prototype_gradient(network, theta, batch).gradient
    monkeypatch.undo()
    with pytest.raises(WrongAnswer):
        check_equation(27, half, network, theta, batch)


def test_the_logits_are_minus_squared_distances_to_the_means_of_the_classes():
    rng = np.random.default_rng(1)
    z, y = labelled(rng)
    q = rng.standard_normal((2, 5, 4))
    m = np.stack([[z[t][y[t, :, c] == 1].mean(0) for c in range(3)] for t in range(2)])
    np.testing.assert_allclose(prototypes(z, y), m, atol=1e-14)
    np.testing.assert_allclose(logits(q, m), -((q[:, :, None] - m[:, None]) ** 2).sum(-1), atol=1e-12)


def test_a_class_without_a_support_example_is_refused():
    y = np.eye(3)[[[0, 1, 1]]]
    with pytest.raises(ValueError, match="no support example, and so no prototype: give every class"):
        prototypes(np.ones((1, 3, 2)), y)


def test_it_classifies_new_tasks_far_better_than_a_random_embedding(tmp_path):
    settings = settings_for("planes", "prototypes", tasks=10, iterations=150, hidden=(40,), outer_lr=0.01)
    state = run(settings, tmp_path / "run.npz", progress=False)
    new = new_tasks(settings, 200, 5)
    right = [evaluate_method(settings, theta, new, 2).mean for theta in (initialisation(settings), state.theta)]
    assert right[1][0] > right[0][0] + 0.2 and (right[1] == right[1][0]).all()  # it takes no steps


def test_its_classifier_is_the_nearest_mean_of_the_embedded_support_set():
    settings = settings_for("planes", "prototypes", hidden=(6,), embedding=3)
    batch = Episodes(Planes(), 5).sample(np.random.default_rng(0), tasks=2, shots=2, queries=3, dtype=np.float32)
    theta, network = initialisation(settings), model(settings)
    setup = adaptation_setup(settings, theta, batch)
    assert isinstance(setup.model, Classifier) and network.outputs == 3
    here = setup.model.at(theta, batch.x_query, batch.y_query)
    expected = logits(network.predict(theta, batch.x_query), prototypes(network.predict(theta, batch.x_support), batch.y_support))
    np.testing.assert_array_equal(here.prediction, expected)
    assert here.loss.shape == (2,)


def test_it_is_for_classes_only():
    method = methods.named("prototypes")
    assert [family.name for family in tasks.FAMILIES if method.supports(family)] == ["planes", "glyphs", "omniglot"]
