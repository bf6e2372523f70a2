"""Lesson 06: every known mistake is called by its name, and the figures draw."""

import exercises
import matplotlib.pyplot as plt
import numpy as np
import pytest
from answering import refused
from exercises import lesson_06 as lesson
from figures import lesson_06 as draw

from tinymaml import MLP, adapt, meta_gradient, plot, pretraining_gradient
from tinymaml.methods import STYLES
from tinymaml.tasks import TaskBatch

SEEDS = (0, 1, 2)


def meta(model, theta, batch, inner_lr, **how):
    return meta_gradient(model, theta, batch, inner_lr=inner_lr, **how).gradient


@pytest.mark.parametrize("seed", SEEDS)
def test_every_wrong_start_has_its_sentence(seed):
    problem = np.array([1.0, 2.0]), np.array([3.0, 1.0]), 0.1
    sentences = [[sentence for sentence, _ in lesson.wrong_starts(*problem, steps)] for steps in (0, 1)]
    assert set(sentences[0]) <= set(sentences[1])

    def answer(sentence):
        return lambda *given: dict(lesson.wrong_starts(*given)).get(sentence, 0.0)

    named = [sentence for sentence in sentences[1] if sentence in refused("6.1", answer(sentence), seed=seed)]
    same = {"the a of all tasks is averaged: each has its own"}  # which gives the plain mean
    assert set(sentences[1]) - set(named) <= same


def best_start(weights="a * r ** (2 * K)", result="(w * c).sum() / w.sum()"):
    """The right answer to 6.1, with a line replaced."""

    def answer(a, c, inner_lr, steps):
        names = {"np": np, "a": a, "c": c, "alpha": inner_lr, "K": steps, "r": 1 - 2 * inner_lr * a}
        names["w"] = eval(weights, {}, names)
        return eval(result, {}, names)

    return answer


def outer_step(result):
    """An answer to 6.2."""

    def answer(model, theta, batch, inner_lr, outer_lr):
        names = {"model": model, "theta": theta, "batch": batch, "a": inner_lr, "b": outer_lr, "TaskBatch": TaskBatch, "np": np}
        names |= {"adapt": adapt, "meta": meta, "meta_gradient": meta_gradient, "pretraining": pretraining_gradient}
        support, query = (batch.x_support, batch.y_support), (batch.x_query, batch.y_query)
        copies = adapt(model, theta, *support, inner_lr=inner_lr)
        return eval(result, names | {"support": support, "query": query, "copies": copies})

    return answer


def pair(present="loss(theta, query).mean()", potential="loss(copies, query).mean()", learn="support", steps="K"):
    """The right answer to 6.3, with a part replaced."""

    def answer(model, theta, batch, inner_lr, K):
        names = {"theta": theta, "np": np, "T": len(batch), "loss": lambda theta, data: model.at(theta, *data).loss}
        names |= {"support": (batch.x_support, batch.y_support), "query": (batch.x_query, batch.y_query)}
        names["copies"] = adapt(model, theta, *names[learn], inner_lr=inner_lr, steps=eval(steps, {"K": K}))
        return eval(present, names), eval(potential, names)

    return answer


def rated(rate, reduce="mean"):
    """The right answer to 6.3, with steps of another length."""

    def answer(model, theta, batch, inner_lr, K):
        n, query = batch.x_support.shape[1], (batch.x_query, batch.y_query)
        rate_ = eval(rate, {"inner_lr": inner_lr, "K": K, "n": n})
        copies = adapt(model, theta, batch.x_support, batch.y_support, inner_lr=rate_, steps=K)
        return model.at(theta, *query).loss.mean(), getattr(model.at(copies, *query).loss, reduce)()

    return answer


def absolute(model, theta, batch, inner_lr, K):
    return abs(model.at(theta, batch.x_query, batch.y_query).prediction - batch.y_query).mean(), 1.0


def interval(mean="d.mean()", half="1.96 * d.std(ddof=1) / np.sqrt(T)"):
    """The right answer to 6.4, with a part replaced."""

    def answer(first, second):
        names = {"np": np, "first": first, "second": second, "d": first - second, "T": len(first)}
        return eval(mean, names), eval(half, names)

    return answer


