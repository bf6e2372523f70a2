"""The derivation checks: right answers pass, and every known mistake, made on purpose, is named."""

import numpy as np
import pytest
from hypothesis import given
from strategies import few, linear_batch, problems

from tinymaml import MLP, Parameters, meta_gradient
from tinymaml.check import (
    Derivation,
    MetaDerivation,
    Problem,
    WrongAnswer,
    compare,
    loss_gradient,
    meta_gradient_by_complex_step,
    mistakes,
    relative_error,
)
from tinymaml.check.golden import Linear
from tinymaml.check.meta_derivation import MISTAKES, outer_loop
from tinymaml.nn.chain import Chain
from tinymaml.nn.layers import Affine, Elementwise
from tinymaml.nn.network import Network
from tinymaml.tasks import Sinusoids, TaskBatch


def derivation_of(problem: Problem) -> Derivation:
    b = problem.batch
    return Derivation(problem.model, problem.theta, b.x_support[0], b.y_support[0], v=problem.v)


@few
@given(problems())
def test_every_intermediate_of_the_library_is_right(problem):
    derivation = derivation_of(problem)
    here = problem.model.at(problem.theta, problem.batch.x_support[0], problem.batch.y_support[0])
    along = here.along(problem.v)
    for name in derivation.names:
        kind, _, layer = name.rstrip("]").partition("[")
        value = getattr(along if name[0] in "Rh" else here, kind)
        assert derivation.check(name, value[int(layer)] if layer else value).endswith("right")
        if layer:
            np.testing.assert_array_equal((along if name[0] == "R" else here).quantities[name], value[int(layer)])


@few
@given(problems(depth=2, tasks=2))
def test_every_quantity_of_the_outer_loop_is_right(problem):
    derivation = MetaDerivation(problem.model, problem.theta, problem.batch, inner_lr=problem.inner_lr, steps=problem.steps)
    meta = meta_gradient(problem.model, problem.theta, problem.batch, inner_lr=problem.inner_lr, steps=problem.steps)
    for name in ("loss", "gradient", "first_order", "curvature"):
        derivation.check(name, getattr(meta, name))
    parts = outer_loop(problem.model, problem.theta, problem.batch, problem.inner_lr, problem.steps)
    for k in range(problem.steps + 1):
        derivation.check(f"u[{k}]", parts[f"u[{k}]"])
        if k:
            derivation.check(f"theta[{k}]", parts[f"theta[{k}]"])


# -- a student's own two-layer network, line by line ----------------------------------------------------------


def by_hand(network: Problem) -> dict:
    """Eqs. 1-8 of a d-h-d' tanh network with squared error, as a student would write them in a notebook."""
    x, y, n = network.batch.x_support[0], network.batch.y_support[0], network.shots
    W1, b1, W2, b2 = network.theta.values()
    V1, c1, V2, c2 = network.v.values()
    q = {"z[1]": x @ W1 + b1}
    q["a[1]"] = a1 = np.tanh(q["z[1]"])
    q["z[2]"] = a1 @ W2 + b2
    q["loss"] = ((q["z[2]"] - y) ** 2).sum() / n
    q["D[2]"] = D2 = 2 * (q["z[2]"] - y) / n
    q["dW[2]"], q["db[2]"] = a1.T @ D2, D2.sum(0, keepdims=True)
    q["da[1]"] = da1 = D2 @ W2.T
    q["D[1]"] = D1 = da1 * (1 - a1**2)
    q["dW[1]"], q["db[1]"] = x.T @ D1, D1.sum(0, keepdims=True)
    q["Rz[1]"] = Rz1 = x @ V1 + c1
    q["Ra[1]"] = Ra1 = (1 - a1**2) * Rz1
    q["Rz[2]"] = Ra1 @ W2 + a1 @ V2 + c2
    q["RD[2]"] = RD2 = 2 * q["Rz[2]"] / n
    q["RdW[2]"], q["Rdb[2]"] = a1.T @ RD2 + Ra1.T @ D2, RD2.sum(0, keepdims=True)
    q["Rda[1]"] = RD2 @ W2.T + D2 @ V2.T
    q["RD[1]"] = q["Rda[1]"] * (1 - a1**2) + da1 * (-2 * a1 * (1 - a1**2)) * Rz1
    q["RdW[1]"], q["Rdb[1]"] = x.T @ q["RD[1]"], q["RD[1]"].sum(0, keepdims=True)
    return q


