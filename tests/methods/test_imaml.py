"""The implicit gradient: exact after convergence, with a diagnosis otherwise."""

import numpy as np
import pytest
from hypothesis import given
from strategies import SMOOTH, few, problems

from tinymaml import MLP, Parameters
from tinymaml.check import compare, relative_error
from tinymaml.check.golden import Linear
from tinymaml.check.references import gradient_through
from tinymaml.maml import adapt
from tinymaml.methods.imaml import Proximal, conjugate_gradients, implicit_gradient
from tinymaml.tasks import Sinusoids, TaskBatch

# -- linear regression: 20 numbers, 10 examples, so that H has rank 10 and theta* is a formula ------------------------

D, N, SPRING = 20, 10, 2.0


def regression(seed=0, tasks=3):
    """A model, theta, tasks, the rate at which the stiffest direction ends at once, and the true meta-gradient."""
    rng = np.random.default_rng(seed)
    batch = TaskBatch(*(rng.standard_normal((tasks, N, width)) for width in (D, 1, D, 1)))
    theta = Linear(D).init(rng)
    true, stiffest = 0, 0
    for X, y, X_q, y_q in zip(batch.x_support, batch.y_support, batch.x_query, batch.y_query, strict=True):
        H = X.T @ X / N + SPRING * np.eye(D)
        star = np.linalg.solve(H, X.T @ y / N + SPRING * theta["w"])
        true = true + SPRING * np.linalg.solve(H, X_q.T @ (X_q @ star - y_q) / N) / tasks
        stiffest = max(stiffest, np.linalg.norm(H, 2))
    return Linear(D), theta, batch, 1 / stiffest, Parameters(w=true)


def solved(cg_steps, steps=1000, seed=0, **more):
    model, theta, batch, alpha, true = regression(seed)
    found = implicit_gradient(
        model, theta, batch, strength=SPRING, inner_lr=alpha, steps=steps, cg_steps=cg_steps, tolerance=0.0, **more
    )
    return found, relative_error(found.gradient, true)


@pytest.mark.parametrize("seed", range(3))
def test_conjugate_gradients_are_exact_after_rank_plus_one_steps(seed):
    errors = [solved(steps, seed=seed)[1] for steps in (1, 2, 5, N, N + 1, 2 * N)]
    assert errors[0] > errors[1] > errors[2] > errors[3] > 1e-12 > max(errors[4:])


@pytest.mark.parametrize("seed", range(3))
def test_the_unrolled_gradient_converges_to_the_implicit_one(seed):
    """Through K steps of gradient descent on the same loss, as MAML goes, K from 1 to 200."""
    model, theta, batch, alpha, true = regression(seed)

    def unrolled(K):
        def losses(thetas, batch):
            held = Proximal(model, thetas, SPRING)
            star = adapt(held, thetas, batch.x_support, batch.y_support, inner_lr=alpha, steps=K)
            return model.at(star, batch.x_query, batch.y_query).loss

        return relative_error(gradient_through(losses, theta, batch), true)

    errors = [unrolled(K) for K in (1, 5, 16, 50, 200)]
    assert errors == sorted(errors, reverse=True) and errors[0] > 0.05 and errors[-1] < 1e-8


def test_it_is_as_accurate_as_the_inner_loop_and_reports_the_residual():
    errors = []
    for steps in (1, 5, 25):
        found, error = solved(2 * N, steps=steps)
        errors.append(error)
        assert (found.residual < 1e-12).all() and not found.negative_curvature.any()
        assert (found.diagnosis == "") == (found.inner_residual <= 0.1).all()
    assert errors[0] > errors[1] > errors[2] > 1e-12
    assert "the inner loop has not converged in 3 of 3 tasks" in solved(5, steps=1)[0].diagnosis


def test_damping_changes_the_result_and_the_residual_is_of_the_damped_system():
    found, error = solved(2 * N, damping=0.5)
    assert (found.residual < 1e-12).all() and error > 0.05


def test_a_loose_tolerance_stops_early():
    model, theta, batch, alpha, _ = regression()
    calls = []

    class Counting:
        def at(self, *given):
            here = model.at(*given)
            hvp = here.hvp
            here.hvp = lambda v: calls.append(1) or hvp(v)
            return here

    for tolerance, most in ((0.9, 2), (0.0, 21)):
        calls.clear()
        given = {"strength": SPRING, "inner_lr": alpha, "steps": 100, "cg_steps": 20, "tolerance": tolerance}
        found = implicit_gradient(Counting(), theta, batch, **given)
        assert len(calls) == most and (found.residual <= max(tolerance, 1e-9)).all()


