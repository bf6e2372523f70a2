"""The meta-gradient's time and memory beside JAX and PyTorch: `python tests/bench/meta_gradient.py`, --help for options.

Every library runs in processes of its own, one with one thread and one with all cores, as threads are fixed when a
library starts. One process works at a time: contestants take turns, round after round, and a time is the median of a
contestant's turns. Before anything is timed all must give the same gradient. A library that is not installed is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path

import report
from contest import Contest
from peers import CONTESTANTS, OTHERS, made
from workers import Worker
from workload import Workload, efficiency

from tinymaml.experiment.bench import ITERATIONS

AGREEMENT = {"float64": 1e-9, "float32": 1e-3}  # largest difference of two gradients, relative, in the norm


class Bench(Contest):
    """What is measured of one load."""

    def compare(self, load: Workload) -> dict:
        """The seconds of every contestant, once all agree on the gradient, and the share of the product's speed."""
        turns = self.agreeing(load, AGREEMENT[load.dtype]) | self.turns(["product"], load)
        found = self.timed(turns)
        bare = found.pop("product")
        return {
            **asdict(load), "seconds": found, "product_seconds": bare, "multiply_adds": load.multiply_adds,
            "share": efficiency(load, report.best(found["tinymaml"]), report.best(bare)),
        }

    def iterate(self, load: Workload) -> dict:
        """The seconds of a whole training iteration."""
        names = ["iteration", "JAX iteration"] if "JAX" in self.contestants else ["iteration"]
        found = self.timed(self.turns(names, load))
        return {**asdict(load), "seconds": {n: {k: s / ITERATIONS for k, s in found[n].items()} for n in found}}

    def weigh(self, load: Workload) -> dict:
        """The MB that a meta-gradient takes at most, each contestant in a fresh process with all threads."""
        found = {}
        for name in self.contestants:
            library = self.libraries[name]
            if library not in self.absent:
                worker = Worker(max(self.threads), self.made)
                try:
                    found[name] = worker.ask("weigh", name, load)
                except ImportError as missing:
                    self.absent[library] = str(missing)
                finally:
                    worker.close()
        return {**asdict(load), "megabytes": found}


def plan(options: argparse.Namespace) -> list[tuple[str, Workload]]:
    """What is measured, the most telling first and then the cheapest: ("weigh", "iterate" or "compare", the load)."""
    loads = [
        Workload(width, steps, dtype, options.tasks[0], kind)
        for kind, steps, dtype, width in product(options.kinds, options.steps, options.dtypes, options.widths)
    ]
    first = loads[:len(options.widths)]  # of the first kind, dtype and number of steps: all widths
    by_tasks = [replace(first[0], tasks=tasks) for tasks in options.tasks[1:]]
    by_dtype = [replace(load, kind="regression", dtype=dtype) for dtype in options.dtypes for load in first]
    return [
        *(("compare", load) for load in first + by_tasks),
        *(("iterate", load) for load in by_dtype),
        ("weigh", first[-1]),
        *(("compare", load) for load in sorted(loads[len(first):], key=lambda load: load.steps * load.width**2)),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the options ask for, print the tables, write the files; the exit status."""
    options, began = parse(argv), time.perf_counter()
    contestants = {name: library for name, (library, _) in CONTESTANTS.items() if library in ("numpy", *options.peers)}
    others = {name: library for name, (library, _) in OTHERS.items()}
    bench = Bench(contestants, made, options.threads, options.rounds, options.seconds, others)
    found = {"machine": machine(), "threads": options.threads, "absent": bench.absent, "compare": [], "iterate": [], "weigh": []}
    todo = plan(options)
    try:
        for i, (what, load) in enumerate(todo):
            elapsed = time.perf_counter() - began
            if elapsed > 60 * options.minutes:
                print(f"\nout of time: {len(todo) - i} of {len(todo)} measurements are left out", file=sys.stderr)
                break
            print(f"{elapsed:4.0f} s  {i + 1}/{len(todo)}  {what} {load}", file=sys.stderr)
            try:
                found[what].append(getattr(bench, what)(load))
            except RuntimeError as failure:  # out of memory, as a rule: the other loads go on
                print(f"left out: {failure}", file=sys.stderr)
    finally:
        bench.close()
    print(report.whole(found, bench.present))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if options.figure and found["compare"]:
        report.figure(found["compare"], bench.present, options.figure)
    return 0


def machine() -> dict[str, str]:
    """What the numbers depend on."""
    versions = {}
    for package in ("numpy", "jax", "torch"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {"processor": platform.machine(), "cores": str(cores()), "python": platform.python_version(), **versions}


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    top = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0], epilog=__doc__.partition("\n\n")[2])
    one_of = {"nargs": "+", "metavar": "NAME"}
    numbers = {"nargs": "+", "metavar": "N", "type": int}
    top.add_argument("--quick", action="store_true", help="few sizes and few rounds, in less than a minute")
    top.add_argument("--widths", **numbers, help="of the two hidden layers (default: 40 128 400 1024)")
    top.add_argument("--tasks", **numbers, help="the first at every width, the others at the first width (default: 25 5 100)")
    top.add_argument("--steps", **numbers, help="inner steps (default: 1 5)")
    top.add_argument("--dtypes", **one_of, choices=("float64", "float32"), help="default: both")
    top.add_argument("--kinds", **one_of, choices=("regression", "classification"), help="default: both")
    top.add_argument("--peers", nargs="*", metavar="NAME", choices=("jax", "torch"), help="default: both")
    top.add_argument("--threads", **numbers, help=f"default: one and all cores, here 1 {cores()}")
    top.add_argument("--rounds", type=int, metavar="N", help="turns of each contestant at most (default: 15)")
    top.add_argument("--seconds", type=float, metavar="S", help="for the turns of a load, about (default: 3)")
    top.add_argument("--minutes", type=float, metavar="M", help="no new load after that (default: 9)")
    top.add_argument("--json", type=Path, metavar="FILE", help="write every number there")
    top.add_argument("--figure", type=Path, metavar="FILE", help="draw time against width and against tasks there")
    full = {
        "widths": [40, 128, 400, 1024], "tasks": [25, 5, 100], "steps": [1, 5], "dtypes": ["float64", "float32"],
        "kinds": ["regression", "classification"], "peers": ["jax", "torch"],
        "threads": sorted({1, cores()}), "rounds": 15, "seconds": 3.0, "minutes": 9.0,
    }
    quick = {
        "widths": [40, 128], "tasks": [25], "steps": [1], "dtypes": ["float64"], "kinds": ["regression"],
        "rounds": 7, "seconds": 1.0, "minutes": 0.7,
    }
    options = top.parse_args(argv)
    for name, value in (full | (quick if options.quick else {})).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


if __name__ == "__main__":
    raise SystemExit(main())