NETWORK = Problem((3, 4, 4), shots=5, queries=3, steps=2, inner_lr=0.07)
STUDENT, Q = derivation_of(NETWORK), by_hand(NETWORK)
S1 = 1 - Q["a[1]"] ** 2
X, Y, W2, V2 = NETWORK.batch.x_support[0], NETWORK.batch.y_support[0], NETWORK.theta["W2"], NETWORK.v["W2"]


@pytest.mark.parametrize("name", Q)
def test_what_a_student_derives_is_right(name, capsys):
    line = STUDENT.check(name, Q[name])
    assert capsys.readouterr().out == line + "\n"
    assert line.startswith(name)
    assert line.endswith("right")


@pytest.mark.parametrize(
    ("name", "wrong", "diagnosis"),
    [
        ("z[1]", X @ NETWORK.theta["W1"], "the bias of eq. 1 is missing"),
        ("a[1]", Q["z[1]"], "the activation of eq. 1 is missing"),
        ("loss", 5 * Q["loss"], "a factor 1/n is missing"),
        ("loss", Q["loss"] / 2, "a factor 2 is missing: the squared error of eq. 9 has no 1/2"),
        ("loss", Q["loss"] / 4, "divided by the number of outputs"),
        ("D[2]", 5 * Q["D[2]"], "a factor 1/n is missing"),
        ("D[2]", Q["D[2]"] / 5, "divided by n twice"),
        ("D[2]", Q["D[2]"] / 2, "a factor 2 is missing"),
        ("D[2]", -Q["D[2]"], "the sign is wrong: eqs. 9 and 10 have the prediction minus the target"),
        ("D[2]", 2 * Q["z[2]"] / 5, "the target is missing"),
        ("D[2]", Q["D[2]"].T, "transposed"),
        ("da[1]", Q["D[2]"] @ W2, "W is not transposed in eq. 4"),
        ("da[1]", Q["D[1]"], "this is D[1], not da[1]"),
        ("D[1]", Q["da[1]"], "s' is missing in eq. 4"),
        ("D[1]", Q["da[1]"] * (1 - np.tanh(Q["a[1]"]) ** 2), "s' is taken at a, not at z"),
        ("D[1]", Q["da[1]"] * Q["a[1]"], "s stands where s' belongs"),
        ("D[1]", 5 * Q["D[1]"], "a factor 1/n is missing"),
        ("dW[1]", Q["dW[1]"].T, "transposed"),
        ("dW[2]", Q["dW[2]"].T, "it is transposed"),
        ("dW[2]", Q["z[1]"].T @ Q["D[2]"], "z stands where a belongs"),
        ("dW[1]", X.T @ Q["da[1]"], "s' is missing in eq. 4"),
        ("db[2]", Q["D[2]"].mean(0, keepdims=True), "this is the mean of D over the examples"),
        ("db[2]", Q["D[2]"].sum(0), "keep the axis"),
        ("db[2]", Q["D[2]"], "summed over axis 0"),
        ("Rz[2]", Q["Ra[1]"] @ W2 + NETWORK.v["b2"], "the term a V of eq. 5 is missing"),
        ("Rz[2]", Q["a[1]"] @ V2 + NETWORK.v["b2"], "the term Ra W of eq. 5 is missing"),
        ("Rz[1]", X @ NETWORK.v["W1"], "the direction of the bias, c, is missing"),
        ("Ra[1]", Q["Rz[1]"], "s' is missing in Ra (eq. 5)"),
        ("RD[2]", 5 * Q["RD[2]"], "a factor 1/n is missing"),
        ("RD[2]", Q["Rz[2]"] / 5, "the second derivative of the loss is missing in eq. 6"),
        ("RdW[2]", Q["a[1]"].T @ Q["RD[2]"], "the term Ra^T D of eq. 7 is missing"),
        ("RdW[2]", Q["Ra[1]"].T @ Q["D[2]"], "the term a^T RD of eq. 7 is missing"),
        ("RdW[2]", Q["RdW[2]"].T, "it is transposed"),
        ("Rda[1]", Q["RD[2]"] @ W2.T, "the V-term of eq. 8, D V^T, is missing"),
        ("RD[1]", Q["Rda[1]"] * S1, "s'' is missing in eq. 8"),
        ("RD[1]", Q["Rda[1]"] * S1 + Q["da[1]"] * S1 * Q["Rz[1]"], "s' stands where s'' belongs"),
        ("RD[1]", Q["RD[1]"] - Q["D[2]"] @ V2.T * S1, "the V-term of eq. 8, D V^T, is missing"),
        ("RD[1]", Q["RD[1]"] - Q["RD[2]"] @ W2.T * S1, "the term RD W^T of eq. 8 is missing"),
        ("RD[1]", Q["RD[1]"] + Q["Rda[1]"] * (1 - S1), "s' is missing in eq. 8"),
        ("RD[1]", Q["RD[1]"] + Q["D[2]"] @ (V2 - V2.T) * S1, "V is not transposed in eq. 8"),
        ("RD[1]", -Q["RD[1]"], "the sign is wrong"),
        ("RdW[1]", X.T @ (Q["Rda[1]"] * S1), "s'' is missing in eq. 8"),
        ("RD[1]", 5 * Q["Rda[1]"] * S1, "the mean over the examples (eq. 2); and s'' is missing in eq. 8"),
        ("RD[1]", 0.3 * Q["RD[1]"], "every number is 0.3 times the right one"),
    ],
)
def test_a_mistake_made_on_purpose_is_named(name, wrong, diagnosis):
    with pytest.raises(WrongAnswer) as caught:
        STUDENT.check(name, wrong)
    assert diagnosis in caught.value.diagnosis
    assert diagnosis in str(caught.value)
    assert caught.value.name == name
    assert caught.value.error > 1e-4


