"""The strategies for property tests: what they draw fits together, finds a wrong rule, and shrinks to something small."""

import numpy as np
import pytest
from hypothesis import find, given
from hypothesis.errors import NoSuchExample
from strategies import batches, directions, networks, quick, thetas

from tinymaml.check import complex_step, mistakes, relative_error


@quick
@given(networks().flatmap(lambda model: thetas(model).map(lambda theta: (model, theta))), batches(inputs=1))
def test_a_theta_has_the_shapes_of_its_network(drawn, batch):
    model, theta = drawn
    assert {name: array.shape for name, array in theta.items()} == dict(model.shapes)
    assert batch.x_support.shape[0] == batch.y_query.shape[0]


@quick
@given(networks().flatmap(lambda m: batches(m).flatmap(lambda b: thetas(m, tasks=len(b)).map(lambda theta: (m, b, theta)))))
def test_a_batch_fits_its_network_and_a_theta_for_each_task(drawn):
    model, batch, theta = drawn
    assert model.at(theta, batch.x_support, batch.y_support).loss.shape == (len(batch),)


def wrong(drawn):
    """Whether a network without s'' has another Hessian-vector product."""
    model, batch, theta, v = drawn
    x, y = batch.x_support[0], batch.y_support[0]
    broken = mistakes.with_mistakes(model, ["s''"]).at(theta, x, y)
    truth = complex_step(lambda theta: model.at(theta, x, y).gradient, theta, v)
    return relative_error(broken.hvp(v), truth) > 1e-6


def all_of(model):
    return batches(model).flatmap(lambda b: thetas(model).flatmap(lambda t: directions(model).map(lambda v: (model, b, t, v))))


def test_a_lost_term_is_found_and_the_example_is_small():
    _, batch, theta, _ = find(networks(activation=["tanh"], loss=["squared_error"]).flatmap(all_of), wrong)
    assert theta.size <= 8 and len(batch) == 1 and batch.x_support.shape[1] == 1


def test_nothing_is_found_where_the_term_is_zero():
    with pytest.raises(NoSuchExample):
        find(networks(activation=["relu"]).flatmap(all_of), wrong)


@quick
@given(batches(inputs=2, outputs=3, one_hot=True, tasks=2, least=3))
def test_one_hot_targets_have_a_class_each(batch):
    assert np.all(batch.y_support.sum(-1) == 1) and batch.x_query.shape[1] >= 3 and len(batch) == 2
