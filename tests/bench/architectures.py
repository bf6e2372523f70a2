"""The meta-gradient of a convolutional and a recurrent network beside JAX and PyTorch: `python tests/bench/architectures.py`.

As in `meta_gradient.py`, every library runs in processes of its own, they take turns, and a time is the median of a
contestant's turns. Before anything is timed all must give the same gradient, in float64 to many digits and in the precision that
is timed. A library that is not installed is left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import report
from architecture_peers import CONTESTANTS, Architecture, made
from contest import Contest
from meta_gradient import cores, machine

AGREEMENT = {"float64": 1e-10, "float32": 1e-4}  # largest difference of two gradients, relative, in the norm
LOAD = ["model", "norm", "dtype", "tasks", "width"]


def loads(options: argparse.Namespace) -> list[Architecture]:
    """What is measured."""
    return [
        *(Architecture("CNN", filters, norm, options.dtype, 16) for norm in options.norms for filters in options.filters),
        *(Architecture("RNN", units, "none", options.dtype, 25) for units in options.units),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the options ask for, print a table a model, write the file; the exit status."""
    options = parse(argv)
    tables, measured, absent = [], [], {}
    for model in CONTESTANTS:
        chosen = [load for load in loads(options) if load.model == model]
        libraries = {
            name: library for name, (library, _) in CONTESTANTS[model].items()
            if library in ("numpy", *options.peers) and (options.kernels or name != "JAX kernels")
        }
        contest, found = Contest(libraries, made, options.threads, options.rounds, options.seconds), []
        try:
            for load in chosen:
                print(load, file=sys.stderr)
                contest.agreeing(replace(load, dtype="float64"), AGREEMENT["float64"])
                found.append(asdict(load) | {"seconds": contest.timed(contest.agreeing(load, AGREEMENT[load.dtype]))})
        finally:
            contest.close()
        absent |= contest.absent
        measured += found
        tables += [report.times(found, contest.present, LOAD)] * bool(found)
    print("\n\n".join([
        ", ".join(f"{name} {value}" for name, value in machine().items()) + ".",
        *(f"{library} is left out: {reason}." for library, reason in absent.items()),
        f"Milliseconds of one exact meta-gradient with one inner step, threads: {' / '.join(map(str, options.threads))}; ratios "
        "are of the better of each. All gave the same gradient.",
        *tables,
    ]))  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "absent": absent, "compare": measured}, indent=1) + "\n")
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    top = argparse.ArgumentParser(
        description=__doc__.partition("\n\n")[0], epilog=__doc__.partition("\n\n")[2],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )  # fmt: skip
    numbers = {"nargs": "*", "metavar": "N", "type": int}
    top.add_argument("--filters", **numbers, default=[8, 16, 32], help="of each block of the convolutional network")
    top.add_argument("--norms", nargs="+", choices=("batch", "none"), default=["batch", "none"], help="of its blocks")
    top.add_argument("--units", **numbers, default=[20, 40], help="of the recurrent network")
    top.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="precision that is timed")
    top.add_argument("--peers", nargs="*", choices=("jax", "torch"), default=["jax", "torch"], help="libraries to compare with")
    top.add_argument("--kernels", action="store_true", help="also JAX with its own convolution: minutes for each load")
    top.add_argument("--threads", **numbers, default=sorted({1, cores()}), help="one run with each")
    top.add_argument("--rounds", type=int, metavar="N", default=15, help="turns of each contestant at most")
    top.add_argument("--seconds", type=float, metavar="S", default=20.0, help="for the turns of a load, about")
    top.add_argument("--json", type=Path, metavar="FILE", help="write every number there")
    return top.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
