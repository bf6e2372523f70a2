"""The checks of lesson 01: what is fed to them, and what they say."""

import numpy as np
import pytest
from answering import accepted, refused
from exercises import lesson_01 as lesson

from tinymaml import Parameters, adapt
from tinymaml.tasks import Sinusoids, TaskBatch

# -- 1.1: shapes -----------------------------------------------------------------------------------------------


def shapes(x_support=None, y_support=None, x_query=None, y_query=None):
    """The four shapes, some of them wrong: functions of (T, N, K, Q, d)."""

    def answer(*sizes):
        wrong = dict(zip(lesson.PARTS, (x_support, y_support, x_query, y_query), strict=True))
        return [wrong[part](*sizes) if wrong[part] else right for part, right in lesson.shapes_of(*sizes).items()]

    return answer


right_shapes = shapes()

# -- 1.2: the loss of F ----------------------------------------------------------------------------------------


def loss(of_task=lambda e: (e**2).mean(), of_all=np.mean, learn="support", judge="query"):
    """The loss of F, put together: from what F learns, what f is judged on, what is made of a task's errors, and of all."""

    def answer(F, batch):
        losses = []
        for t in range(len(batch)):
            part = lambda axis, name, t=t: np.concatenate([getattr(batch, f"{axis}_{one}")[t] for one in name.split("+")])
            f = F(part("x", learn), part("y", learn))
            losses.append(of_task(f(part("x", judge)) - part("y", judge)))
        return of_all(losses)

    return answer


def loss_with_changed_targets(F, batch):
    for t in range(len(batch)):
        batch.y_query[t] -= F(batch.x_support[t], batch.y_support[t])(batch.x_query[t])
    return np.mean(batch.y_query**2)


def loss_of_the_first_f(F, batch):
    f = F(batch.x_support[0], batch.y_support[0])
    return np.mean([(f(x) - y) ** 2 for x, y in zip(batch.x_query, batch.y_query, strict=True)])


# -- 1.3: the mean curve ---------------------------------------------------------------------------------------

wave = lambda x, phase: (np.cos(x - phase[1]) - np.cos(x - phase[0])) / (phase[1] - phase[0])
mean_curve = lambda x, amplitude, phase: sum(amplitude) / 2 * wave(x, phase)
length = lambda phase: phase[1] - phase[0]


def shifted_in_place(x, amplitude, phase):
    x -= phase[1]
    return sum(amplitude) / 2 * (np.cos(x) - np.cos(x + length(phase))) / length(phase)


# -- 1.4: the inner loop ---------------------------------------------------------------------------------------

gradient = lambda model, theta, x, y: model.at(theta, x, y).gradient


def loop(step, end=lambda path: path[-1], count=lambda steps: steps):
    """fine_tune with another step, (model, theta_k, x, y, inner_lr, k, theta_0, steps); or another count, or another end."""

    def answer(model, theta, x, y, inner_lr, steps):
        path = [theta]
        for k in range(count(steps)):
            path.append(step(model, path[-1], x, y, inner_lr, k, theta, steps))
        return end(path)

    return answer


down = lambda model, theta, x, y, a, *_: theta - a * gradient(model, theta, x, y)


def in_place(model, theta, x, y, inner_lr, steps):
    for _ in range(steps):
        g = gradient(model, theta, x, y)
        for name in theta:
            theta[name][...] -= inner_lr * g[name]
    return theta


def in_single(model, theta, x, y, inner_lr, steps):
    single = lambda array: array.astype(np.float32)
    return loop(down)(model, theta.map(single), single(x), single(y), inner_lr, steps)