@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
@pytest.mark.parametrize("key", mistakes.MISTAKES)
def test_every_mistake_in_the_list_changes_something_and_gets_its_own_name(key, loss):
    """Unless it cannot be made with this loss."""
    mistake = mistakes.MISTAKES[key]
    derivation = derivation_of(Problem((3, 4, 4), loss=loss, shots=5))
    at = (derivation.theta, derivation.x, derivation.y, derivation.v)
    wrong, right = mistakes.with_mistakes(derivation.model, [key]), derivation.model
    value = lambda name, network: mistakes.quantity(name, network, *at)
    changed = [name for name in derivation.names if relative_error(value(name, wrong), value(name, right)) > 1e-3]
    assert bool(changed) == (mistake.loss in ("", loss))
    for name in changed[:1] + changed[-1:]:
        with pytest.raises(WrongAnswer) as caught:
            derivation.check(name, value(name, wrong))
        assert mistake.sentence in caught.value.diagnosis


def test_a_mistake_at_one_layer_leaves_the_others_right():
    deep = Problem((2, 3, 3, 2), shots=4)
    at = (deep.theta, deep.batch.x_support[0], deep.batch.y_support[0], deep.v)
    wrong = mistakes.with_mistakes(deep.model, ["s'"], at=1)
    assert relative_error(mistakes.quantity("D[2]", wrong, *at), mistakes.quantity("D[2]", deep.model, *at)) == 0
    assert relative_error(mistakes.quantity("D[1]", wrong, *at), mistakes.quantity("D[1]", deep.model, *at)) > 1e-3
    with pytest.raises(WrongAnswer, match=r"s' is missing in eq\. 4"):
        derivation_of(deep).check("D[1]", mistakes.quantity("D[1]", wrong, *at))


def test_an_unknown_mistake_is_wrong_without_a_name():
    with pytest.raises(WrongAnswer, match=r"^dW\[1\] is wrong: its relative error is .*\ndW\[1\] .* wrong") as caught:
        STUDENT.check("dW[1]", np.arange(12.0).reshape(3, 4))
    assert caught.value.diagnosis == ""


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_nan_is_wrong(wrong):
    with pytest.raises(WrongAnswer, match="NaN or infinite"):
        STUDENT.check("dW[1]", Q["dW[1]"] + wrong)


