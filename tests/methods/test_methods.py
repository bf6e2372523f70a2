"""The methods: each is a whole of its own, applies where a family has what it needs, and starts on new tasks as it should."""

from dataclasses import replace

import numpy as np
import pytest

from tinymaml import MLP, Parameters, adapt, meta_gradient, methods, pretraining_gradient, tasks
from tinymaml.check import compare, gradient_by_entries
from tinymaml.experiment.options import options_of, settings_for
from tinymaml.experiment.run import adaptation_setup, gradient, initialisation, model, new_tasks, rng_for, run, sampler
from tinymaml.methods.anil import head
from tinymaml.methods.boil import body
from tinymaml.methods.multi_step import step_weights
from tinymaml.nn.models import CNN, RNN
from tinymaml.tasks import Sinusoids, with_task_params
from tinymaml.training.optimizers import Adam


def small(family, method, **more):
    return settings_for(family, method, tasks=3, queries=2, hidden=(6, 6), **more)


def test_no_two_methods_or_references_look_alike():
    styles = [method.style for method in methods.METHODS]
    styles += {baseline.name: baseline.style for family in tasks.FAMILIES for baseline in family.baselines}.values()
    for place in ("label", "colour", "line"):
        assert len({str(getattr(style, place)) for style in styles}) == len(styles)


def test_names_are_unique_and_every_method_has_a_description():
    assert len({method.name for method in methods.METHODS}) == len(methods.METHODS)
    assert all(method.help for method in methods.METHODS)
    assert methods.named("maml") is methods.METHODS[0]
    with pytest.raises(ValueError, match="unknown method 'magic': choose one of maml, first-order"):
        methods.named("magic")


def test_a_method_supports_families_that_have_what_it_needs():
    bare = replace(tasks.named("sinusoids"), with_task_params=None)
    for name, hook in (("oracle", "with_task_params"), ("transfer", "classes"), ("prototypes", "classes")):
        method = methods.named(name)
        assert not method.supports(bare) and method.supports(replace(bare, **{hook: lambda given: given}))
    assert all(method.supports(bare) for method in methods.METHODS if method.name not in ("oracle", "transfer", "prototypes"))


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
    exact, without = (gradient(replace(settings, method=name))(theta, batch, 0) for name in ("maml", "first-order"))
    np.testing.assert_allclose(without.gradient.flat, (exact.gradient + exact.curvature).flat)
    assert abs(exact.curvature.flat).max() > 0


def test_steps_are_steps_of_the_inner_loop():
    one, three = (small("sinusoids", "maml", steps=steps) for steps in (1, 3))
    theta, batch = initialisation(one), sampler(one)(np.random.default_rng(0))
    assert gradient(three)(theta, batch, 0).loss != gradient(one)(theta, batch, 0).loss


def test_a_new_head_takes_the_features_of_the_trained_network():
    settings = small("planes", "transfer", classes=9)
    net, theta, batch = model(settings), initialisation(settings), new_tasks(settings, 2, 2)
    assert (net.inputs, net.outputs, net.shapes["W2"]) == (10, 9, (6, 6))
    begun = adaptation_setup(settings, theta, batch)
    assert begun.model.shapes == {"W1": (6, 5), "b1": (1, 5)} and not begun.theta.flat.any() and begun.theta.dtype == np.float32
    assert begun.batch.x_support.shape == (2, 5, 6)
    logits = begun.batch.x_query @ theta["W3"] + theta["b3"]
    np.testing.assert_allclose(logits, net.predict(theta, batch.x_query), rtol=1e-5)


def test_transfer_is_trained_on_labelled_examples_of_all_training_classes():
    settings = small("planes", "transfer", classes=9, ways=4)
    batch = sampler(settings)(np.random.default_rng(0))
    assert batch.x_support.shape == batch.x_query.shape == (1, 12, 10) and batch.y_support.shape == (1, 12, 9)
    pool = tasks.named("planes").classes(settings)
    for x, y in zip(batch.x_query[0], batch.y_query[0], strict=True):
        assert y.sum() == 1 and (pool[y.argmax()] == x).all(-1).any()


