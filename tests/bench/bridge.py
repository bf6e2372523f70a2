"""The PyTorch and JAX code that the lessons print, run as it is printed, and compared with tinymaml.

    python tests/bench/bridge.py        # needs torch and jax; fails unless the numbers agree

The blocks are those of lesson 05 and of lessons/README.md that import torch or jax.
"""

import contextlib
import io
import json
import re
from pathlib import Path

import numpy as np

from tinymaml import MLP, Parameters, meta_gradient
from tinymaml.check import relative_error
from tinymaml.check.golden import Linear
from tinymaml.tasks import TaskBatch

LESSONS = Path(__file__).resolve().parents[2] / "lessons"


def blocks() -> list[str]:
    """The Python blocks that import torch or jax: two of lesson 05, then the one of lessons/README.md."""
    notebook = json.loads((LESSONS / "05_gradient_by_gradient.ipynb").read_text(encoding="utf-8"))
    pages = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    pages.append((LESSONS / "README.md").read_text(encoding="utf-8"))
    found = [block for page in pages for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL)]
    return [block for block in found if re.search(r"^import (torch|jax)$", block, re.MULTILINE)]


def run(block: str) -> tuple[str, dict]:
    """What the block prints, and the names it leaves."""
    names, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(block, names)
    return printed.getvalue().strip(), names


def whole_numbers() -> np.ndarray:
    """The meta-gradient of lesson 05's example in whole numbers."""
    row = lambda numbers: np.array(numbers, float).reshape(1, 1, -1)
    batch = TaskBatch(row([1, 2, 3]), row([0]), row([4, 5, 6]), row([0]))
    return meta_gradient(Linear(3), Parameters(w=row([2, 3, 5])[0].T), batch, inner_lr=0.5).gradient.flat


def main() -> None:
    *short, model = blocks()
    wanted = whole_numbers()
    for block in short:
        printed, _ = run(block)
        got = np.array([float(number) for number in re.findall(r"-?\d+\.\d*", printed)])
        said = re.findall(r"# (\S*\[.*\]\)?)\n*\Z", block)
        assert np.array_equal(got, wanted), f"{printed}, expected {wanted}"
        assert said == [printed], f"the lesson says {said}, the code prints {printed}"
        print(f"{block.split()[1]:<6} {printed}: as tinymaml")

    printed, names = run(model)
    print(printed)
    torch_model, theta, batch = names["model"], names["theta"], names["batch"]
    ours = MLP([1, 40, 1], activation="tanh")
    same = Parameters(W1=theta["0.weight"].T, b1=theta["0.bias"][None], W2=theta["2.weight"].T, b2=theta["2.bias"][None])
    for steps in (1, 5):
        theirs = meta_gradient(torch_model, theta, batch, inner_lr=0.01, steps=steps).gradient
        mine = meta_gradient(ours, same, batch, inner_lr=0.01, steps=steps).gradient
        error = max(relative_error(theirs[a].T, mine[b].reshape(theirs[a].T.shape))
                    for a, b in (("0.weight", "W1"), ("0.bias", "b1"), ("2.weight", "W2"), ("2.bias", "b2")))  # fmt: skip
        print(f"{steps} step{'s' * (steps > 1)}: torch model and tinymaml's MLP agree to {error:.0e}")
        assert error < 1e-10


if __name__ == "__main__":
    main()