@pytest.mark.parametrize("answer", [None, ..., "2", {"W1": 1.0}])
def test_an_answer_that_is_no_array_is_rejected_in_a_sentence(answer):
    with pytest.raises(WrongAnswer, match=r"^dW\[1\]: the answer is .*, expected numbers of shape \(3, 4\)"):
        STUDENT.check("dW[1]", answer)


def test_an_answer_in_float32_is_held_to_what_float32_can():
    assert STUDENT.check("RD[1]", Q["RD[1]"].astype("f")).endswith("right")
    with pytest.raises(WrongAnswer, match="s'' is missing"):
        STUDENT.check("RD[1]", (Q["Rda[1]"] * S1).astype("f"))


def test_an_unknown_name_is_rejected():
    derivation = Derivation(NETWORK.model, NETWORK.theta, X, Y)
    sentence = r"there is no quantity 'dz\[1\]': choose one of loss, .*need a direction, v="
    with pytest.raises(ValueError, match=sentence):
        derivation.check("dz[1]", 0)
    with pytest.raises(ValueError, match=r"there is no quantity 'Rz\[1\]'"):
        derivation.check("Rz[1]", 0)


def test_a_derivation_is_for_one_task_that_the_model_accepts():
    with pytest.raises(ValueError, match="one task"):
        Derivation(NETWORK.model, NETWORK.theta, NETWORK.batch.x_support, NETWORK.batch.y_support)
    with pytest.raises(ValueError, match=r"y has shape \(5,\)"):
        Derivation(NETWORK.model, NETWORK.theta, X, Y[:, 0])


def test_the_references_do_not_trust_the_library():
    """With every hand-derived rule of the layers removed, the references are unchanged."""
    expected = {name: STUDENT.reference(name) for name in STUDENT.names}
    fresh = derivation_of(NETWORK)
    with pytest.MonkeyPatch.context() as patch:
        for layer in (Affine, Elementwise, Chain):
            for rule in ("backward", "R_forward", "R_backward"):
                patch.setattr(layer, rule, None)
        for name, value in expected.items():
            assert relative_error(fresh.reference(name), value) < 1e-10


def test_any_chain_of_layers_can_be_derived():
    """A chain of a user's own, with a layer that the package does not know."""

    class Double:
        symbol, name = "d", "twice"
        forward = lambda self, p, a: (2 * a, None)
        backward = lambda self, p, tape, D: (2 * D, {})
        R_forward = lambda self, p, v, tape, Ra: (2 * Ra, None)
        R_backward = lambda self, p, v, tape, Rtape, D, RD: (2 * RD, {})

    network = Network([Affine(2, 3, "in"), Double(), Elementwise("tanh", "in"), Affine(3, 2, "out")])
    rng = np.random.default_rng(0)
    theta, x, y = network.init(rng), rng.standard_normal((4, 2)), rng.standard_normal((4, 2))
    v = theta.map(lambda array: rng.standard_normal(array.shape))
    derivation, here = Derivation(network, theta, x, y, v=v), network.at(theta, x, y)
    assert {"d[twice]", "dd[twice]", "dW[in]", "RD[in]", "Rdd[twice]"} <= set(derivation.names)
    for name, value in {**here.quantities, **here.along(v).quantities}.items():
        derivation.check(name, value)
    with pytest.raises(WrongAnswer, match=r"this is d\[twice\], not z\[in\]"):
        derivation.check("z[in]", here.quantities["d[twice]"])


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_network_of_the_paper_is_judged_by_directions(activation):
    """No array of P^2 numbers, which would be three million."""
    model, rng = MLP([1, 40, 40, 1], activation), np.random.default_rng(0)
    theta = model.init(rng)
    v, examples = theta.map(lambda array: rng.standard_normal(array.shape)), rng.standard_normal((4, 10, 1))
    x, y = examples[:2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinymaml.check.derivatives.MOST", 400)  # D[1] is moved one by one, theta is not
        derivation, batch = Derivation(model, theta, x, y, v=v), TaskBatch(*examples[:, None])
        here = model.at(theta, x, y)
        u = meta_gradient(model, theta, batch, inner_lr=0.05, steps=2).u
        outer = MetaDerivation(model, theta, batch, inner_lr=0.05, steps=2)
        for k in range(3):
            outer.check(f"u[{k}]", u[k])
        derivation.check("gradient", here.gradient)
        derivation.check("RdW[2]", here.along(v).RdW[2])


def test_the_meta_gradient_by_directions_is_that_of_the_loop_as_it_runs():
    """Eq. 12 against the complex step through the inner loop, which does not use it."""
    problem = Problem((2, 4, 2), shots=3, queries=2, steps=3, inner_lr=0.2)
    options = {"inner_lr": problem.inner_lr, "steps": problem.steps}
    truth = meta_gradient_by_complex_step(problem.model, problem.theta, problem.batch, **options)
    found = MetaDerivation(problem.model, problem.theta, problem.batch, **options).reference("gradient")
    assert relative_error(found, truth) < 1e-10


def test_a_network_that_is_too_large_for_perturbing_each_entry_is_rejected_with_its_size():
    model, rng = MLP([80, 80, 1]), np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"^6,561 numbers would be perturbed one by one, expected at most 4,000"):
        loss_gradient(model, model.init(rng), rng.standard_normal((2, 80)), rng.standard_normal((2, 1)))