def test_the_oracle_has_its_task_params_in_training_and_on_new_tasks():
    settings = small("sinusoids", "oracle")
    assert (model(settings).inputs, model(settings).outputs) == (3, 1)
    shown, plain = (sampler(each)(np.random.default_rng(1)) for each in (settings, small("sinusoids", "maml")))
    np.testing.assert_array_equal(shown.x_support, with_task_params(plain).x_support)
    batch = new_tasks(settings, 2, 3)
    begun = adaptation_setup(settings, initialisation(settings), batch)
    np.testing.assert_array_equal(begun.batch.x_query, with_task_params(batch).x_query)


def test_scratch_cannot_be_trained_and_starts_at_the_initialisation():
    settings = small("sinusoids", "scratch")
    with pytest.raises(ValueError, match="scratch is not trained: choose one of maml"):
        gradient(settings)
    theta = model(settings).init(rng_for(settings.seed, "initialisation"))
    np.testing.assert_array_equal(initialisation(settings).flat, theta.flat)
    np.testing.assert_array_equal(theta.flat, initialisation(small("sinusoids", "maml")).flat)


# -- of whatever a method trains, its gradient is the derivative of its loss ------------------------------------------

OF_NO_LOSS = {"first-order", "reptile"}  # what they move theta along is the gradient of no loss
TRAINED = [method for method in methods.METHODS if method.gradient and method.name != "es"]  # whose gradient is a guess


def jittered(settings):
    """What the method trains, a little away from where it begins."""
    rng = np.random.default_rng(7)
    return initialisation(settings).map(lambda array: array * (1 + 0.1 * rng.standard_normal(array.shape)))


@pytest.mark.parametrize("method", TRAINED, ids=lambda method: method.name)
def test_the_gradient_of_a_method_is_the_derivative_of_its_loss(method):
    """By complex step, entry by entry, rates that are trained included."""
    family = tasks.named("sinusoids" if method.supports(tasks.named("sinusoids")) else "planes")
    more = {"steps": 3} if "steps" in {option.name for option in method.options} else {}
    if method.name == "imaml":  # held so closely that 25 steps are the end
        more = {"steps": 25, "strength": 1e3, "cg_steps": 50, "tolerance": 1e-14}
    inner_lr = 1e-3 if "strength" in more else 0.05
    settings = small(family.name, method.name, activation="tanh", dtype="float64", inner_lr=inner_lr, shots=3, **more)
    moves, trained = gradient(settings), jittered(settings)
    batch = sampler(settings)(np.random.default_rng(0))
    mine = moves(trained, batch, 9).gradient
    reference = gradient_by_entries(lambda at: np.asarray(moves(at, batch, 9).loss), trained)
    if method.name in OF_NO_LOSS:
        assert np.abs(mine.flat - reference.flat).max() > 1e-3 * np.abs(mine.flat).max()
    else:
        compare(method.name, mine, reference)


def test_reptile_goes_to_the_mean_of_where_gradient_descent_ends():
    settings = small("sinusoids", "reptile", steps=3, shots=4)
    theta, batch = initialisation(settings), sampler(settings)(np.random.default_rng(0))
    x, y = (np.concatenate([getattr(batch, f"{name}_{part}") for part in ("support", "query")], axis=1) for name in "xy")
    ends = [adapt(model(settings), theta, x[t:t + 1], y[t:t + 1], inner_lr=0.01, steps=3).task(0) for t in range(3)]
    found = gradient(settings)(theta, batch, 0)
    compare("gradient", found.gradient, theta - (ends[0] + ends[1] + ends[2]) / 3)
    losses = [model(settings).at(end, x[t:t + 1], y[t:t + 1]).loss[0] for t, end in enumerate(ends)]
    assert found.loss == pytest.approx(np.mean(losses))


def test_reptile_of_one_step_is_pretraining():
    one, joint = small("sinusoids", "reptile", steps=1), small("sinusoids", "pretraining")
    theta, batch = initialisation(one), sampler(one)(np.random.default_rng(0))
    compare("gradient", gradient(one)(theta, batch, 0).gradient, 0.01 * gradient(joint)(theta, batch, 0).gradient)


