"""Exercises of lesson 05: each known wrong answer is named; its figures and sliders."""

import time

import exercises
import matplotlib.pyplot as plt
import numpy as np
import pytest
from answering import refused
from figures import lesson_05 as draw
from figures.sliders import slider

from tinymaml import Parameters, adapt, meta_gradient
from tinymaml.check.golden import Linear
from tinymaml.tasks import TaskBatch


def one_step(result="u - here.hvp(a * u)", u="there.gradient", copy="theta - a * here.gradient"):
    """The right answer to 5.1, with a line replaced by another formula."""

    def answer(model, theta, support, query, inner_lr):
        names = {"model": model, "theta": theta, "support": support, "query": query, "a": inner_lr}
        names["here"] = model.at(theta, *support)
        names["copy"] = eval(copy, {}, names)
        names["there"] = model.at(names["copy"], *query)
        names["u"] = eval(u, {}, names)
        return eval(result, {}, names)

    return answer


def k_steps(turn="u[k] - tape[k - 1].hvp(a * u[k])", start="there.gradient", pick=lambda u: u, sign=-1):
    """The right answer to 5.2, with a line replaced: `turn` gives u[k-1]."""

    def answer(model, theta, support, query, inner_lr, steps):
        first, tape = theta, []
        for _ in range(steps):
            tape.append(model.at(theta, *support))
            theta = theta + sign * inner_lr * tape[-1].gradient
        there = model.at(theta, *query)
        names = {"model": model, "first": first, "support": support, "query": query, "a": inner_lr, "K": steps}
        names |= {"tape": [*tape, model.at(theta, *support)], "there": there}
        u = {steps: eval(start, {}, names)}
        for k in range(steps, 0, -1):
            u[k - 1] = eval(turn, {}, {**names, "u": u, "k": k})
        return pick(u)

    return answer


def update(result="theta - beta * u0.mean()", u0="u1 - here.hvp(a * u1)"):
    """The right answer to 5.3, with a line replaced."""

    def answer(model, theta, batch, inner_lr, outer_lr):
        here = model.at(theta, batch.x_support, batch.y_support)
        copies = theta - inner_lr * here.gradient
        u1 = model.at(copies, batch.x_query, batch.y_query).gradient
        names = {"theta": theta, "here": here, "copies": copies, "u1": u1, "a": inner_lr, "beta": outer_lr, "T": len(batch)}
        names |= {"now": model.at(theta, batch.x_query, batch.y_query).gradient}
        names["u0"] = eval(u0, {}, names)
        return eval(result, {}, names)

    return answer


