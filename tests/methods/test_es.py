"""Evolution strategies: eq. 26 is exact for quadratic losses, hill climbing never raises the loss, a run can be resumed."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from strategies import few, linear_batch, seeds

from tinymaml import MLP, Parameters, adapt, meta_gradient, methods
from tinymaml.check.derivatives import basis
from tinymaml.check.golden import Linear
from tinymaml.experiment import checkpoint
from tinymaml.experiment.options import settings_for
from tinymaml.experiment.run import run
from tinymaml.methods.es import BlackBoxModel, antithetic_pairs, es_gradient, es_meta_gradient, perturbations, where
from tinymaml.rl.exact import LinearPolicy
from tinymaml.rl.sampled import SampledPolicy
from tinymaml.tasks import Navigation, Sinusoids
from tinymaml.training.evaluation import evaluate


@few
@given(seeds)
def test_along_every_axis_eq_26_is_the_gradient_of_a_quadratic_loss(seed):
    """A difference of a parabola over both sides is exact, and P directions sqrt(P) times the axes are a whole basis."""
    rng, batch = np.random.default_rng(seed), linear_batch(seed)
    model, own = Linear(3), Parameters(w=rng.standard_normal((3, 3, 1)))
    e = (3**0.5 * basis(own.task(0))).map(lambda array: array[:, None])
    sides = antithetic_pairs(own, e, 0.7, 3)
    assert sides["w"].shape == (18, 3, 1)
    np.testing.assert_allclose(sides["w"][0], own["w"][0] + 0.7 * e["w"][0, 0])
    np.testing.assert_allclose(sides["w"][9 + 3 + 1], own["w"][1] - 0.7 * e["w"][1, 0])
    copies = batch.repeat(6)
    losses = model.at(sides, copies.x_support, copies.y_support).loss.reshape(2, 3, 3)
    found, exact = es_gradient(e, losses, 0.7), model.at(own, batch.x_support, batch.y_support).gradient
    np.testing.assert_allclose(found["w"], exact["w"], atol=1e-11)


def cosine(one, other):
    return one.dot(other) / np.sqrt(one.dot(one) * other.dot(other))


@pytest.mark.parametrize("seed", range(3))
def test_the_estimate_comes_near_the_exact_meta_gradient(seed):
    """Of n pairs in P dimensions the cosine is about sqrt(n / (n + P)): .99 with 300 in 6 (seeds 0..9: .982 to .995)."""
    rng, policy = np.random.default_rng(seed), LinearPolicy(horizon=5)
    theta, batch = policy.init(rng), Navigation(horizon=5).sample(rng, tasks=5)
    exact = meta_gradient(policy, theta, batch, inner_lr=0.1).gradient
    found = es_meta_gradient(policy, theta, batch, rng, inner_lr=0.1, pairs=300, sigma=1e-3)
    assert cosine(found.gradient, exact) > 0.97
    assert found.gradient.dot(exact) == pytest.approx(exact.dot(exact), rel=0.3)
    assert found.loss == pytest.approx(meta_gradient(policy, theta, batch, inner_lr=0.1).loss, rel=1e-3)
    far = {"inner_lr": 0.1, "steps": 3}
    found = es_meta_gradient(policy, theta, batch, rng, **far, pairs=1, sigma=1e-6)
    assert found.loss == pytest.approx(meta_gradient(policy, theta, batch, **far).loss, rel=1e-4)
    # normalised, it points the same way and does not know the scale of the loss
    same = es_meta_gradient(policy, theta, batch, np.random.default_rng(1), inner_lr=0.1, pairs=30, sigma=1e-3, normalised=True)
    plain = es_meta_gradient(policy, theta, batch, np.random.default_rng(1), inner_lr=0.1, pairs=30, sigma=1e-3)
    assert cosine(same.gradient, plain.gradient) == pytest.approx(1)


class Plateau:
    """A loss that is the same everywhere."""

    shapes = {"w": (2, 3)}  # noqa: RUF012

    def at(self, theta, x, y):
        return type("Flat", (), {"loss": np.ones(len(x)), "gradient": theta * 0.0})()


def test_on_a_plateau_nothing_moves():
    batch, theta = linear_batch(), Parameters(w=np.ones((2, 3)))
    for blind in (BlackBoxModel(Plateau()), BlackBoxModel(Plateau(), climb=True)):
        found = es_meta_gradient(blind, theta, batch, np.random.default_rng(0), inner_lr=1.0, normalised=True)
        assert not found.gradient.flat.any()
        assert not blind.at(theta, batch.x_support, batch.y_support).gradient.flat.any()


@pytest.mark.parametrize("climb", [False, True])
def test_an_estimate_is_of_the_arrays_as_they_were(climb):
    rng, policy = np.random.default_rng(0), LinearPolicy(horizon=3)
    theta, batch = policy.init(rng), Navigation(horizon=3).sample(rng, tasks=2, shots=3)
    x, y = batch.x_support.copy(), batch.y_support.copy()
    seen = lambda: BlackBoxModel(policy, 5, 0.1, climb).at(theta, x, y)
    before, here = seen().gradient, seen()
    for array in (*theta.values(), x, y):
        array[...] = 0.125
    np.testing.assert_array_equal(here.gradient.flat, before.flat)


@pytest.mark.parametrize("climb", [False, True])
def test_a_black_box_model_is_adapted_by_adapt(climb):
    """Seeds 0 to 9: after three steps the loss of every task is below 0.7 of what it was."""
    rng, policy = np.random.default_rng(0), LinearPolicy(horizon=5)
    theta, batch = policy.init(rng), Navigation(horizon=5, start_range=0.01).sample(rng, tasks=6)
    blind, x, y = BlackBoxModel(policy, 20, 0.1, climb), batch.x_support, batch.y_support + 0.3
    losses = [blind.at(theta, x, y).loss]
    for steps in (1, 3):
        there = adapt(blind, theta, x, y, inner_lr=1.0 if climb else 0.1, steps=steps)
        losses.append(blind.at(there, x, y).loss)
    assert (losses[2] < 0.9 * losses[0]).all()
    if climb:
        assert (losses[1] <= losses[0]).all() and (losses[2] <= losses[1]).all()
    here = blind.at(theta, x, y)
    own = theta.map(lambda array: np.stack([array] * 6))
    np.testing.assert_array_equal(here.gradient.flat, blind.at(own, x, y).gradient.flat)
    np.testing.assert_allclose(here.cost, policy.at(theta, x, y).cost)
    with pytest.raises(ValueError, match="a black-box model has no Hessian: use first_order"):
        here.hvp(theta)


def test_climbing_goes_on_from_the_best_so_far():
    policy, batch = LinearPolicy(horizon=5), Navigation(horizon=5).sample(np.random.default_rng(0), tasks=1)
    x, y, theta = batch.x_support, batch.y_support, policy.init(np.random.default_rng(1))
    here = BlackBoxModel(policy, 30, 0.2, climb=True, seed=4).at(theta, x, y)
    e = here._perturbations(theta.map(lambda array: array[None]))
    there, least = theta, policy.at(theta, x, y).loss[0]
    for i in range(30):  # the same for one task, step by step
        candidate = there + 0.2 * e.map(lambda array, i=i: array[i, 0])
        if (loss := policy.at(candidate, x, y).loss[0]) < least:
            there, least = candidate, loss
    np.testing.assert_allclose((theta - here.gradient).task(0).flat, there.flat, atol=1e-14)


DIRECTIONS = [(inside, seed) for inside in (False, True) for seed in range(3)]


@pytest.mark.parametrize(("climb", "seed"), DIRECTIONS)
def test_every_inner_step_tries_new_directions(climb, seed):
    """Also where no try improves and theta stays where it is: on a plateau, and at an optimum, where climbing stands still."""
    theta, batch = Parameters(w=np.zeros((2, 3))), linear_batch(seed)
    tried = []

    class Flatten(Plateau):
        def at(self, theta, x, y):
            tried.append(theta["w"])
            return super().at(theta, x, y)

    adapt(BlackBoxModel(Flatten(), 4, 0.1, climb, seed), theta, batch.x_support, batch.y_support, inner_lr=1.0, steps=3)
    points = np.concatenate([each.reshape(-1, 6) for each in tried if each.ndim == 3])
    moved = points[np.abs(points).max(1) > 0]
    assert len(moved) == 3 * len(batch) * 4 * (1 if climb else 2)
    assert len(np.unique(moved.round(12), axis=0)) == len(moved)  # over steps, tasks and tries no two are the same


@pytest.mark.parametrize(("climb", "seed"), DIRECTIONS)
def test_the_perturbations_of_a_task_do_not_depend_on_other_tasks(climb, seed):
    """The numbers of a task depend on no other task, on no order, and not on how many are evaluated at a time."""
    rng, policy = np.random.default_rng(seed), LinearPolicy(horizon=5)
    theta, batch = policy.init(rng), Navigation(horizon=5).sample(rng, tasks=7)
    blind, given = BlackBoxModel(policy, 5, 0.1, climb, seed), {"inner_lr": 1.0 if climb else 0.05, "steps": 3}
    whole = evaluate(blind, theta, batch, **given).values
    for chunk in (1, 3, 6, 7):
        np.testing.assert_allclose(evaluate(blind, theta, batch, chunk=chunk, **given).values, whole, rtol=1e-12)
    np.testing.assert_allclose(evaluate(blind, theta, batch[2:5], **given).values, whole[:, 2:5], rtol=1e-12)
    there = adapt(blind, theta, batch.x_support[::-1], batch.y_support[::-1], **given)  # as `evaluate` counts steps, so does it
    np.testing.assert_allclose(policy.at(there, batch.x_query[::-1], batch.y_query[::-1]).loss[::-1], whole[-1], rtol=1e-12)
    first = blind.at(theta, batch.x_support, batch.y_support).gradient.dense()
    assert len({first.task(t).flat.tobytes() for t in range(7)}) == 7
    other = evaluate(replace(blind, seed=seed + 1), theta, batch, **given).values
    assert (other[1:] != whole[1:]).all(1).all()


def test_first_order_maml_of_several_steps_uses_the_perturbations_of_adaptation():
    rng, policy = np.random.default_rng(0), LinearPolicy(horizon=5)
    theta, batch, blind = policy.init(rng), Navigation(horizon=5).sample(rng, tasks=3), BlackBoxModel(policy, 5, 0.1)
    meta = meta_gradient(blind, theta, batch, inner_lr=0.05, steps=3, first_order=True)
    np.testing.assert_allclose(meta.losses, evaluate(blind, theta, batch, inner_lr=0.05, steps=3).values[-1], rtol=1e-12)


def test_hill_climbing_keeps_the_better_point_of_each_task():
    one, other = (Parameters(w=np.full((3, 2, 1), value)) for value in (1.0, 2.0))
    np.testing.assert_array_equal(where(np.array([True, False, True]), one, other)["w"][:, 0, 0], [1, 2, 1])


def test_directions_are_normal_and_of_the_precision_of_theta():
    theta = MLP([1, 40, 1]).init(np.random.default_rng(0), np.float32)
    e = perturbations(theta, np.random.default_rng(0), 200)
    assert e.dtype == np.float32 and perturbations(theta, np.random.default_rng(0), 3, 2)["b1"].shape == (3, 2, 1, 40)
    assert e.dtype == np.float32 and e["W1"].shape == (200, 1, 40)
    assert abs(e.flat.mean()) < 0.03 and e.flat.std() == pytest.approx(1, abs=0.03)  # of 24 200 numbers: standard errors of .006


class Scaled:
    """A policy whose loss is a thousand times as large."""

    def __init__(self, policy):
        self.policy, self.shapes = policy, policy.shapes

    def at(self, theta, x, y):
        return type("Larger", (), {"loss": 1000 * self.policy.at(theta, x, y).loss})()


def test_the_noise_of_es_is_of_the_seed_and_the_iteration_and_its_length_not_of_the_scale_of_the_loss():
    es, settings = methods.named("es").gradient, settings_for("navigation", "es", inside="climb", pairs=3, tries=2)
    policy = LinearPolicy()
    theta, batch = policy.init(np.random.default_rng(0)), Navigation().sample(np.random.default_rng(1), tasks=3)
    along = lambda model, iteration, **more: es(model, replace(settings, **more))(theta, batch, iteration).gradient.flat
    first = along(policy, 4)
    np.testing.assert_array_equal(first, along(policy, 4))
    np.testing.assert_allclose(first, along(Scaled(policy), 4), rtol=1e-9)
    assert (first != along(policy, 5)).all() and (first != along(policy, 4, seed=1)).all()


@pytest.mark.parametrize("inside", ["gradient", "es", "climb"])
def test_a_run_that_is_resumed_is_bit_for_bit_the_run_that_was_not(tmp_path, inside):
    sizes = {"tasks": 2, "queries": 2, "shots": 2, "pairs": 3, "inside": inside} | ({} if inside == "gradient" else {"tries": 2})
    one = run(settings_for("navigation", "es", iterations=6, **sizes), tmp_path / "one.npz", progress=False)
    run(settings_for("navigation", "es", iterations=3, **sizes), tmp_path / "two.npz", progress=False)
    two = run(settings_for("navigation", "es", iterations=6, **sizes), tmp_path / "two.npz", resume=True, progress=False)
    np.testing.assert_array_equal(one.theta.flat, two.theta.flat)
    np.testing.assert_array_equal(one.losses, two.losses)
    assert len(set(one.losses)) == 6 and checkpoint.load(tmp_path / "two.npz")[1]["options"]["inside"] == inside


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: estimate(pairs=0), ValueError, "pairs is 0, expected at least 1"),
        (lambda: estimate(sigma=0), ValueError, "sigma is 0, expected a finite number above zero"),
        (lambda: BlackBoxModel(None), TypeError, "model is None, expected a model with a method `at`"),
        (lambda: BlackBoxModel(MLP([1, 1]), tries=0), ValueError, "tries is 0, expected at least 1"),
        (lambda: BlackBoxModel(MLP([1, 1]), climb=1), TypeError, "climb is 1, expected True or False"),
        (lambda: settings_for("sinusoids", "es", inside="magic"), ValueError, "unknown inside 'magic': choose one of gradient"),
        (lambda: settings_for("sinusoids", "maml", pairs=3), ValueError, "--pairs is for es, not for"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(call, error, sentence):
    with pytest.raises(error, match=f"^{sentence}"):
        call()


def estimate(**options):
    model = MLP([1, 1])
    theta = model.init(np.random.default_rng(0))
    return es_meta_gradient(model, theta, Sinusoids().sample(np.random.default_rng(0)),
                         np.random.default_rng(0), inner_lr=0.1, **options)  # fmt: skip


# -- the script ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def script(monkeypatch):
    """The script, imported as it imports its siblings when it is run."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "bench"))
    import evolution

    yield evolution
    sys.modules.pop("evolution", None)