FED = {
    "1.1": [
        (shapes(lambda T, N, K, Q, d: (T, K, d)), "counts the examples of one class"),
        (shapes(x_query=lambda T, N, K, Q, d: (N * Q, d)), "The task axis is missing"),
        (shapes(x_query=lambda T, N, K, Q, d: (N, T * Q, d)), "Tasks and ways are exchanged"),
        (shapes(lambda T, N, K, Q, d: (T, N, K, d)), "share one axis"),
        (shapes(lambda T, N, K, Q, d: (T, N * Q, d)), "Support and query set are exchanged"),
        (shapes(lambda T, N, K, Q, d: (T, N * (K + Q), d)), "are one here"),
        (shapes(lambda T, N, K, Q, d: (T, N + K, d)), "This is a sum"),
        (shapes(y_query=lambda T, N, K, Q, d: (T, K * Q, N)), "Shots and queries are multiplied"),
        (shapes(y_support=lambda T, N, K, Q, d: (T, N * K)), "The last axis is missing: a target is one-hot"),
        (shapes(y_support=lambda T, N, K, Q, d: (T, K, 1)), "an N-way task has N times as many; and a target is one-hot"),
        (shapes(y_query=lambda T, N, K, Q, d: (T, N * Q, d)), "A target is one-hot"),
        (shapes(lambda T, N, K, Q, d: (d, N * K, T)), "The axes are in another order"),
        (lambda *sizes: [right_shapes(*sizes)[i] for i in (0, 2, 1, 3)], "are right, in another order"),
        (lambda *sizes: [np.zeros(shape) for shape in right_shapes(*sizes)], "its shape is asked for"),
        (lambda *sizes: [(4, 5, 1), (4, 5, 5), (4, 75, 1), (4, 75, 5)], "the same for all sizes"),
        (lambda *sizes: right_shapes(*sizes)[:3], "returned 3 things, expected four shapes"),
        (shapes(lambda T, N, K, Q, d: T * N * K * d), "is no shape"),
        (shapes(lambda T, N, K, Q, d: (T + 1, N + 1, d + 1)), "think of one task first"),
    ],
    "1.2": [
        (loss(judge="support"), "f is judged on the support set"),
        (loss(learn="query", judge="query"), "F was shown the query set:"),
        (loss(learn="support+query"), "F was shown the query set too:"),
        (loss(learn="query", judge="support"), "support and query set are exchanged"),
        (loss_of_the_first_f, "one f, made from the first task"),
        (loss(of_all=lambda losses: losses[0]), "only the first task is counted: "),
        (loss(of_all=lambda losses: losses[-1]), "only the last task is counted: "),
        (loss(of_all=np.sum), "it is the sum over tasks: take the mean"),
        (loss(lambda e: (e**2).sum()), "it is the sum over the query points: take the mean"),
        (loss(np.mean), "the errors are not squared"),
        (loss(lambda e: e.mean() ** 2), "averaged before they are squared"),
        (loss(np.var), "this is the variance of the errors"),
        (loss(lambda e: np.sqrt((e**2).mean())), "a root is taken in each task"),
        (loss(of_all=np.median), "this is the median over the tasks"),
        (loss(lambda e: (e**2).mean() / 2), "a factor 1/2 has slipped in"),
        (loss(judge="support", of_all=np.sum), "and it is the sum over tasks"),
        (loss(of_all=list), "one for each task, expected one number"),
        (loss(of_all=lambda losses: (np.mean(losses),)), "the answer is a tuple of 1, expected one number"),
        (loss(of_all=lambda losses: np.float32(np.mean(losses))), "a precision is lost"),
        (lambda F, batch: np.mean((F(batch.x_support, batch.y_support)(batch.x_query) - batch.y_query) ** 2), "of one task"),
        (lambda F, batch: F, "the answer is a function"),
        (loss_with_changed_targets, "it changes its argument batch.y_query in place"),
    ],
    "1.3": [
        (lambda x, a, p: sum(a) / 2 * np.sin(x - sum(p) / 2), "the mean of the sines is not the sine of the mean"),
        (lambda x, a, p: -1.623 * np.cos(x), "the curve of the paper's ranges"),
        (lambda x, a, p: sum(a) * wave(x, p), "the two amplitudes are added"),
        (lambda x, a, p: a[1] * wave(x, p), "the amplitude is the largest one"),
        (lambda x, a, p: wave(x, p), "the mean amplitude is missing"),
        (lambda x, a, p: length(p) * mean_curve(x, a, p), "not divided by the length of its range"),
        (lambda x, a, p: length(p) / np.pi * mean_curve(x, a, p), "divided by pi"),
        (lambda x, a, p: length(p) * a[1] * wave(x, p), "length of its range, high - low; and the amplitude is the largest"),
        (lambda x, a, p: sum(a) / 2 * (np.cos(x - p[1]) + np.cos(x - p[0])) / length(p), "the two limits are added"),
        (lambda x, a, p: sum(a) / 2 * (np.sin(x - p[1]) - np.sin(x - p[0])) / length(p), "sin stands where its antiderivative"),
        (lambda x, a, p: mean_curve(x, a, (-p[1], -p[0])), "E[sin(x + phi)]"),
        (lambda x, a, p: -mean_curve(x, a, p), "its sign is wrong"),
        (lambda x, a, p: mean_curve(x, p, a), "amplitude and phase are exchanged"),
        (lambda x, a, p: sum(a) / 2 * (np.cos(x - p[1]) - np.cos(x - p[0]) / length(p)), "put the difference in parentheses"),
        (lambda x, a, p: sum(a) / 2 * np.mean([np.sin(x - q) for q in np.linspace(*p, 999)], 0), "near, and not exact"),
        (lambda x, a, p: 0 * x, "the answer is zero everywhere"),
        (lambda x, a, p: mean_curve(x[:, None], a, p), "an axis is too many: remove it"),
        (lambda x, a, p: mean_curve(x, a, p).tolist(), "the answer is a list of 9, expected an array of shape (9,)"),
        (lambda x, a, p: mean_curve(x, a, p).mean(), "one number, expected (9,), one for every x"),
        (lambda x, a, p: mean_curve(x, a, p).astype(np.float32), "a precision is lost"),
        (shifted_in_place, "it changes its argument x in place"),
    ],
    "1.4": [
        (in_place, "it changes its argument theta['W1'] in place"),
        (in_single, "a precision is lost"),
        (loop(down, lambda path: path[0]), "theta has not moved"),
        (loop(down, lambda path: path[1]), "only one step is taken"),
        (loop(down, count=lambda steps: steps - 1), "it is one step too few"),
        (loop(down, count=lambda steps: steps + 1), "it is one step too many"),
        (loop(lambda m, t, x, y, a, *_: t + a * gradient(m, t, x, y)), "the steps go uphill"),
        (loop(lambda m, t, x, y, a, k, start, s: t - a * gradient(m, start, x, y)), "every step uses the gradient at the start"),
        (loop(lambda m, t, x, y, a, k, start, s: start - a * gradient(m, t, x, y)), "every step starts from theta again"),
        (loop(lambda m, t, x, y, a, *_: t - gradient(m, t, x, y)), "the learning rate is missing"),
        (loop(lambda m, t, x, y, a, *_: t - a / len(x) * gradient(m, t, x, y)), "1/n is there twice"),
        (loop(lambda m, t, x, y, a, k, *_: t - a * k * gradient(m, t, x, y)), "k counts from 0"),
        (loop(lambda m, t, x, y, a, *_: t - a * gradient(m, t, y, x)), "x and y are exchanged"),
        (loop(lambda m, t, x, y, a, *_: t - a * gradient(m, t, x[:1], y[:1])), "only the first example is used"),
        (loop(down, lambda path: path[0] - path[-1]), "this is how far theta has moved"),
        (loop(down, lambda path: path), "the answer is a list of 4, expected the last theta alone"),
        (loop(down, lambda path: dict(list(path[-1].items())[:2])), "the answer holds W1, b1, expected W1, b1, W2, b2"),
        (lambda model, theta, x, y, inner_lr, steps: gradient(model, theta, x, y), "this is the gradient"),
        (lambda model, theta, x, y, inner_lr, steps: model.at(theta, x, y), "expected Parameters: return theta"),
        (lambda model, theta, x, y, inner_lr, steps: model.at(theta, x, y).loss, "not its loss"),
        (lambda m, t, x, y, a, s: adapt(m, t, x[None], y[None], inner_lr=a, steps=s), "an axis is too many: remove it"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("number,i", [(number, i) for number, fed in FED.items() for i in range(len(fed))])
def test_a_mistake_is_named(number, i, seed):
    answer, words = FED[number][i]
    refused(number, answer, words, seed=seed)


def point_by_point(F, batch):
    errors = []
    for t in range(len(batch)):
        f = F(batch.x_support[t], batch.y_support[t])
        errors += [float(f(batch.x_query[t][i:i + 1])[0, 0] - batch.y_query[t, i, 0]) for i in range(batch.x_query.shape[1])]
    return sum(error * error for error in errors) / len(errors)


def on_a_copy(model, theta, *given):
    return in_place(model, Parameters({name: array.copy() for name, array in theta.items()}), *given)


def by_recursion(model, theta, x, y, inner_lr, steps):
    return theta if steps == 0 else by_recursion(model, down(model, theta, x, y, inner_lr), x, y, inner_lr, steps - 1)


@pytest.mark.parametrize("number,answer", [
    ("1.1", lambda *sizes: tuple(list(map(np.int64, shape)) for shape in right_shapes(*sizes))),
    ("1.1", lambda *sizes: [np.zeros(shape).shape for shape in right_shapes(*sizes)]),
    ("1.2", point_by_point),
    ("1.2", loss(lambda e: np.linalg.norm(e) ** 2 / len(e))),
    ("1.3", lambda x, a, p: sum(a) * np.sin(x - sum(p) / 2) * np.sin(length(p) / 2) / length(p)),
    ("1.3", lambda x, a, p: np.array([mean_curve(one, a, p) for one in x])),
    ("1.4", on_a_copy),
    ("1.4", by_recursion),
    ("1.4", lambda m, t, x, y, a, s: dict(adapt(m, t, x[None], y[None], inner_lr=a, steps=s).task(0))),
])  # fmt: skip
def test_a_right_answer_may_be_written_in_another_way(number, answer):
    accepted(number, answer)


def test_the_loss_of_F_is_a_mean_over_tasks():
    one = Sinusoids().sample(np.random.default_rng(0), tasks=1)
    twice = TaskBatch(*(np.repeat(getattr(one, part), 2, axis=0) for part in lesson.PARTS))
    assert lesson.loss_of_F(lesson.line, one) == pytest.approx(lesson.loss_of_F(lesson.line, twice))
