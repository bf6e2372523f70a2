"""One drawing a lesson: what flows where, with the symbols on it. Each function returns a figure."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from figures.diagram import BACK, FORWARD, INK, PALE, arrow, box, canvas, text
from tinymaml import plot


def two_loops() -> Figure:
    """Lesson 01. Inside each task a copy of theta steps on the support set; the losses on the query sets move theta."""
    ax = canvas(9.4, 3.7)
    box(ax, 0.85, 1.75, "$\\theta$\ninitialisation", 1.3, 0.8)
    for row, y in enumerate((2.65, 1.75, 0.85), start=1):
        arrow(ax, (1.5, 1.75 + 0.2 * (2 - row)), (2.45, y), "copy" if row == 1 else "", FORWARD, beside=(-0.1, 0.16))
        box(ax, 2.8, y, "$\\theta$", 0.7, 0.5, FORWARD)
        arrow(ax, (3.15, y), (5.15, y), f"steps on support set {row}", FORWARD)
        box(ax, 5.5, y, "$\\theta_K$", 0.7, 0.5, FORWARD)
        arrow(ax, (5.85, y), (7.35, y), f"query set {row}")
        box(ax, 7.85, y, "$L_Q(\\theta_K)$", 1.0, 0.5)
        ax.plot([8.35, 8.75], [y, y], color=BACK, linewidth=1.6)
    ax.plot([8.75, 8.75, 0.85], [0.85, 3.2, 3.2], color=BACK, linewidth=1.6)
    arrow(ax, (0.85, 3.2), (0.85, 2.17), colour=BACK)
    text(ax, 8.98, 1.75, "mean", rotation=270, color=BACK, fontsize=10)
    text(ax, 4.9, 3.4, "outer loop: once per meta-batch, $\\theta$ moves down the mean of the query losses", color=BACK)
    text(ax, 4.15, 0.3, "inner loop: in every task, a copy of $\\theta$ moves", color=FORWARD)
    return ax.figure


def network() -> Figure:
    """Lesson 02. A network of two layers as a graph, forward above and back below, with every symbol on its edge."""
    ax = canvas(9.4, 3.6)
    forward = [("$x = a_0$", 0.6), ("$z_1$", 2.6), ("$a_1$", 4.4), ("$z_2$", 6.4), ("$L$", 8.6)]
    for words, x in forward:
        box(ax, x, 2.75, words, 0.9, 0.5, FORWARD)
    steps = ["$a_0 W_1 + b_1$   (1)", "$s(z_1)$   (1)", "$a_1 W_2 + b_2$   (1)", "mean of $E(z_2, y)$"]
    for (_, x0), (_, x1), words in zip(forward, forward[1:], steps, strict=False):
        arrow(ax, (x0 + 0.45, 2.75), (x1 - 0.45, 2.75), words, FORWARD, beside=(0, 0.42), fontsize=9.5)
    for words, x in (("$D_1$", 2.6), ("$da_1$", 4.4), ("$D_2$", 6.4)):
        box(ax, x, 1.55, words, 0.9, 0.5, BACK)
    ax.plot([8.6, 8.6], [2.5, 1.55], color=BACK, linewidth=1.6)
    arrow(
        ax,
        (8.6, 1.55),
        (6.85, 1.55),
        "$\\frac{1}{n}\\, \\partial E / \\partial z_2$   (2)",
        BACK,
        beside=(0, 0.22),
        fontsize=10,
    )
    arrow(ax, (5.95, 1.55), (4.85, 1.55), "$D_2 W_2^T$   (4)", BACK, beside=(0.2, 0.4), fontsize=9.5)
    arrow(ax, (3.95, 1.55), (3.05, 1.55), "$* \\, s'(z_1)$   (4)", BACK, beside=(0.0, 0.2), fontsize=9.5)
    for layer, x in ((1, 2.6), (2, 6.4)):
        arrow(ax, (x, 1.3), (x, 0.75), colour=BACK)
        box(
            ax,
            x,
            0.5,
            f"$dW_{layer} = a_{layer - 1}^T D_{layer}$,   $db_{layer} = 1^T D_{layer}$   (3)",
            3.5,
            0.46,
            BACK,
            fill="white",
            fontsize=10,
        )
        arrow(ax, (x, 2.5), (x, 1.8), colour="#999999", dashed=True)
    for start, end in (((0.7, 2.5), (1.3, 0.75)), ((4.85, 2.5), (5.3, 0.75))):
        arrow(ax, start, end, colour="#999999", dashed=True)
    text(ax, 0.6, 3.3, "forward", color=FORWARD, weight="bold")
    text(ax, 0.45, 1.55, "back", color=BACK, weight="bold")
    text(ax, 8.75, 0.62, "dashed: kept\nfrom the way\nforward", fontsize=9, color="#666666")
    return ax.figure


def four_ways() -> Figure:
    """Lesson 03. Four ways to the derivative of f along v at theta, with what each costs and how it errs."""
    ax = canvas(9.4, 3.6)
    rows = [  # name, formula, costs, colour
        ("forward difference", "$[f(\\theta + h v) - f(\\theta)]\\, /\\, h$", "2 values of $f$; error $\\sim h$", plot.GREY),
        ("central difference", "$[f(\\theta + h v) - f(\\theta - h v)]\\, /\\, (2 h)$", "2 values of $f$; error $\\sim h^2$",
         plot.ORANGE),
        ("complex step", "Im $f(\\theta + i h v)\\, /\\, h$", "1 complex value of $f$; error $\\sim h^2$", plot.GREEN),
        ("gradient by hand", "$\\nabla f(\\theta) \\cdot v$", "1 sweep back for all $v$; no $h$", plot.BLUE),
    ]
    box(ax, 0.75, 1.7, "$f,\\ \\theta,\\ v$", 1.1, 0.7)
    for k, (name, formula, costs, colour) in enumerate(rows):
        y = 2.9 - 0.84 * k
        arrow(ax, (1.3, 1.7 + 0.14 * (1.5 - k)), (2.1, y), colour=colour)
        box(ax, 4.5, y, formula, 4.8, 0.5, colour, fill="white")
        text(ax, 2.15, y + 0.39, name, ha="left", fontsize=10, color=colour, weight="bold")
        text(ax, 6.85, y + 0.39, costs, ha="right", fontsize=9.5)
        arrow(ax, (6.9, y), (7.75, 1.7 + 0.14 * (1.5 - k)), colour=colour)
    box(ax, 8.5, 1.7, "$\\frac{d}{dr} f(\\theta + r v)$\nat $r = 0$", 1.5, 0.9)
    return ax.figure


def beside() -> Figure:
    """Lesson 04. The rules of the gradient, and under each its derivative along v; two of these are left to the reader."""
    ax = canvas(9.4, 3.3)
    columns = [  # middle, width, name, a rule, its number, R of it, its number
        (1.4, 2.5, "forward", "$z_l = a_{l-1} W_l + b_l$", 1, "$Rz_l = Ra_{l-1} W_l + a_{l-1} V_l + c_l$", 5),
        (3.8, 1.8, "last layer", "$D_\\Lambda = \\frac{1}{n}\\, \\frac{\\partial E}{\\partial z_\\Lambda}$", 2,
         "$RD_\\Lambda = \\frac{1}{n}\\, \\frac{\\partial^2 E}{\\partial z_\\Lambda^2}\\, Rz_\\Lambda$", 6),
        (6.15, 2.4, "back", "$D_{l-1} = (D_l W_l^T) * s'(z_{l-1})$", 4, "$RD_{l-1} = $ ?", 8),
        (8.4, 1.6, "gradient", "$dW_l = a_{l-1}^T D_l$", 3, "$R\\, dW_l = $ ?", 7),
    ]  # fmt: skip
    for x, width, name, rule, number, derived, second in columns:
        text(ax, x, 3.1, name, weight="bold")
        box(ax, x, 2.5, rule, width, 0.62, FORWARD, fill="white", fontsize=10)
        arrow(ax, (x, 2.19), (x, 1.31), "$R$", BACK, beside=(0.16, 0))
        box(ax, x, 1.0, derived, width, 0.62, BACK, fill="white", fontsize=10)
        text(ax, x - 0.22, 2.05, f"({number})", fontsize=9, color=FORWARD)
        text(ax, x - 0.22, 1.45, f"({second})", fontsize=9, color=BACK)
    for start, end in ((2.65, 2.9), (4.7, 4.95), (7.35, 7.6)):
        arrow(ax, (start, 2.5), (end, 2.5), colour=FORWARD)
        arrow(ax, (start, 1.0), (end, 1.0), colour=BACK)
    told = "upper row: the gradient at $\\theta$.  lower row: the derivative of each line along $v = (V, c)$; at its end is $H v$"
    text(ax, 4.7, 0.3, told, fontsize=9.5, color="#555555")
    return ax.figure


def out_and_back() -> Figure:
    """Lesson 05. The way out from theta_0 to theta_K on the support set, and the way back from u_K to u_0."""
    ax = canvas(9.4, 3.7)
    xs = (1.0, 3.3, 5.6, 7.9)
    names = ("$\\theta_0 = \\theta$", "$\\theta_1$", "$\\theta_2$", "$\\theta_3 = \\theta_K$")
    for k, (x, name) in enumerate(zip(xs, names, strict=True)):
        box(ax, x, 2.6, name, 1.2, 0.55, FORWARD)
        box(ax, x, 0.9, f"$u_{k}$", 1.2, 0.55, BACK)
        if k < 3:
            arrow(
                ax,
                (x + 0.6, 2.6),
                (xs[k + 1] - 0.6, 2.6),
                f"$- \\alpha \\circ \\nabla L_S(\\theta_{k})$",
                FORWARD,
                beside=(0, 0.24),
            )
            arrow(
                ax,
                (xs[k + 1] - 0.6, 0.9),
                (x + 0.6, 0.9),
                f"$- H_S(\\theta_{k})(\\alpha \\circ u_{k + 1})$",
                BACK,
                beside=(0, -0.26),
                fontsize=9.5,
            )
            arrow(ax, (x, 2.32), (x + 0.95, 1.0), colour="#999999", dashed=True)
    arrow(ax, (7.9, 2.32), (7.9, 1.18), "$\\nabla L_Q(\\theta_K)$\non the query set", BACK, beside=(0.72, 0))
    text(ax, 4.45, 3.35, "out (11), on the support set: the task's copy moves", color=FORWARD)
    text(ax, 4.45, 0.25, "back (12), with Hessians of the support set: from the query gradient to $u_0$", color=BACK)
    text(ax, 7.0, 1.75, "dashed: the tape;\neach Hessian is\nthat at its $\\theta_k$", fontsize=9, color="#666666")
    ax.plot([0.4, 0.18, 0.18], [0.9, 0.9, 2.6], color=BACK, linewidth=1.6)
    arrow(ax, (0.18, 2.6), (0.4, 2.6), colour=BACK)
    text(ax, 0.45, 1.75, "(13): the mean\nmoves $\\theta$", rotation=90, fontsize=8.5, color=BACK)
    return ax.figure


def two_landscapes(now: Callable, after: Callable) -> Figure:
    """Lesson 06. The losses of two tasks, now(theta) and after(theta), both (T,), their mean, and its lowest point."""
    figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.0), layout="constrained", sharey=True)
    thetas = np.linspace(0, 7.5, 301)
    for ax, losses, name in (
        (axes[0], now, r"present: the loss at $\theta$"),
        (axes[1], after, r"potential: the loss at $\theta'$, after one step"),
    ):
        values = np.array([losses(theta) for theta in thetas])
        for t, colour in enumerate((plot.BLUE, plot.ORANGE)):
            ax.plot(thetas, values[:, t], color=colour, linestyle=("--", "-.")[t], label=f"task {t + 1}")
        mean = values.mean(1)
        low = mean.argmin()
        ax.plot(thetas, mean, color=INK, linewidth=2.2, label="mean")
        ax.plot(thetas[low], mean[low], "*", color=plot.VERMILION, markersize=15, markeredgecolor="white", zorder=4)
        ax.annotate(f"{mean[low]:.1f} at {thetas[low]:.1f}", (thetas[low], mean[low]), xytext=(0, 12),
                    textcoords="offset points", ha="center", fontsize="small",
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
        ax.set(xlabel=r"initialisation $\theta$", title=name, ylim=(-1, 36))
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("loss")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize="small")
    return figure


def episode(images: np.ndarray, ways: int = 3, shots: int = 2, queries: int = 3) -> Figure:
    """Lesson 07. An episode: a row for each class, support and query set in columns. images (ways, n, side, side)."""
    ax = canvas(8.2, 3.4)
    side, left, top = 0.62, 1.9, 2.45
    for row in range(ways):
        y = top - 0.85 * row
        label = "  ".join("1" if k == row else "0" for k in range(ways))
        text(ax, 0.85, y, f"label {row}\n$y$ = [{label}]", fontsize=9.5)
        for column in range(shots + queries):
            x = left + 0.75 * column + (0.75 if column >= shots else 0) + 0.3
            colour = BACK if column < shots else FORWARD
            ax.imshow(
                images[row, column],
                cmap="Greys",
                extent=(x - side / 2, x + side / 2, y - side / 2, y + side / 2),
                zorder=2,
            )
            ax.add_patch(
                plt.Rectangle(
                    (x - side / 2, y - side / 2), side, side, fill=False, edgecolor=colour, linewidth=1.5, zorder=3
                )
            )
    ax.set(xlim=(0, 8.2), ylim=(0, 3.4), aspect="auto")
    text(ax, left + 0.3 + 0.75 * (shots - 1) / 2, 3.05, "support set: $F$ sees it", color=BACK)
    text(ax, left + 1.05 + 0.75 * (shots + (queries - 1) / 2), 3.05, "query set: $f$ is judged on it", color=FORWARD)
    text(ax, 4.1, 0.2, "Other classes, or the same in another order, make another "
    "task: the label says nothing about the class.", fontsize=9.5,
         color="#555555")  # fmt: skip
    box(ax, 7.25, 1.6, f"{ways}-way\n{shots}-shot", 1.1, 0.7, fill=PALE)
    return ax.figure


def copying() -> Figure:
    """Lesson 08. The same way out, and what each method carries back to theta."""
    ax = canvas(9.4, 3.9)
    rows = (("MAML", 3.0, "$u_3$ goes back through every step (12)", "$u_0$"),
            ("first-order MAML", 1.8, "$u_3$ is copied to $\\theta$, as it is", "$u_3$"),
            ("Reptile", 0.6, "$\\theta - \\theta_3$: no query set, no way back (19)", "$\\theta - \\theta_3$"))  # fmt: skip
    for name, y, words, moved in rows:
        text(ax, 0.95, y + 0.12, name, weight="bold", fontsize=10)
        text(ax, 0.95, y - 0.16, f"moves $\\theta$ along {moved}", fontsize=9, color=BACK)
        for k in range(4):
            box(ax, 2.6 + 1.35 * k, y + 0.2, f"$\\theta_{k}$" if k else "$\\theta$", 0.6, 0.42, FORWARD)
            if k < 3:
                arrow(ax, (2.9 + 1.35 * k, y + 0.2), (3.65 + 1.35 * k, y + 0.2), colour=FORWARD)
                if name == "MAML":
                    arrow(ax, (3.65 + 1.35 * k, y - 0.2), (2.9 + 1.35 * k, y - 0.2), colour=BACK)
        if name != "MAML":
            style = "no query" if name == "Reptile" else ""
            arrow(ax, (6.4, y - 0.2), (2.6, y - 0.2), colour=BACK, dashed=not style)
        if name != "Reptile":
            box(ax, 7.75, y + 0.2, "$\\nabla L_Q(\\theta_3)$", 1.15, 0.42, BACK, fontsize=10)
            arrow(ax, (6.95, y + 0.2), (7.17, y + 0.2))
            arrow(ax, (7.6, y - 0.01), (6.85, y - 0.2), colour=BACK)
        text(ax, 4.6, y - 0.42, words, fontsize=9.5, color=BACK)
    text(ax, 4.6, 3.68, "the way out is the same: steps on the support set (Reptile: on all points)", color=FORWARD)
    return ax.figure


def by_the_rates() -> Figure:
    """Lesson 09. One network in several copies: which layers take the inner step, by their rates alone."""
    ax = canvas(9.4, 3.5)
    moves = r"$\alpha$"
    rows = (("MAML", (moves,) * 3), ("ANIL: the head", ("0", "0", moves)), ("BOIL: the body", (moves, moves, "0")),
            ("NIL: none", ("0", "0", "nearest mean")), ("Meta-SGD: learned,\none an entry", (r"$\alpha_{ij}$",) * 3))  # fmt: skip
    for row, (name, rates) in enumerate(rows):
        y = 2.75 - 0.58 * row
        text(ax, 1.15, y, name, fontsize=10)
        arrow(ax, (2.35, y), (3.0, y), "$x$" if row == 0 else "", beside=(-0.15, 0.2))
        for k, rate in enumerate(rates):
            still, x = rate in ("0", "nearest mean"), 3.6 + 1.75 * k
            colour = "#999999" if still else BACK
            words = rate if rate == "nearest mean" else f"rate {rate}"
            box(ax, x, y, words, 1.15, 0.4, colour, fill="white" if still else "#FBE3D6", fontsize=10)
            arrow(ax, (x + 0.58, y), (x + 1.17, y))
        text(ax, 8.55, y, "$f(x)$", fontsize=10)
    for k, name in enumerate(("$W_1, b_1$", "$W_2, b_2$", "$W_3, b_3$")):
        text(ax, 3.6 + 1.75 * k, 3.15, name)
    text(ax, 4.45, 3.42, "body", fontsize=9, color="#666666")
    text(ax, 7.1, 3.42, "head", fontsize=9, color="#666666")
    return ax.figure


def which_two_numbers() -> Figure:
    """Lesson 10. Four numbers of a run, and what each comparison of two of them tells."""
    ax = canvas(9.4, 3.9)
    own, new = "tasks as in training,\n", "new tasks,\n"
    for x, when in ((2.3, "before any step"), (7.1, "after a step")):
        box(ax, x, 3.1, own + when, 1.9, 0.75, FORWARD, fontsize=10)
        box(ax, x, 0.8, new + when, 1.9, 0.75, BACK, fontsize=10)
    arrow(ax, (3.3, 3.1), (6.1, 3.1), "hardly better: the gradient is taken at $\\theta$", beside=(0, 0.2), fontsize=9)
    arrow(ax, (2.3, 2.7), (2.3, 1.2), "much worse:\ntask shift", beside=(-0.75, 0), fontsize=9)
    arrow(ax, (7.1, 2.7), (7.1, 1.2), "much worse:\nfew tasks", beside=(0.75, 0), fontsize=9)
    arrow(ax, (3.3, 0.8), (6.1, 0.8), "better, but worse after\nmore steps: $\\alpha$ too large", beside=(0, -0.3), fontsize=9)
    text(ax, 1.15, 3.72, "above chance: labels are\nnever shuffled", fontsize=9)
    text(ax, 8.2, 3.72, "far above the meta-loss in training:\nsupport used as query", fontsize=9)
    text(ax, 4.7, 1.95, "and two more: the meta-loss in training, and its jumps", fontsize=9.5, color="#555555")
    return ax.figure


def attention() -> Figure:
    """Lesson 12. A query row goes through the shared W, and past the support rows; the difference is x W'."""
    ax = canvas(8.6, 3.1)
    box(ax, 0.7, 1.75, "query\n$x$", 0.9, 0.7)
    arrow(ax, (1.15, 1.95), (6.0, 2.5), "slow: the shared matrix", beside=(-0.1, 0.26))
    box(ax, 6.5, 2.5, "$x W$", 1.0, 0.5)
    arrow(ax, (1.15, 1.55), (2.35, 1.1), colour=FORWARD)
    box(ax, 3.1, 1.05, "scores\n$x\\, a^T$", 1.5, 0.7, FORWARD)
    arrow(ax, (3.85, 1.05), (5.75, 1.05), "weights", FORWARD)
    box(ax, 6.5, 1.05, "sum of values\n$(x\\, a^T)\\, D$", 1.5, 0.7, FORWARD)
    text(ax, 3.1, 0.2, "keys $a$: the support inputs", color=FORWARD, fontsize=10)
    text(ax, 6.5, 0.2, "values $D$: the support errors", color=BACK, fontsize=10)
    arrow(ax, (3.1, 0.36), (3.1, 0.7), colour=FORWARD)
    arrow(ax, (6.5, 0.36), (6.5, 0.7), colour=BACK)
    box(ax, 8.0, 1.75, "$x W'$", 0.9, 0.6)
    arrow(ax, (7.0, 2.5), (7.75, 2.05))
    arrow(ax, (7.25, 1.15), (7.75, 1.45), "$-\\alpha$", FORWARD, beside=(0.12, -0.14))
    return ax.figure


def three_questions() -> Figure:
    """Lesson 11. What the inner and the outer loop ask of a model, and who answers."""
    ax = canvas(9.4, 3.6)
    box(ax, 1.35, 1.85, "adapt\nmeta_gradient\n(eqs. 11 to 13)", 2.0, 1.3, INK)
    box(ax, 4.7, 1.85, "model.at($\\theta$, x, y)", 1.9, 0.6, BACK, fontsize=10)
    for y, name, above in ((2.3, "loss", 0.35), (1.85, "gradient", 0.16), (1.4, "hvp(v)", -0.35)):
        arrow(ax, (3.75, 1.85 + 0.4 * (y - 1.85)), (2.4, y), name, BACK, beside=(0.05, above))
    models = ("dense network", "convolution", "recurrence", "a layer of your own", "a formula of your own")
    for y, words in zip((3.15, 2.5, 1.85, 1.2, 0.55), models, strict=True):
        box(ax, 7.85, y, words, 2.0, 0.45, FORWARD, fill="white", fontsize=10)
        arrow(ax, (6.85, y), (5.65, 1.85 + 0.12 * (y - 1.85)), colour=FORWARD)
    return ax.figure
