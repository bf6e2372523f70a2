"""The cold start: seconds and memory from `python script.py` to a trained network, import and compilation included.

The three scripts of `cold/` train the same network on the same tasks from the same start: tinymaml, JAX (jit, vmap), PyTorch
(torch.func). They take turns, each in a process of its own; times are medians, memory is the largest peak. A library that is
not installed is left out; the run ends if two trainings do not agree.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import median

import report
from meta_gradient import machine
from workers import THREADS

SCRIPTS = {"tinymaml": "with_numpy.py", "JAX": "with_jax.py", "torch.func": "with_torch.py"}
FOLDER = Path(__file__).parent / "cold"
AGREEMENT = 0.1  # of the mean loss of the last tenth: rounding grows with the iterations


def run(script: str, kind: str, iterations: int, threads: int) -> tuple[float, float, float]:
    """Seconds, peak MB and the loss that it printed. ImportError if a library is missing."""
    command = [sys.executable, str(FOLDER / script), kind, str(iterations)]
    packages = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=os.environ | dict.fromkeys(THREADS, str(threads)) | {"PYTHONPATH": packages}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    printed, errors = process.communicate()
    if "ModuleNotFoundError" in errors:
        raise ImportError(errors.strip().rpartition("\n")[2])
    if process.returncode:
        raise SystemExit(f"{script} {kind} {iterations} failed:\n{errors}")
    return seconds, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), float(printed)


def measure(kind: str, iterations: int, threads: int, repeats: int, absent: dict[str, str]) -> list[str]:
    """A row: seconds and MB of each script."""
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in SCRIPTS}
    for _ in range(repeats):
        for name, script in SCRIPTS.items():
            if name not in absent:
                try:
                    found[name].append(run(script, kind, iterations, threads))
                except ImportError as missing:
                    absent[name] = str(missing)
    losses = {name: runs[0][2] for name, runs in found.items() if runs}
    if max(losses.values()) > (1 + AGREEMENT) * min(losses.values()):
        raise SystemExit(f"the trainings of {kind} with {iterations} iterations differ: {losses}")
    cells = [f"{median(r[0] for r in runs):.2f} s, {max(r[1] for r in runs):.0f} MB" if runs else "" for runs in found.values()]
    return [kind, str(iterations), str(threads), *cells]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table, and return the exit status."""
    top = argparse.ArgumentParser(
        description=__doc__.partition("\n\n")[0], epilog=__doc__.partition("\n\n")[2],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )  # fmt: skip
    numbers = {"nargs": "*", "type": int, "metavar": "N"}
    top.add_argument("--sinusoids", **numbers, default=[1000, 15000], help="iterations on sinusoids")
    top.add_argument("--cnn", **numbers, default=[100, 1000], help="iterations of a convolutional network")
    top.add_argument("--threads", **numbers, default=[1, 2], help="one run with each")
    top.add_argument("--repeats", type=int, metavar="N", default=3, help="turns of each script")
    options = top.parse_args(argv)
    absent: dict[str, str] = {}
    todo = [("sinusoids", iterations) for iterations in options.sinusoids] + [("cnn", iterations) for iterations in options.cnn]
    rows = []
    for (kind, iterations), threads in product(todo, options.threads):
        print(f"{kind}, {iterations} iterations, threads: {threads}", file=sys.stderr)
        rows.append(measure(kind, iterations, threads, options.repeats, absent))
    print(", ".join(f"{name} {value}" for name, value in machine().items()) + ".\n")
    print("".join(f"{name} is left out: {reason}.\n" for name, reason in absent.items()))
    print(report.markdown(["training", "iterations", "threads", *SCRIPTS], rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