WRONG = [
    ("5.1", one_step("u"), "this is first-order MAML: the curvature term is missing"),
    ("5.1", one_step("u + a * here.hvp(u)"), "the curvature term has the wrong sign"),
    ("5.1", one_step("u - here.hvp(u)"), "the inner learning rate is missing"),
    ("5.1", one_step("a * here.hvp(u)"), "this is the curvature term alone"),
    ("5.1", one_step("u - a * there.hvp(u)"), "the Hessian is that of the query loss"),
    ("5.1", one_step("u - a * model.at(copy, *support).hvp(u)"), "the Hessian is taken at theta_{k+1}, not at theta_k"),
    ("5.1", one_step("u - a * here.hvp(here.gradient)"), "the Hessian is applied to the support gradient"),
    ("5.1", one_step("u - a * here.hvp(model.at(theta, *query).gradient)"), "applied to the query gradient at theta"),
    ("5.1", one_step(u="model.at(theta, *query).gradient"), "the gradient is taken at theta, not at theta'"),
    ("5.1", one_step("u", u="model.at(theta, *query).gradient"), "the gradient is taken at theta, not at theta'"),
    ("5.1", one_step(u="model.at(copy, *support).gradient"), "this is the support gradient"),
    ("5.1", one_step(copy="theta + a * here.gradient"), "the inner step goes uphill"),
    ("5.1", one_step("copy"), "this is theta', the adapted copy"),
    ("5.1", one_step("theta - a * (u - a * here.hvp(u))"), "this is a new theta"),
    ("5.1", one_step("copy - a * (u - a * here.hvp(u))"), "this is a new theta', the copy moved"),
    ("5.1", one_step("-1 * (u - a * here.hvp(u))"), "the sign is turned"),
    ("5.2", k_steps("u[k]"), "this is first-order MAML"),
    ("5.2", k_steps("u[k] + a * tape[k - 1].hvp(u[k])"), "the curvature term has the wrong sign"),
    ("5.2", k_steps("u[k] - tape[k - 1].hvp(u[k])"), "the inner learning rate is missing"),
    ("5.2", k_steps("u[k] - a * tape[k].hvp(u[k])"), "the Hessian is taken at theta_{k+1}, not at theta_k"),
    ("5.2", k_steps("u[k] - a * tape[0].hvp(u[k])"), "every Hessian is taken at theta, not at theta_k"),
    ("5.2", k_steps("u[k] - a * tape[K - k].hvp(u[k])"), "the Hessians come in the order of the way out"),
    ("5.2", k_steps("u[k] - a * tape[k - 1].hvp(u[K])"), "every Hessian is applied to u_K"),
    ("5.2", k_steps("u[k] - a * there.hvp(u[k])"), "the Hessian is that of the query loss"),
    ("5.2", k_steps("u[k] - a * tape[k - 1].hvp(u[k]) if k == K else u[k]"), "only the last inner step is differentiated"),
    ("5.2", k_steps(start="model.at(first, *query).gradient"), "the gradient is taken at theta, not at theta'"),
    ("5.2", k_steps(start="tape[K].gradient"), "this is the support gradient"),
    ("5.2", k_steps(sign=1), "the inner step goes uphill"),
    ("5.2", k_steps(pick=lambda u: {k: u[3 - k] for k in u}), "this is u[0], not u[3]"),
    ("5.3", update("theta - beta * T * u0.mean()"), "the gradient that moved theta is wrong: it is the sum over the tasks"),
    ("5.3", update(u0="u1"), "this is first-order MAML"),
    ("5.3", update(u0="u1 + a * here.hvp(u1)"), "the curvature term has the wrong sign"),
    ("5.3", update(u0="now"), "the gradient is taken at theta, not at theta'"),
    ("5.3", update("theta - beta * T * u0.mean()", u0="u1"), "the sum over the tasks"),
    ("5.3", update("copies.mean() - beta * u0.mean()"), "theta' is updated"),
    ("5.3", update("copies.mean() - beta * u0.mean()", u0="u1"), "theta' is updated"),
    ("5.3", update("copies - beta * u0.mean()"), "theta' is updated"),
    ("5.3", update("copies - beta * u0"), "every task has a theta of its own"),
    ("5.3", update("copies.task(0) - beta * u0.mean()"), "this is the copy of one task"),
    ("5.3", update("copies.task(2) - beta * u0.mean()"), "this is the copy of one task"),
    ("5.3", update("copies"), "the outer step is missing"),
    ("5.3", update("copies.mean()"), "the outer step is missing"),
    ("5.3", update("theta"), "it has not moved"),
    ("5.3", update("u0.mean()"), "take the step too"),
    ("5.3", update("u1.mean()"), "no step is taken"),
    ("5.3", update("theta + beta * u0.mean()"), "it goes uphill"),
    ("5.3", update("theta - a * u0.mean()"), "the step has the inner learning rate"),
    ("5.3", update("theta - u0.mean()"), "the outer learning rate is missing"),
    ("5.3", update("theta - beta * u0"), "that is one theta for each task: take the mean over the tasks"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG, ids=[f"{number}: {words}" for number, _, words in WRONG])
def test_every_known_mistake_is_named(number, answer, words):
    refused(number, answer, words)


def test_a_list_in_the_order_of_k_will_do():
    exercises.check("5.2", k_steps(pick=lambda u: [u[k] for k in sorted(u)]))


def test_where_the_rate_is_one_number_it_may_stand_before_the_product_too():
    exercises.check("5.1", one_step("u - a * here.hvp(u)"))
    exercises.check("5.2", k_steps("u[k] - a * tape[k - 1].hvp(u[k])"))
    exercises.check("5.3", update(u0="u1 - a * here.hvp(u1)"))


@pytest.mark.parametrize(
    ("number", "answer", "words"),
    [
        ("5.1", lambda *given: 0.5, "the answer is a float, expected Parameters"),
        ("5.1", one_step("u.flat"), "the answer is a ndarray, expected Parameters"),
        ("5.1", one_step("u.map(lambda array: array[None])"), "has shape (1, 2, 3), expected (2, 3)"),
        ("5.1", one_step("u.map(lambda array: array.T)"), "in W1, the answer has shape (3, 2), expected (2, 3)"),
        ("5.2", k_steps(pick=lambda u: u[0]), "the answer is a Parameters, expected a dictionary of all u[k]"),
        ("5.2", k_steps(pick=lambda u: {0: u[0]}), "u: it has the keys [0], expected [0, 1, 2, 3]: u[3] is missing"),
        ("5.2", k_steps(pick=lambda u: {k: u[k].flat for k in u}), "the answer is a ndarray, expected Parameters"),
        ("5.3", update("u0.mean().flat"), "the answer is a ndarray, expected Parameters"),
        ("5.3", update("(theta - beta * u0.mean()).map(lambda array: array.T)"), "shape (3, 2), expected (2, 3)"),
        ("5.3", update("theta - beta * u0.mean() * float('nan')"), "NaN"),
        ("5.3", update("theta - 2.5 * (u0.mean() + theta)"), "theta moved along something else"),
    ],
)
def test_answers_of_the_wrong_kind_are_refused_in_words(number, answer, words):
    refused(number, answer, words)


@pytest.fixture
def plane():
    """A linear model with two parameters and a task on it."""
    rng = np.random.default_rng(0)
    x, xq, w = rng.standard_normal((1, 3, 2)), rng.standard_normal((1, 9, 2)), np.array([[-1.0], [1.0]])
    yield Linear(2), Parameters(w=np.array([[2.0], [-1.0]])), TaskBatch(x, x @ w, xq, xq @ w), w.ravel()
    plt.close("all")


def tips(ax):
    """Where the arrows of a panel begin and end."""
    arrows = [text for text in ax.texts if text.arrow_patch is not None]
    return [(np.array(arrow.xyann), np.array(arrow.xy)) for arrow in arrows]


@pytest.mark.parametrize("steps", [1, 3])
def test_the_arrows_are_the_gradients(plane, steps):
    model, theta, task, best = plane
    figure = draw.two_gradients(model, theta, task, inner_lr=0.3, steps=steps, outer_lr=1.0, best=best)
    meta = meta_gradient(model, theta, task, inner_lr=0.3, steps=steps)
    copy = adapt(model, theta, task.x_support, task.y_support, inner_lr=0.3, steps=steps)["w"].ravel()
    (left,), (first, curvature, exact) = (tips(ax) for ax in figure.axes)
    start = theta["w"].ravel()
    for (begin, end), (where, way) in (
        (left, (copy, -meta.first_order.flat)),
        (first, (start, -meta.first_order.flat)),
        (curvature, (start - meta.first_order.flat, meta.curvature.flat)),
        (exact, (start, -meta.gradient.flat)),
    ):
        assert np.allclose(begin, where) and np.allclose(end, where + way)
    assert len(figure.legends[0].get_texts()) == 4


def test_the_sliders_redraw_well_within_a_second(plane):
    model, theta, task, best = plane
    drawn = []

    def redraw(inner_lr, steps):
        drawn.append((inner_lr, steps))
        return draw.two_gradients(model, theta, task, inner_lr=inner_lr, steps=steps, best=best)

    panel = slider(redraw, inner_lr=(0.1, 3.0, 0.1, 1.0), steps=(1, 5, 1, 1))
    rate, row, _ = panel.children
    steps, _ = row.children
    began = time.perf_counter()
    steps.value = 4
    assert time.perf_counter() - began < 1.0
    rate.value = 2.0
    assert drawn == [(1.0, 1), (1.0, 4), (2.0, 4)]


def test_where_nobody_sits_at_the_keyboard_a_sentence_stands_for_the_sliders(monkeypatch, capsys):
    import IPython

    class Shell:
        class kernel:
            _allow_stdin = False

    monkeypatch.setattr(IPython, "get_ipython", Shell)
    assert slider(lambda **values: None, inner_lr=(0.1, 3.0, 0.1, 1.0)) is None
    assert "sliders appear here, for inner_lr." in capsys.readouterr().out


def test_learning_curves_have_a_line_each():
    ax = draw.learning({"right": np.ones(3), "copy kept": 2 * np.ones(3)}, np.arange(3))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["right", "copy kept"]
    plt.close("all")