@pytest.mark.parametrize(("name", "moving"), [("anil", {"W3", "b3"}), ("boil", {"W1", "b1", "W2", "b2"})])
@pytest.mark.parametrize("family", ["sinusoids", "planes"])
def test_head_or_body_adapt_and_all_is_trained(family, name, moving):
    settings = small(family, name, inner_lr=0.3, dtype="float64")
    theta, batch = initialisation(settings), new_tasks(settings, 3, 2)
    assert all(array.any() for array in gradient(settings)(jittered(settings), batch, 0).gradient.values())
    begun = adaptation_setup(settings, theta, batch)
    adapted = adapt(begun.model, begun.theta, batch.x_support, batch.y_support, inner_lr=begun.inner_lr)
    assert {name for name in theta if (adapted[name] != theta[name]).any()} == moving


def test_the_head_is_the_last_layer_that_learns_in_any_network():
    assert head(RNN(1, 3, 2, 4)) == ["Wy", "by"] and body(RNN(1, 3, 2, 4)) == ["Wh", "bh"]
    cnn = CNN(8, 2, 2, 5)
    assert head(cnn) == ["W3", "b3"] and set(body(cnn)) == cnn.shapes.keys() - {"W3", "b3"}
    with pytest.raises(ValueError, match="no hidden layers, expected a body below the head: add a hidden layer"):
        body(MLP([1, 1]))


@pytest.mark.parametrize("name", ["meta-sgd", "lslr"])
def test_learned_rates_begin_at_the_inner_rate_and_are_used_on_new_tasks(name):
    settings = small("sinusoids", name, inner_lr=0.02)
    trained, batch = initialisation(settings), new_tasks(settings, 4, 3)
    begun, plain = adaptation_setup(settings, trained, batch), small("sinusoids", "maml", inner_lr=0.02)
    compare("theta", begun.theta, initialisation(plain))
    alike = begun.theta.map(lambda array: np.full_like(array, 0.02)) if name == "meta-sgd" else dict.fromkeys(begun.theta, 0.02)
    for rate, other in zip(begun.inner_lr.values(), alike.values(), strict=True):
        np.testing.assert_allclose(rate, other)
    mine, other = (gradient(each)(at, batch, 0) for each, at in ((settings, trained), (plain, begun.theta)))
    assert mine.loss == pytest.approx(other.loss)
    compare("gradient", Parameters({name: mine.gradient[name] for name in begun.theta}), other.gradient)


