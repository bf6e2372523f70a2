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
        names = {"model": model, "theta": theta, "support": support, "query": query, "a": inner_lr} | HELP
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
        names |= HELP | {"now": model.at(theta, batch.x_query, batch.y_query).gradient}
        names["u0"] = eval(u0, {}, names)
        return eval(result, {}, names)

    return answer


def in_a_row(model, theta, batch, inner_lr, outer_lr):
    """5.3, with a theta that moves after each task."""
    for t in range(len(batch)):
        theta = theta - outer_lr * meta_gradient(model, theta, batch[t : t + 1], inner_lr=inner_lr).gradient
    return theta


def exchanged(answer):
    """The same, with the support set for the query set."""
    return lambda model, theta, support, query, *more: answer(model, theta, query, support, *more)


def spoil(theta):
    """Parameters changed in place."""
    for array in theta.values():
        array *= 0.9
    return theta


def weights(v):
    """A direction without its biases."""
    return Parameters({name: array * name.startswith("W") for name, array in v.items()})


HELP = {"np": np, "spoil": spoil, "weights": weights}
WRONG = [
    ("5.1", one_step("u"), "this is first-order MAML: the curvature term is missing"),
    ("5.1", one_step("u + a * here.hvp(u)"), "the curvature term has the wrong sign"),
    ("5.1", one_step("u - here.hvp(u)"), "the inner learning rate is missing"),
    ("5.1", one_step("a * here.hvp(u)"), "this is the curvature term alone"),
    ("5.1", one_step("u - a * there.hvp(u)"), "the Hessian is that of the query loss"),
    ("5.1", one_step("u - a * model.at(copy, *support).hvp(u)"), "the Hessian is taken at theta', not at theta"),
    ("5.1", one_step("u - a * here.hvp(here.gradient)"), "the Hessian is applied to the support gradient"),
    ("5.1", one_step("u - a * here.hvp(model.at(theta, *query).gradient)"), "applied to the query gradient at theta"),
    ("5.1", one_step(u="model.at(theta, *query).gradient"), "the gradient is taken at theta, not at theta'"),
    ("5.1", one_step("u", u="model.at(theta, *query).gradient"), "the gradient is taken at theta, not at theta'"),
    ("5.1", one_step(u="model.at(copy, *support).gradient"), "this is the support gradient"),
    ("5.1", one_step(copy="theta + a * here.gradient"), "the inner step goes uphill"),
    ("5.1", one_step("copy"), "this is theta', the adapted copy"),
    ("5.1", one_step("theta - a * (u - a * here.hvp(u))"), "this is a new theta"),
    ("5.1", one_step("copy - a * (u - a * here.hvp(u))"), "this is a new theta', the copy moved"),
    ("5.1", one_step("-1 * (u - a * here.hvp(u))"), "the sign is wrong"),
    ("5.2", k_steps("u[k]"), "this is first-order MAML"),
    ("5.2", k_steps("u[k] + a * tape[k - 1].hvp(u[k])"), "the curvature term has the wrong sign"),
    ("5.2", k_steps("u[k] - tape[k - 1].hvp(u[k])"), "the inner learning rate is missing"),
    ("5.2", k_steps("u[k] - a * tape[k].hvp(u[k])"), "the Hessian is taken at theta_{k+1}, not at theta_k"),
    ("5.2", k_steps("u[k] - a * tape[0].hvp(u[k])"), "every Hessian is taken at theta, not at theta_k"),
    ("5.2", k_steps("u[k] - a * tape[K - k].hvp(u[k])"), "the Hessians come in the order of the way out"),
    ("5.2", k_steps("u[k] - a * tape[k - 1].hvp(u[K])"), "every Hessian is applied to u_K"),
    ("5.2", k_steps("u[k] - a * there.hvp(u[k])"), "a Hessian of the query loss, taken at theta_K, is applied"),
    ("5.2", k_steps("u[k] - a * tape[k - 1].hvp(u[k]) if k == K else u[k]"), "only the last inner step is differentiated"),
    ("5.2", k_steps(start="model.at(first, *query).gradient"), "the gradient is taken at theta, not at theta_K"),
    ("5.2", k_steps(start="tape[K].gradient"), "this is the support gradient"),
    ("5.2", k_steps(sign=1), "the inner step goes uphill"),
    ("5.2", k_steps(pick=lambda u: {k: u[len(u) - 1 - k] for k in u}), "they come in the order of the way back"),
    ("5.3", update("theta - beta * T * u0.mean()"), "the gradient that moved theta is wrong: it is the sum over the tasks"),
    ("5.3", update(u0="u1"), "this is first-order MAML"),
    ("5.3", update(u0="u1 + a * here.hvp(u1)"), "the curvature term has the wrong sign"),
    ("5.3", update(u0="now"), "this is pre-training"),
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
    ("5.3", update("theta - beta * u0"), "the mean over the tasks is missing"),
    # a number in the place of `steps`; in place; the precision; exchanged sets; a part forgotten; a step too many or too few
    ("5.2", lambda *given: k_steps()(*given[:-1], 3), "with steps = 1 it has the keys [0, 1, 2, 3], expected [0, 1]"),
    ("5.2", lambda *given: k_steps()(*given[:-1], given[-1] + 1), "this is the answer for 4 steps"),
    ("5.2", lambda *given: [k_steps()(*given)[k] for k in range(4)], "with 3 it was right. Is a number in the place of `steps`?"),
    ("5.2", k_steps(pick=lambda u: {k + 1: u[k] for k in u}), "they are off by one, what stands at k + 1 is u_k"),
    ("5.2", k_steps(pick=lambda u: dict.fromkeys(u, spoil(u[0]))), "all u[k] are one object"),
    ("5.2", k_steps("u[K] - a * tape[k - 1].hvp(u[k])"), "each step back starts from u_K"),
    ("5.2", k_steps("u[k] - a / 4 * tape[k - 1].hvp(u[k])"), "your curvature term is 0.25 times the right one"),
    ("5.1", one_step("(spoil(theta), u - a * here.hvp(u))[1]"), "changes its argument theta['W1'] in place"),
    ("5.2", lambda model, theta, *given: k_steps()(model, spoil(theta), *given), "changes its argument theta['W1'] in place"),
    ("5.3", update("spoil(theta) - beta * u0.mean()"), "changes its argument theta['W1'] in place"),
    ("5.1", one_step("(u - a * here.hvp(u)).map(np.float32)"), "a precision is lost"),
    ("5.1", exchanged(one_step()), "the support and the query set are exchanged"),
    ("5.2", exchanged(k_steps()), "the support and the query set are exchanged"),
    ("5.1", one_step(copy="theta - a * model.at(theta, *query).gradient"), "the inner step is taken on the query set"),
    ("5.1", one_step(copy="theta - here.gradient"), "the inner learning rate is missing in the inner step"),
    ("5.1", one_step("u - a * here.hvp(a * u)"), "alpha comes twice"),
    ("5.1", one_step("(1 - a) * u"), "the factor is 1 - alpha, with no Hessian"),
    ("5.1", one_step("u - a * here.hvp(weights(u))"), "the direction that the Hessian is applied to has no biases"),
    ("5.1", one_step("u, u - a * here.hvp(u)"), "2 things were returned, one was asked for"),
    # two mistakes at once; a part of the parameters; another rate
    ("5.1", one_step(copy="theta - 2 * a * here.gradient", result="u"), "the inner step is doubled; and the curvature term is"),
    ("5.1", one_step(copy="theta + a * here.gradient", result="u - 3 * a * here.hvp(u)"), "that it is u_1 - 3 H_S(theta)"),
    ("5.1", one_step("theta.map(np.zeros_like) + u - a * here.hvp(u) + here.hvp(a * here.gradient)"), "it is u_1 - H_S(theta)"),
    ("5.1", one_step("{**(u - a * here.hvp(u)), 'W1': u['W1']}"), "only W1 is wrong: there it is u_1"),
    ("5.1", one_step("u - 0.01 * here.hvp(u)", copy="theta - 0.01 * here.gradient"), "the rate is 0.01 in the inner step and in"),
    ("5.1", one_step("there"), "that is what `model.at` returns"),
    ("5.1", one_step("u.flat"), "that is a row of numbers"),
    ("5.3", update("theta - a * u1.mean()"), "the curvature term is missing; and the step has the inner"),
    ("5.3", update("theta + beta * now.mean()"), "this is pre-training"),
    ("5.3", update("copies.mean() - 3 * beta * u0.mean()"), "theta' is updated, where the gradient moves theta (eq. 13)"),
    ("5.3", update("theta - 0.001 * u0.mean()"), "the step is 0.001429 times as long as it should be, 0.001 times the gradient"),
    ("5.3", update("theta - beta * u0.map(lambda g: g[1:].mean(0))"), "one task is left out"),
    ("5.3", in_a_row, "theta moves after each task, and the next starts from there"),
    ("5.3", update("theta - beta * here.gradient.mean()"), "this is pre-training on the support sets"),
    ("5.3", update("theta - beta * (theta - copies.mean())"), "this is Reptile"),
    ("5.3", update("theta - beta * u0.mean() / T"), "it is divided by the number of tasks twice"),
    ("5.3", update("theta - beta * u0.task(1)"), "only one task is used"),
    ("5.3", update(u0="(u1.mean() - here.hvp(a * u1.mean()))"), "the mean over the tasks is taken before the step back"),
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
        ("5.2", k_steps(pick=lambda u: {0: u[0]}), "it has the keys [0], expected [0, 1, 2, 3]: u[3] is missing"),
        ("5.2", k_steps(pick=lambda u: {k: u[k].flat for k in u}), "the answer is a ndarray, expected Parameters"),
        ("5.3", update("u0.mean().flat"), "the answer is a ndarray, expected Parameters"),
        ("5.3", update("(theta - beta * u0.mean()).map(lambda array: array.T)"), "shape (3, 2), expected (2, 3)"),
        ("5.3", update("theta - beta * u0.mean() * float('nan')"), "NaN"),
        ("5.3", update("theta - beta * (2 * u1.mean() + theta)"), "theta moved along 2 u_1 + theta, where eq. 13 has"),
        ("5.3", update("theta - beta * theta.map(np.sin)"), "theta moved along something else"),
        ("5.1", one_step("2 * u - here.gradient"), "it is 2 u_1 - grad L_S(theta), where eq. 12 has u_1 - H_S(theta)(alpha u_1)"),
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


@pytest.mark.parametrize(("inner_lr", "steps"), [(2.0, 1), (2.5, 1), (2.5, 3)])
def test_long_arrows_are_drawn_whole(plane, inner_lr, steps):
    model, theta, task, best = plane
    figure = draw.two_gradients(model, theta, task, inner_lr=inner_lr, steps=steps, outer_lr=1.8, best=best)
    figure.canvas.draw()
    for ax in figure.axes:
        assert all(ax.viewLim.contains(*end) for pair in tips(ax) for end in pair)
        assert all(text.get_annotation_clip() is False for text in ax.texts if text.arrow_patch is not None)
    copy = [text for text in figure.axes[0].texts if text.get_text().startswith("$\\theta")]
    assert len(copy) == 2  # theta, and what the inner steps end at


def test_the_sliders_redraw_well_within_a_second(plane):
    model, theta, task, best = plane
    drawn = []

    def redraw(inner_lr, steps):
        drawn.append((inner_lr, steps))
        return draw.two_gradients(model, theta, task, inner_lr=inner_lr, steps=steps, best=best)

    panel = slider(redraw, inner_lr=(0.1, 2.5, 0.1, 1.0), steps=(1, 3, 1, 1))
    rate, row, _ = panel.children
    steps, _ = row.children
    began = time.perf_counter()
    steps.value = 3
    assert time.perf_counter() - began < 1.0
    rate.value = 2.0
    assert drawn == [(1.0, 1), (1.0, 3), (2.0, 3)]


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
