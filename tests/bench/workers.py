"""Child processes that time and weigh contestants, each with a number of threads that is fixed when it starts."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from tinymaml.experiment.bench import time_call
from tinymaml.maml import MetaGradient
from tinymaml.nn.allocator import keep_freed_memory

# NumPy's BLAS, PyTorch and JAX (which looks at NPROC) read these once, when they start
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NPROC")


class Worker:
    """A process of its own: `worker.ask(what, ...)` returns its answer or raises its exception. Close it at the end.

    made(name, load): the call that is timed, without arguments. ImportError if its library is not installed.
    """

    def __init__(self, threads: int, made: Callable):
        self.connection, theirs = multiprocessing.Pipe()
        before = {name: os.environ.get(name) for name in THREADS}
        os.environ |= dict.fromkeys(THREADS, str(threads))
        try:
            self.process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, made), daemon=True)
            self.process.start()
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        theirs.close()  # so that its death is noticed

    def ask(self, what: str, *details) -> object:
        """`prepare(name, load)`, `take_turn(name)` or `weigh(name, load)`, done by the worker."""
        try:
            self.connection.send((what, details))
            answer = self.connection.recv()
        except (EOFError, OSError):
            raise RuntimeError("the process died") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        if self.process.is_alive():
            self.connection.send(None)
        self.process.join()


def _serve(connection, made: Callable) -> None:
    keep_freed_memory()  # as the first network does; it serves every library
    calls = {}

    def prepare(name: str, load: object) -> np.ndarray | None:
        """Make the call and run it once, which compiles; the flat gradient, if that is what it gives."""
        calls[name] = made(name, load)
        return flat(calls[name]())

    tasks = {"prepare": prepare, "take_turn": lambda name: time_call(calls[name]), "weigh": partial(_weigh, made)}
    while (request := connection.recv()) is not None:
        what, details = request
        try:
            answer = tasks[what](*details)
        except ImportError as missing:
            answer = ImportError(f"{missing.name} is not installed")
        except Exception as error:  # any failure of a library is a line in the report, not the end of it
            answer = RuntimeError(f"{type(error).__name__}: {error}")
        connection.send(answer)


def flat(result: object) -> np.ndarray | None:
    """The meta-gradient that a contestant's call returned, as one vector; None if it returned something else."""
    if isinstance(result, MetaGradient):
        return result.gradient.flat
    return np.concatenate([np.asarray(a).ravel() for a in result]) if isinstance(result, list | tuple) else None


def _weigh(made: Callable, name: str, load: object) -> float:
    """The MB that a call adds to the peak memory of this fresh process, after imports, a tiny load and the data."""
    import resource
    import sys

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

    made(name, replace(load, width=2, tasks=2))()
    call = made(name, load)
    before = peak()
    call()
    return peak() - before