@pytest.mark.parametrize("name", ["meta-sgd", "lslr"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("outer_lr", [0.001, 0.02])
def test_a_step_of_adam_moves_theta_and_every_rate_by_the_outer_rate(name, dtype, outer_lr):
    settings = small("sinusoids", name, outer_lr=outer_lr, activation="tanh", dtype=dtype)
    trained, optimizer = initialisation(settings), Adam(settings.outer_lr)
    batch = sampler(settings)(np.random.default_rng(0))
    moved, _ = optimizer.step(trained, gradient(settings)(trained, batch, 0).gradient, optimizer.start(trained))
    before, after = (adaptation_setup(settings, at, batch) for at in (trained, moved))
    for name in before.theta:
        assert np.abs(after.theta[name] - before.theta[name]).max() == pytest.approx(outer_lr, rel=1e-3)
        assert np.abs(np.asarray(after.inner_lr[name]) - before.inner_lr[name]).max() == pytest.approx(outer_lr, rel=1e-3)


def test_the_weights_of_the_steps_sum_to_one_and_go_to_the_last():
    """As in the code of MAML++: from 1/K each, all but the last fall to .03/K."""
    np.testing.assert_allclose(step_weights(5, 0.0), [0.2] * 5)
    np.testing.assert_allclose(step_weights(5, 0.5), [0.1] * 4 + [0.6])
    for progress in (1.0, 7.0):
        np.testing.assert_allclose(step_weights(5, progress), [0.006] * 4 + [0.976])
    assert step_weights(1, 0.0) == step_weights(1, 9.0) == [1.0]
    assert all(sum(step_weights(steps, progress)) == pytest.approx(1) for steps in (2, 3, 7) for progress in (0, 0.3, 2))


@pytest.mark.parametrize("half_life", [0, 1, 5])
@pytest.mark.parametrize(("anneal", "dtype"), [(8, "float64"), (3, "float32")])
def test_annealing_ends_at_the_iteration_that_it_says_at_any_half_life(tmp_path, half_life, anneal, dtype):
    """The last loss of a run of n iterations has the weights of n - 1, at the theta of a run of as many."""
    changes = {"anneal": anneal, "half_life": half_life, "dtype": dtype}
    for done in (0, anneal // 2, anneal, anneal + 4):
        settings = small("sinusoids", "multi-step", iterations=done + 1, **changes)
        last = run(settings, tmp_path / f"{done}.npz", progress=False).losses[-1]
        theta, rng = initialisation(settings), rng_for(settings.seed, "training tasks")
        if done:
            before = run(replace(settings, iterations=done), tmp_path / f"{done}-before.npz", progress=False)
            theta, rng.bit_generator.state = before.theta, before.generator
        batch, net = sampler(settings)(rng), model(settings)
        losses = [meta_gradient(net, theta, batch, inner_lr=0.01, steps=k, first_order=True).loss for k in range(1, 6)]
        weights = [0.2 * max(1 - done / anneal, 0.03)] * 4
        assert last == pytest.approx(np.dot(losses, [*weights, 1 - sum(weights)]), rel=1e-4)


@pytest.mark.parametrize("family", tasks.FAMILIES, ids=lambda family: family.name)
def test_annealing_ends_within_the_training_that_each_family_has_by_default(family):
    settings = settings_for(family.name, "multi-step", **{"data": "x"} if "data" in options_of(family) else {})
    assert settings.options["anneal"] <= settings.iterations


@pytest.mark.parametrize("method", [each for each in methods.METHODS if each.gradient], ids=lambda each: each.name)
def test_a_run_trains_parameters_and_rates_and_nothing_else(method):
    family = next(each for each in tasks.FAMILIES if method.supports(each))
    settings = small(family.name, method.name)
    shapes = model(settings).shapes
    names = {name.removeprefix("rate ") for name in initialisation(settings)}
    assert names == shapes.keys()


@pytest.mark.parametrize("method", [each for each in methods.METHODS if each.gradient], ids=lambda each: each.name)
def test_every_method_is_trained_on_the_same_stream_of_tasks(method):
    """Several batches long; the oracle sees more of each, transfer other batches of the same classes."""
    if method.name == "transfer":
        pytest.skip("it is shown labelled examples, no tasks")
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    family = "sinusoids" if method.supports(tasks.named("sinusoids")) else "planes"
    for _ in range(3):
        plain, its = sampler(small(family, "maml"))(one), sampler(small(family, method.name))(other)
        np.testing.assert_array_equal(plain.x_query[..., 0], its.x_query[..., 0])
        np.testing.assert_array_equal(plain.y_support, its.y_support)


def test_a_query_loss_after_one_step_is_maml():
    one, plain = small("sinusoids", "multi-step", steps=1), small("sinusoids", "maml")
    batch = sampler(one)(np.random.default_rng(0))
    mine, other = gradient(one)(initialisation(one), batch, 0), gradient(plain)(initialisation(plain), batch, 0)
    assert mine.loss == pytest.approx(other.loss)
    compare("gradient", Parameters({name: mine.gradient[name] for name in other.gradient}), other.gradient)


def test_new_tasks_have_the_proximal_term_of_training():
    settings = small("sinusoids", "imaml", strength=50.0)
    theta, batch = initialisation(settings), new_tasks(settings, 3, 2)
    far = []
    for each in (settings, replace(settings, method="maml", options={"steps": 1})):
        begun = adaptation_setup(each, theta, batch)
        adapted = adapt(begun.model, begun.theta, batch.x_support, batch.y_support, inner_lr=0.01, steps=10)
        far.append(np.abs((adapted - theta).flat).max())
    assert far[0] < 0.9 * far[1]