def test_on_a_kink_no_mistake_is_named():
    model, rng = MLP([1, 4, 1]), np.random.default_rng(0)
    theta = Parameters({**model.init(rng), "b1": np.zeros((1, 4))})
    x, y = np.array([[0.0], [1.0]]), rng.standard_normal((2, 1))
    here, derivation = model.at(theta, x, y), Derivation(model, theta, x, y)
    derivation.check("D[1]", here.D[1])
    with pytest.raises(WrongAnswer) as caught:
        derivation.check("D[1]", here.da[1] * (here.z[1] >= 0))
    assert caught.value.diagnosis.startswith("a pre-activation of relu is 0, where it has no derivative (taken as 0 here)")
    with pytest.raises(WrongAnswer, match=r"the activation of eq\. 1 is missing"):  # which has its values there
        derivation.check("a[1]", here.z[1])


def test_layers_in_a_chain_have_their_derivatives_by_name():
    network, rng = Network([Chain([Affine(2, 3, 1), Elementwise("tanh", 1)]), Affine(3, 1, 2)]), np.random.default_rng(0)
    theta, x, y = network.init(rng), rng.standard_normal((4, 2)), rng.standard_normal((4, 1))
    derivation, here = Derivation(network, theta, x, y), network.at(theta, x, y)
    for name in derivation.names:
        derivation.check(name, getattr(here, name) if name in ("loss", "gradient") else here.quantities[name])


# -- the meta-gradient ----------------------------------------------------------------------------------------

TASKS = Problem((2, 3, 1), tasks=3, shots=4, queries=5, steps=2, inner_lr=0.07)
META = MetaDerivation(TASKS.model, TASKS.theta, TASKS.batch, inner_lr=TASKS.inner_lr, steps=TASKS.steps)


def test_matrices_kept_as_factors_are_right_and_are_named_when_they_are_wrong():
    model, rng = MLP([1, 40, 40, 1], "tanh"), np.random.default_rng(0)
    theta, batch = model.init(rng), Sinusoids().sample(rng, tasks=2, shots=5, queries=5)
    u = meta_gradient(model, theta, batch, inner_lr=0.05).u
    assert not isinstance(u[0]["W2"], np.ndarray)
    judge = MetaDerivation(model, theta, batch, inner_lr=0.05, steps=1)
    for k in (0, 1):
        judge.check(f"u[{k}]", u[k])
    with pytest.raises(WrongAnswer, match=r"this is u\[1\], not u\[0\]|Hessian|curvature"):
        judge.check("u[0]", u[1])
    compare("u[0]", u[0], u[0].dense())


@pytest.mark.parametrize("key", MISTAKES)
@pytest.mark.parametrize("name", ["gradient", "u[0]", "u[1]"])
def test_every_mistake_in_the_outer_loop_is_named(name, key):
    wrong = outer_loop(TASKS.model, TASKS.theta, TASKS.batch, TASKS.inner_lr, TASKS.steps, [key])[name]
    if relative_error(wrong, META.reference(name)) < 1e-6:
        assert name != "gradient" or key == "outside"  # with one rate the order does not matter
        return
    with pytest.raises(WrongAnswer) as caught:
        META.check(name, wrong)
    assert MISTAKES[key] in caught.value.diagnosis


