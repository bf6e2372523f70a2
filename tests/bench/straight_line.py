"""What NumPy can give at the paper's width: the meta-gradient of 1-40-40-1 as one straight line of calls, beside tinymaml.

`python tests/bench/straight_line.py`. No class, no check, no loop over layers; one inner step. `formed` makes the adapted W2 of
every task, `factored` never does (eq. 14) and computes each product of a task's rows with each other once. Both must give
tinymaml's gradient. What remains between them and JAX is what a compiler fuses: each line is a call with a pass over its arrays.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np
import report
from contest import Contest
from meta_gradient import AGREEMENT
from peers import arrays, jax_vmap
from workload import Workload

LIBRARIES = {"tinymaml": "numpy", "formed": "numpy", "factored": "numpy", "products": "numpy", "JAX": "jax"}


def T(a: np.ndarray) -> np.ndarray:
    return a.swapaxes(-1, -2)


def shared(a: np.ndarray, W: np.ndarray) -> np.ndarray:
    """a W for the rows of all tasks in one product."""
    return (a.reshape(-1, a.shape[-1]) @ W).reshape(*a.shape[:-1], W.shape[-1])


def stacked(a: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Eq. 15: the mean over tasks of a^T D."""
    return a.reshape(-1, a.shape[-1]).T @ D.reshape(-1, D.shape[-1]) / len(a)


def straight_line(load: Workload, factored: bool) -> Callable[[], list[np.ndarray]]:
    """The call that returns the meta-gradient W1, b1, ..., b3. In names, S is the support set at theta and Q the query set."""
    (W1, b1, W2, b2, W3, b3), (x, y, x_Q, y_Q) = arrays(load, np.asarray)
    alpha, n = load.inner_lr, x.shape[1]
    ones = np.ones((1, n), load.dtype)

    def call() -> list[np.ndarray]:
        z1 = x * W1 + b1  # eqs. 1 to 4 on the support set
        s1 = (z1 > 0).astype(z1.dtype)
        a1 = z1 * s1
        z2 = shared(a1, W2) + b2
        s2 = (z2 > 0).astype(z2.dtype)
        a2 = z2 * s2
        D3 = (shared(a2, W3) + b3 - y) * (2 / n)
        D2 = D3 * W3[:, 0] * s2
        D1 = shared(D2, W2.T) * s1

        V1, c1 = W1 - alpha * (T(x) @ D1), b1 - alpha * (ones @ D1)  # eq. 11
        V3, c3 = W3 - alpha * (T(a2) @ D3), b3 - alpha * (ones @ D3)
        c2 = b2 - alpha * (ones @ D2)

        y1 = x_Q * V1 + c1  # eqs. 1 to 4 on the query set, at theta'
        t1 = (y1 > 0).astype(y1.dtype)
        e1 = y1 * t1
        if factored:
            keys = e1 @ T(a1)
            y2 = shared(e1, W2) - alpha * (keys @ D2) + c2  # eq. 14
        else:
            V2 = W2 - alpha * (T(a1) @ D2)
            y2 = e1 @ V2 + c2
        t2 = (y2 > 0).astype(y2.dtype)
        e2 = y2 * t2
        E3 = (e2 @ V3 + c3 - y_Q) * (2 / n)
        E2 = E3 * T(V3) * t2
        if factored:
            values = E2 @ T(D2)
            E1 = (shared(E2, W2.T) - alpha * (values @ a1)) * t1
        else:
            E1 = E2 @ T(V2) * t1
        u1, w1, u3, w3, w2 = T(x_Q) @ E1, ones @ E1, T(e2) @ E3, ones @ E3, ones @ E2
        u2 = None if factored else T(e1) @ E2

        Rz1 = (x * u1 + w1) * s1  # eqs. 5 to 8 along u, for eq. 12
        Rz2 = (shared(Rz1, W2) + (T(keys) @ E2 if factored else a1 @ u2) + w2) * s2
        RD3 = (shared(Rz2, W3) + a2 @ u3 + w3) * (2 / n)
        RD2 = (RD3 * W3[:, 0] + D3 * T(u3)) * s2
        RD1 = (shared(RD2, W2.T) + (T(values) @ e1 if factored else D2 @ T(u2))) * s1

        if factored:
            g2 = stacked(e1, E2) - alpha * (stacked(a1, RD2) + stacked(Rz1, D2))
        else:
            g2 = (u2 - alpha * (T(a1) @ RD2 + T(Rz1) @ D2)).mean(0)
        mean = lambda u, Hu: (u - alpha * Hu).mean(0)  # eqs. 12 and 13
        return [
            mean(u1, T(x) @ RD1), mean(w1, ones @ RD1), g2, mean(w2, ones @ RD2),
            mean(u3, T(a2) @ RD3 + T(Rz2) @ D3), mean(w3, ones @ RD3),
        ]  # fmt: skip

    return call


def products(load: Workload) -> Callable[[], None]:
    """The call that does the products of W2 in the factored form, and nothing else."""
    W, rng = load.build()[0]["W2"], np.random.default_rng(0)
    a, D = rng.standard_normal((2, load.tasks, 10, load.width)).astype(load.dtype)

    def call() -> None:
        for _ in range(3):
            shared(a, W), shared(D, W.T), stacked(a, D)  # forward and back: support, query, R
        for _ in range(2):
            kernel = a @ T(D)
            kernel @ D, T(kernel) @ a

    return call


def made(name: str, load: Workload) -> Callable[[], object]:
    """The call that is timed."""
    return {
        "tinymaml": lambda: load.meta_gradient(), "formed": lambda: straight_line(load, False),
        "factored": lambda: straight_line(load, True), "products": lambda: products(load), "JAX": lambda: jax_vmap(load),
    }[name]()  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print a table; the exit status."""
    top = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0], epilog=__doc__.partition("\n\n")[2])
    top.add_argument("--seconds", type=float, metavar="S", default=20.0, help="for each precision, about (default: 20)")
    options = top.parse_args(argv)
    compared = {name: library for name, library in LIBRARIES.items() if name != "products"}
    contest, rows = Contest(compared, made, [1], 200, options.seconds, {"products": "numpy"}), []
    try:
        for dtype in ("float64", "float32"):
            load = Workload(dtype=dtype)
            seconds = contest.timed(contest.agreeing(load, AGREEMENT[dtype]) | contest.turns(["products"], load))
            rows.append([dtype, *(f"{1000 * seconds[name]['1']:.3f}" if name in seconds else "" for name in LIBRARIES)])
    finally:
        contest.close()
    print("".join(f"{library} is left out: {reason}.\n" for library, reason in contest.absent.items()))
    print(report.markdown(["ms, one thread", *LIBRARIES], rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