def test_the_angle_to_the_exact_meta_gradient_is_that_of_random_directions(script, capsys):
    """About sqrt(n / (n + P)), and P is 22 (seeds 0..9, the mean of 10 batches: off by 0.04 at most)."""
    found = script.cosines([30, 300], 10, width=3)
    np.testing.assert_allclose(found.mean(1), [(n / (n + 22)) ** 0.5 for n in (30, 300)], atol=0.1)
    assert script.main(["cosine", "--decades", "1", "--repeats", "1"]) == 0
    assert "sqrt(n / (n + 1761))" in capsys.readouterr().out


def test_four_corners_are_flat_at_the_start_and_the_tables_come_out(script, capsys, tmp_path):
    batch = script.tasks_of("corners", 4, 4, np.random.default_rng(0))
    policy = SampledPolicy(MLP([2, 2]), 4, 0.02, max_step=0.1, cost="saturated", baseline=None)
    still = Parameters({name: np.zeros(shape) for name, shape in policy.shapes.items()})
    here = policy.at(still, batch.x_query, batch.y_query)
    assert (here.c == 4).all() and not BlackBoxModel(policy).at(still, batch.x_query, batch.y_query).gradient.flat.any()
    small = ["--iterations", "2", "--pairs", "2", "--tries", "2", "--horizon", "4", "--tests", "4", "--out", str(tmp_path)]
    for part in ("navigation", "corners"):
        assert script.main([part, *small]) == 0
        rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()]
        assert rows[2:5] == ["none", "evolution", "hill climbing"] and (tmp_path / f"{part}.png").stat().st_size > 1000