def test_a_rate_on_the_wrong_side_of_the_hessian_is_named():
    """One rate a name: alpha o (H u) is not H (alpha o u)."""
    rates = {"W1": 0.2, "b1": 0.05, "W2": 0.0, "b2": 0.1}
    derivation = MetaDerivation(TASKS.model, TASKS.theta, TASKS.batch, inner_lr=rates, steps=2)
    parts = lambda *slips: outer_loop(TASKS.model, TASKS.theta, TASKS.batch, rates, 2, slips)["gradient"]
    derivation.check("gradient", parts())
    with pytest.raises(WrongAnswer, match=r"alpha is outside the product: eq. 12 has H \(alpha o u\)"):
        derivation.check("gradient", parts("outside"))


def test_first_order_as_a_student_meets_it():
    first = meta_gradient(TASKS.model, TASKS.theta, TASKS.batch, inner_lr=TASKS.inner_lr, steps=2, first_order=True).gradient
    with pytest.raises(WrongAnswer, match=r"gradient is wrong: this is first-order MAML: the curvature term is missing"):
        META.check("gradient", first)
    with pytest.raises(WrongAnswer, match=r"gradient is wrong: the curvature term has the wrong sign"):
        META.check("gradient", 2 * first - META.reference("gradient"))
    with pytest.raises(WrongAnswer, match=r"first-order MAML.*; and it is the sum over the tasks"):
        META.check("gradient", 3 * first)
    with pytest.raises(WrongAnswer, match="would pass; wrong in W1"):
        META.check("gradient", {**first, "W1": first["W1"] + 100})
    with pytest.raises(WrongAnswer, match=r"the answer holds W1, expected W1, b1, W2, b2"):
        META.check("gradient", {"W1": first["W1"]})
    with pytest.raises(WrongAnswer, match=r"in b1, the answer has shape \(3,\), expected \(1, 3\)"):
        META.check("gradient", {**first, "b1": first["b1"][0]})


def test_a_dict_of_arrays_is_an_answer_too():
    assert META.check("gradient", dict(META.reference("gradient"))).endswith("right")


def test_the_outer_loop_of_any_model():
    model, batch = Linear(3), linear_batch()
    theta = model.init(np.random.default_rng(1))
    derivation = MetaDerivation(model, theta, batch, inner_lr=0.1, steps=3)
    derivation.check("gradient", meta_gradient(model, theta, batch, inner_lr=0.1, steps=3).gradient)
    with pytest.raises(WrongAnswer, match="the inner step goes uphill"):
        derivation.check("gradient", outer_loop(model, theta, batch, 0.1, 3, ["uphill"])["gradient"])


def test_on_a_kink_the_slope_of_relu_is_zero_for_the_references_too():
    """x = 0 with zero biases: s'(0) = 0, as in the library."""
    model, x = MLP([1, 6, 5, 1]), np.linspace(-2, 2, 5)[:, None]
    y = np.cos(x)
    rng = np.random.default_rng(0)
    theta = Parameters({name: array * (name[0] == "W") for name, array in model.init(rng).items()})
    v = theta.map(lambda array: rng.standard_normal(array.shape))
    here = model.at(theta, x, y)
    assert (here.z[1] == 0).any()
    derivation = Derivation(model, theta, x, y, v=v)
    for name, mine in [("gradient", here.gradient), ("hvp", here.hvp(v)), ("RD[1]", here.along(v).RD[1])]:
        derivation.check(name, mine)
    outer = MetaDerivation(model, theta, TaskBatch(x[None], y[None], x[None] + 0.3, y[None]), inner_lr=0.01)
    outer.reference("u[1]")
    with pytest.raises(ValueError, match="theta is on a kink"):
        outer.reference("u[0]")


def test_the_paper_network_is_not_too_large():
    model, rng = MLP([1, 40, 40, 1]), np.random.default_rng(0)
    theta = model.init(rng)
    x = rng.standard_normal((10, 1))
    here = model.at(theta, x, np.sin(x))
    v = theta.map(lambda array: rng.standard_normal(array.shape))
    derivation = Derivation(model, theta, x, np.sin(x), v=v)
    derivation.check("gradient", here.gradient)
    derivation.check("RD[1]", here.along(v).RD[1])