WRONG = [
    ("6.1", best_start(result="c"), "shape (3,), expected one number"),
    ("6.1", best_start(result="((w * c).sum() / w.sum(), w)"), "tuple of 2, expected one number"),
    ("6.1", best_start(result="np.float32((w * c).sum() / w.sum())"), "a precision is lost"),
    ("6.1", best_start("a * r**6"), "the answer for three steps, whatever `steps` says"),
    ("6.1", best_start("np.multiply(a, r ** (2 * K), out=a)"), "it changes its argument a in place"),
    ("6.1", best_start("a * (1 - 2 * alpha * c) ** (2 * K)"), "the step has 1 - 2 alpha c, where 1 - 2 alpha a belongs"),
    ("6.1", best_start("r ** (2 * K)", "(w * c).sum()"), "the sum is not divided by the sum of the weights; and the factor a"),
    ("6.1", best_start("a * r ** (K + 1)"), "the exponent is K + 1, not 2 K"),
    ("6.1", best_start("a**0.5 * abs(r) ** K"), "the root of the weights is taken"),
    ("6.1", best_start("a * (1 - r ** (2 * K))"), "1 - (1 - 2 alpha a)^(2K) stands where"),
    ("6.1", best_start(result="w.sum() / (w * c).sum()"), "the fraction is upside down"),
    ("6.1", best_start(result="(a * r**K * c).sum() / w.sum()"), "and that is so above the fraction only"),
    ("6.1", best_start("c * r ** (2 * K)", "(w * a).sum() / w.sum()"), "and a stands above the fraction where c"),
    ("6.1", best_start(result="-(w * c).sum() / w.sum()"), "the sign is wrong"),
    ("6.2", outer_step("theta['W1']"), "expected Parameters"),
    ("6.2", outer_step("{'W1': theta['W1']}"), "holds W1, expected W1, b1"),
    ("6.2", outer_step("theta.map(np.transpose)"), "shape (4, 1), expected (1, 4)"),
    ("6.2", outer_step("theta"), "it has not moved"),
    ("6.2", outer_step("meta_gradient(model, theta, batch, inner_lr=a)"), "its .gradient says how to move theta"),
    ("6.2", outer_step("meta(model, theta, batch, a)"), "this is the meta-gradient: take the step too"),
    ("6.2", outer_step("theta + b * meta(model, theta, batch, a)"), "it goes uphill"),
    ("6.2", outer_step("theta - meta(model, theta, batch, a)"), "the outer learning rate is missing"),
    ("6.2", outer_step("theta - a * meta(model, theta, batch, a)"), "the step has the inner learning rate"),
    ("6.2", outer_step("theta - a * meta(model, theta, batch, b)"), "the two learning rates are exchanged"),
    ("6.2", outer_step("theta - b * meta(model, theta, batch, b)"), "the inner loop takes the outer learning rate"),
    ("6.2", outer_step("theta - b * meta(model, theta, batch, a, first_order=True)"), "this is first-order MAML"),
    ("6.2", outer_step("theta - b * meta(model, theta, batch, a, steps=2)"), "the inner loop takes 2 steps, where 1 was"),
    ("6.2", outer_step("theta - b * meta(model, theta, TaskBatch(*query, *support), a)"), "the query set are exchanged"),
    ("6.2", outer_step("theta - b * meta(model, theta, batch[:1], a)"), "only one task is used"),
    ("6.2", outer_step("theta - b * pretraining(model, theta, batch).gradient"), "pre-training: the gradient is that of all"),
    ("6.2", outer_step("theta - b * model.at(theta, *query).gradient.mean()"), "this is pre-training: the gradient of the query"),
    ("6.2", outer_step("copies - b * model.at(copies, *query).gradient"), "theta' is updated"),
    ("6.2", outer_step("copies.mean() - b * meta(model, theta, batch, a)"), "theta' is updated"),
    ("6.2", outer_step("copies.mean()"), "this is the mean of the adapted copies"),
    ("6.2", outer_step("theta - b * meta_gradient(model, theta, batch, inner_lr=a).u[0]"), "the mean over the tasks is missing"),
    ("6.2", outer_step("(np.sin(theta['W1'], out=theta['W1']), theta)[1]"), "changes its argument theta['W1'] in place"),
    ("6.3", pair("np.zeros(3)"), "shape (3,), expected one number"),
    ("6.3", lambda *given: 1.0, "expected 2 things"),
    ("6.3", lambda *given: pair()(*given)[::-1], "the two are exchanged"),
    ("6.3", pair("loss(theta, support).mean()", "loss(copies, support).mean()"), "both are measured on the support set"),
    ("6.3", pair("loss(theta, support).mean()"), "present is wrong: it is measured on the support set"),
    ("6.3", pair(potential="loss(copies, support).mean()"), "potential is wrong: it is measured on the support set"),
    ("6.3", pair(learn="query"), "the copies are adapted on the query set"),
    ("6.3", pair("loss(copies, query).mean()"), "it is the loss after adaptation"),
    ("6.3", pair(potential="loss(theta, query).mean()"), "it is the loss before adaptation"),
    ("6.3", pair(steps="3"), "3 steps are taken, where steps = 1"),
    ("6.3", pair(steps="K + 1"), "4 steps are taken, where steps = 3"),
    ("6.3", pair(potential="loss(copies.mean(), query).mean()"), "of one network, the mean of the adapted copies"),
    ("6.3", pair(potential="loss(theta, query).mean() - loss(copies, query).mean()"), "it is the gain"),
    ("6.3", pair("loss(theta, query).sum()", "loss(copies, query).sum()"), "it is the sum over the tasks"),
    ("6.3", pair("np.median(loss(theta, query))"), "it is the median over the tasks"),
    ("6.3", pair(potential="loss(copies, query)[0]"), "it is that of the first task"),
    ("6.3", pair(potential="loss(copies, support).sum()"), "on the support set: the query set judges; and it is the sum"),
    ("6.3", pair(steps="K - 1 or 2"), "2 steps are taken, where steps = 3"),
    ("6.3", pair(potential="loss(theta, query).mean() + loss(copies, query).mean()"), "it is the sum of present and potential"),
    ("6.3", rated("0.01"), "each step is 0.01 times the gradient"),
    ("6.3", rated("inner_lr / K"), "each step is divided by the number of steps"),
    ("6.3", rated("inner_lr / n", "sum"), "the number of examples: the loss is a mean already; and it is the sum over the tasks"),
    ("6.3", absolute, "present is wrong: absolute errors are averaged"),
    ("6.4", interval("d"), "shape (12,), expected one number"),
    ("6.4", lambda first, second: 1.0, "expected 2 things"),
    ("6.4", lambda *given: interval()(*given)[::-1], "the two are exchanged"),
    ("6.4", interval("abs(d.mean())"), "its sign is lost"),
    ("6.4", interval("-d.mean()"), "it is turned round: first minus second"),
    ("6.4", interval(half="1.96 * d.std() / np.sqrt(T)"), "use ddof=1"),
    ("6.4", interval(half="d.std(ddof=1) / np.sqrt(T)"), "this is one standard error"),
    ("6.4", interval(half="1.96 * d.std(ddof=1) / T"), "it is divided by T: a standard error has sqrt(T)"),
    ("6.4", interval(half="1.96 * d.std() / T"), "use ddof=1; and it is divided by T"),
    ("6.4", interval(half="1.96 * np.sqrt((first.var() + second.var()) / T)"), "of two unrelated sets of tasks"),
    ("6.4", interval(half="1.96 * d.std(ddof=1) / np.sqrt(12)"), "it is divided by sqrt(12), whatever T is"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG, ids=[f"{number}: {words}" for number, _, words in WRONG])
def test_a_wrong_answer_is_told_what_it_did(number, answer, words):
    refused(number, answer, words)


@pytest.mark.parametrize("seed", SEEDS)
def test_answers_written_in_other_ways_are_right(seed):
    exercises.check("6.1", best_start(result="np.average(c, weights=w)"), seed=seed)
    exercises.check("6.2", outer_step("{key: theta[key] - b * g for key, g in meta(model, theta, batch, a).items()}"), seed=seed)
    exercises.check("6.3", pair(potential="sum(loss(copies, query)) / T"), seed=seed)
    exercises.check("6.4", interval("first.mean() - second.mean()", "1.96 * d.std() / np.sqrt(T - 1)"), seed=seed)


def test_the_sliders_figure_names_a_curve_that_leaves_it(recwarn):
    model = MLP([1, 8, 1])
    starts = {"maml": model.init(np.random.default_rng(0)), "pretraining": model.init(np.random.default_rng(1))}
    for inner_lr in (0.001, 0.5):
        figure = draw.adaptation(model, starts, draw.one_task(5.0), inner_lr, steps=10)
        figure.canvas.draw()
        plt.close(figure)
        told = [text.get_text() for text in figure.axes[1].texts]
        assert all("above 1000 after" in text for text in told) and len(told) == (0 if inner_lr == 0.001 else 2)
    left, right = figure.axes
    assert "10 steps" in left.get_title() and len(right.lines) == 4


def test_a_number_of_steps_has_a_look_that_no_method_has():
    methods = {style.colour for style in STYLES.values()}
    assert {0, 1, 5, 10} == plot.STEP_STYLES.keys() and not methods & {colour for colour, _ in plot.STEP_STYLES.values()}
