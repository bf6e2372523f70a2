"""The methods: each is a whole of its own, applies where a family has what it needs, and starts on new tasks as it should."""

from dataclasses import replace

import numpy as np
import pytest

from tinymaml import MLP, methods, pretraining_gradient, tasks
from tinymaml.choices import settings_for
from tinymaml.run import gradient, initialisation, model, new_tasks, sampler, start, stream
from tinymaml.tasks import Sinusoids, told


def small(family, method, **more):
    return settings_for(family, method, tasks=3, queries=2, hidden=(6, 6), **more)


def test_no_two_methods_or_references_look_alike():
    looks = [method.look for method in methods.METHODS]
    looks += {reference.name: reference.look for family in tasks.FAMILIES for reference in family.references}.values()
    for place in ("label", "colour", "style"):
        assert len({str(getattr(look, place)) for look in looks}) == len(looks)


def test_names_are_unique_and_every_method_says_what_it_is():
    assert len({method.name for method in methods.METHODS}) == len(methods.METHODS)
    assert all(len(method.help.split()) > 4 for method in methods.METHODS)
    assert methods.named("maml") is methods.METHODS[0]
    with pytest.raises(ValueError, match="unknown method 'magic': choose one of maml, first-order"):
        methods.named("magic")


def test_whether_a_method_applies_is_decided_by_what_the_family_has():
    bare = replace(tasks.named("sinusoids"), told=None)
    for name, hook in (("oracle", "told"), ("transfer", "classes")):
        method = methods.named(name)
        assert not method.applies(bare) and method.applies(replace(bare, **{hook: lambda given: given}))
    assert all(method.applies(bare) for method in methods.METHODS if method.name not in ("oracle", "transfer"))


def test_pretraining_takes_every_point_of_every_task_alike():
    rng = np.random.default_rng(4)
    model = MLP([1, 6, 1], "tanh")
    theta = model.init(rng)
    batch = Sinusoids().sample(rng, tasks=3, shots=2, queries=5)
    found = pretraining_gradient(model, theta, batch)
    parts = [model.at(theta, batch.x_support, batch.y_support), model.at(theta, batch.x_query, batch.y_query)]
    assert found.loss == pytest.approx((2 * parts[0].loss.mean() + 5 * parts[1].loss.mean()) / 7)
    mean = (2 * parts[0].gradient.mean() + 5 * parts[1].gradient.mean()) / 7
    np.testing.assert_allclose(found.gradient.flat, mean.flat, atol=1e-14)


def test_first_order_differs_from_maml_by_the_curvature():
    settings = small("sinusoids", "maml")
    theta, batch = initialisation(settings), sampler(settings)(np.random.default_rng(0))
    exact, without = (gradient(replace(settings, method=name))(theta, batch) for name in ("maml", "first-order"))
    np.testing.assert_allclose(without.gradient.flat, (exact.gradient + exact.curvature).flat)
    assert abs(exact.curvature.flat).max() > 0


def test_steps_are_steps_of_the_inner_loop():
    one, three = (small("sinusoids", "maml", steps=steps) for steps in (1, 3))
    theta, batch = initialisation(one), sampler(one)(np.random.default_rng(0))
    assert gradient(three)(theta, batch).loss != gradient(one)(theta, batch).loss


def test_a_new_head_stands_on_what_the_trained_network_makes_of_the_inputs():
    settings = small("planes", "transfer", classes=9)
    net, theta, batch = model(settings), initialisation(settings), new_tasks(settings, 2, 2)
    assert (net.inputs, net.outputs, net.shapes["W2"]) == (10, 9, (6, 6))
    begun = start(settings, theta, batch)
    assert begun.model.shapes == {"W1": (6, 5), "b1": (1, 5)} and not begun.theta.flat.any() and begun.theta.dtype == np.float32
    assert begun.batch.x_support.shape == (2, 5, 6)
    logits = begun.batch.x_query @ theta["W3"] + theta["b3"]
    np.testing.assert_allclose(logits, net.predict(theta, batch.x_query), rtol=1e-5)


def test_transfer_is_shown_labelled_examples_of_all_training_classes():
    settings = small("planes", "transfer", classes=9, ways=4)
    batch = sampler(settings)(np.random.default_rng(0))
    assert batch.x_support.shape == batch.x_query.shape == (1, 12, 10) and batch.y_support.shape == (1, 12, 9)
    pool = tasks.named("planes").classes(settings)
    for x, y in zip(batch.x_query[0], batch.y_query[0], strict=True):
        assert y.sum() == 1 and (pool[y.argmax()] == x).all(-1).any()


def test_the_oracle_is_told_its_task_in_training_and_on_new_tasks():
    settings = small("sinusoids", "oracle")
    assert (model(settings).inputs, model(settings).outputs) == (3, 1)
    shown, plain = (sampler(each)(np.random.default_rng(1)) for each in (settings, small("sinusoids", "maml")))
    np.testing.assert_array_equal(shown.x_support, told(plain).x_support)
    batch = new_tasks(settings, 2, 3)
    begun = start(settings, initialisation(settings), batch)
    np.testing.assert_array_equal(begun.batch.x_query, told(batch).x_query)


def test_what_is_not_trained_cannot_be_and_starts_where_training_would():
    settings = small("sinusoids", "scratch")
    with pytest.raises(ValueError, match="scratch is not trained: choose one of maml"):
        gradient(settings)
    theta = model(settings).init(stream(settings.seed, "initialisation"))
    np.testing.assert_array_equal(initialisation(settings).flat, theta.flat)
    np.testing.assert_array_equal(theta.flat, initialisation(small("sinusoids", "maml")).flat)