# -- on networks -------------------------------------------------------------------------------------------------


@few
@given(problems(activation=SMOOTH))
def test_on_any_smooth_network_it_is_the_derivative_through_a_loop_that_has_converged(problem):
    given = {"strength": 1e4, "inner_lr": 1e-4, "steps": 25}  # across a kink of relu a loop may go to and fro for ever

    def losses(thetas, batch):
        held = Proximal(problem.model, thetas, given["strength"])
        star = adapt(held, thetas, batch.x_support, batch.y_support, inner_lr=given["inner_lr"], steps=given["steps"])
        return problem.model.at(star, batch.x_query, batch.y_query).loss

    found = implicit_gradient(problem.model, problem.theta, problem.batch, **given, cg_steps=50, tolerance=1e-14)
    compare("implicit gradient", found.gradient, gradient_through(losses, problem.theta, problem.batch))
    assert found.diagnosis == ""


def test_an_inner_loop_that_has_not_converged_on_sinusoids_is_diagnosed():
    """At theta* there is no negative curvature; sixteen steps end far from it in some tasks of a batch: seeds 0..9 tried."""
    model, batch = MLP([1, 40, 40, 1]), Sinusoids().sample(np.random.default_rng(0), tasks=25, shots=10)
    theta = model.init(np.random.default_rng(0))
    found = implicit_gradient(model, theta, batch, strength=2.0, inner_lr=0.01, steps=16)
    assert found.negative_curvature.any() and (found.inner_residual > 0.1).any()
    assert "the inner loop has not converged" in found.diagnosis and "conjugate gradients met negative" in found.diagnosis


# -- the solver alone --------------------------------------------------------------------------------------------


def test_systems_are_solved_side_by_side_as_they_are_alone():
    rng = np.random.default_rng(0)
    halves, b = rng.standard_normal((5, 6, 6)), rng.standard_normal((5, 6))
    A = halves @ halves.swapaxes(1, 2) + np.eye(6)
    b[3] = 0
    product = lambda A: lambda p: (A @ p[:, :, None])[:, :, 0]
    for steps in (1, 3, 40):
        together = conjugate_gradients(product(A), b, steps=steps, tolerance=1e-13)
        for t in range(5):
            alone = conjugate_gradients(product(A[t:t + 1]), b[t:t + 1], steps=steps, tolerance=1e-13)
            np.testing.assert_allclose(together.x[t], alone.x[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(together.x, np.linalg.solve(A, b[:, :, None])[:, :, 0], rtol=1e-9)
    assert (together.residual < 1e-12).all() and not together.x[3].any()


def test_negative_curvature_stops_a_system_and_no_other():
    A = np.stack([np.diag([2.0, 3.0]), np.diag([1.0, -1.0]), np.diag([-1.0, -2.0])])
    b = np.array([[1.0, 1.0], [2.0, 1.0], [1.0, 1.0]])
    found = conjugate_gradients(lambda p: (A @ p[:, :, None])[:, :, 0], b, steps=5)
    assert found.negative_curvature.tolist() == [False, True, True]
    np.testing.assert_allclose(found.x[0], [1 / 2, 1 / 3])
    np.testing.assert_allclose(found.x[2], b[2])  # at the first step: the right-hand side itself
    assert np.isfinite(found.x).all() and found.residual[0] < 1e-12 < found.residual[1]


def test_the_proximal_term_is_in_the_gradient_and_not_in_the_loss():
    rng = np.random.default_rng(0)
    model, batch = MLP([1, 3, 1], "tanh"), Sinusoids().sample(rng, tasks=2, shots=3)
    theta, away, v = (model.init(rng) for _ in range(3))
    plain = model.at(away, batch.x_support, batch.y_support)
    held = Proximal(model, theta, 3.0).at(away, batch.x_support, batch.y_support)
    np.testing.assert_array_equal(held.loss, plain.loss)
    compare("gradient", held.gradient, plain.gradient + 3.0 * (away - theta))
    compare("hvp", held.hvp(v), plain.hvp(v) + 3.0 * v)
