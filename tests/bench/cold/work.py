"""What the three scripts of the cold start share: options, tasks and starts in NumPy, and the line they print."""

import sys

import numpy as np

KIND, ITERATIONS = sys.argv[1], int(sys.argv[2])  # sinusoids or cnn
TASKS, INNER_LR, OUTER_LR = (25, 0.01, 0.001) if KIND == "sinusoids" else (16, 0.4, 0.003)
SIDE, FILTERS, BLOCKS, WAYS, EPS = 28, 16, 4, 5, 1e-5
rng = np.random.default_rng(0)
classes = rng.standard_normal((100, SIDE**2)) if KIND == "cnn" else None


def start() -> dict[str, np.ndarray]:
    """W1, b1, W2, ... of 1-40-40-1 in float64, or of four blocks with batch norm in float32."""
    theta, widths = {}, [1, 40, 40, 1]
    if KIND == "cnn":
        widths = [9, *[9 * FILTERS] * (BLOCKS - 1), 2 * 2 * FILTERS, WAYS]
    outputs = widths[1:] if KIND == "sinusoids" else [*[FILTERS] * BLOCKS, WAYS]
    for l, (d, out) in enumerate(zip(widths, outputs, strict=False), start=1):
        theta |= {f"W{l}": rng.uniform(-(d**-0.5), d**-0.5, (d, out)), f"b{l}": rng.uniform(-(d**-0.5), d**-0.5, (1, out))}
        if KIND == "cnn" and l <= BLOCKS:
            theta |= {f"gamma{l}": np.ones((1, out)), f"beta{l}": np.zeros((1, out))}
    return {name: array.astype("float32" if KIND == "cnn" else "float64") for name, array in theta.items()}


def batch() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x and y of the support sets, x and y of the query sets: 10 and 10 points of a wave, or 1 and 3 noisy images a class."""
    if KIND == "sinusoids":
        x = rng.uniform(-5, 5, (TASKS, 20, 1))
        y = rng.uniform(0.1, 5, (TASKS, 1, 1)) * np.sin(x - rng.uniform(0, np.pi, (TASKS, 1, 1)))
        return x[:, :10], y[:, :10], x[:, 10:], y[:, 10:]
    chosen = np.stack([rng.permutation(len(classes))[:WAYS] for _ in range(TASKS)])
    x = np.tile(classes[chosen], (1, 4, 1)) + 2 * rng.standard_normal((TASKS, 4 * WAYS, SIDE**2))
    x, y = x.astype("float32"), np.tile(np.eye(WAYS, dtype="float32"), (TASKS, 4, 1))
    return x[:, :WAYS], y[:, :WAYS], x[:, WAYS:], y[:, WAYS:]


def report(losses: list) -> None:
    """The mean of the last tenth of the losses: by which one sees that it is the same training."""
    print(np.mean([float(loss) for loss in losses[-ITERATIONS // 10:]]))
