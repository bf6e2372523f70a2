"""A comparison over several seeds, one run a seed: in this process, side by side, or on other machines.

    compare_seeds(settings_for_each("sinusoids"), Path("seeds"), [0, 1, 2], executor=ProcessPoolExecutor(2))

`executor` is any `concurrent.futures.Executor`, also one of a cluster: `dask.distributed.Client(...).get_executor()`, or
`mpi4py.futures.MPIPoolExecutor()`. Each seed is a run of its own in the folder seed-N, so that a run that was stopped or
killed continues with `resume`. The results are those of one process, bit for bit.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tinymaml import tasks, validate
from tinymaml.experiment import terminal
from tinymaml.experiment.checkpoint import atomic_write
from tinymaml.experiment.comparison import numbers, run_comparison, training_times
from tinymaml.experiment.folders import locked
from tinymaml.experiment.process import matrix_threads
from tinymaml.settings import PlotStyle, Settings
from tinymaml.tasks import Family
from tinymaml.training.evaluation import Curve, format_number


@dataclass(frozen=True)
class Seed:
    """The results of one seed: curves and training times by method, {method: reason} of those that failed, all numbers."""

    seed: int
    curves: dict[str, Curve]
    styles: dict[str, PlotStyle]
    seconds: dict[str, float]
    failed: dict[str, str]
    unwritten: Sequence[str]
    numbers: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Seeds:
    """The results of `compare_seeds`.

    runs        the settings by method, of the first seed
    found       the results by seed, of the seeds that came to an end
    lost        {seed: reason} of the others
    """

    runs: Mapping[str, Settings]
    found: dict[int, Seed]
    lost: dict[int, str]

    @property
    def family(self) -> Family:
        return tasks.named(next(iter(self.runs.values())).family)

    @property
    def styles(self) -> dict[str, PlotStyle]:
        """The styles of methods and baselines, in the order of the table."""
        return next(iter(self.found.values())).styles if self.found else {}

    def means(self, name: str) -> np.ndarray:
        """The mean over tasks of a method for each seed in which it did not fail: (seeds, S + 1)."""
        return np.array([one.curves[name].mean for one in self.found.values() if name in one.curves])

    def failures(self, name: str) -> dict[int, str]:
        """{seed: reason} of the seeds in which this method failed."""
        return {seed: one.failed[name] for seed, one in self.found.items() if name in one.failed}


def compare_seeds(
    runs: Mapping[str, Settings], folder: Path, seeds: Sequence[int], *, executor: Executor | None = None, resume: bool = False,
    say: Callable[[str], None] = lambda sentence: None,
) -> Seeds:  # fmt: skip
    """`run_comparison` for each seed, in folder/seed-N; then results.json and steps.png of all seeds in `folder`.

    `say` gets a sentence when a seed has come to an end. A seed whose worker was killed is in `lost`. On KeyboardInterrupt
    no further seed is begun, and those at work save their state first.
    """
    seeds = [validate.count("seed", seed, least=0) for seed in seeds]
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds are {', '.join(map(str, seeds)) or 'none'}, expected different numbers: for instance 0, 1, 2")
    first = {name: replace(settings, seed=seeds[0]) for name, settings in runs.items()}
    found: dict[int, Seed] = {}
    lost: dict[int, str] = {}
    with locked(folder):
        for seed, result in _results(runs, folder, seeds, executor, resume):
            if isinstance(result, Seed):
                found[seed] = result
                took = f"{sum(result.seconds.values()):.0f} s of training"
                told = "; ".join([took, *(f"{name} {reason}" for name, reason in result.failed.items()), *result.unwritten])
            else:
                told = lost[seed] = result
            say(f"seed {seed}, {len(found) + len(lost)} of {len(seeds)}: {told}")
        done = Seeds(first, {seed: found[seed] for seed in seeds if seed in found}, lost)
        if done.found:
            write(done, Path(folder))
    return done


def _results(
    runs: Mapping[str, Settings], folder: Path, seeds: Sequence[int], executor: Executor | None, resume: bool
) -> Iterator[tuple[int, Seed | str]]:
    """(seed, its results or the reason why there are none), in the order in which they come to an end."""
    work = {seed: (runs, Path(folder).resolve(), seed, resume) for seed in seeds}
    if executor is None:
        for seed, given in work.items():
            yield seed, one_seed(*given)
        return
    futures = {executor.submit(one_seed, *given): seed for seed, given in work.items()}
    with _stopped_together(futures):
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except (BrokenExecutor, CancelledError):
                yield futures[future], "its process was killed: continue it with --resume (resume=True)"


@contextmanager
def _stopped_together(futures: Mapping[Any, int]) -> Iterator[None]:
    """On KeyboardInterrupt: begin nothing more, hand the signal to processes of this one, and wait until they have saved."""
    try:
        yield
    except KeyboardInterrupt:
        for future in futures:
            future.cancel()
        for process in multiprocessing.active_children():
            with suppress(OSError):
                os.kill(process.pid, signal.SIGINT)
        for future in futures:
            with suppress(BaseException):
                future.exception(timeout=60)
        raise


_stop = False  # in a worker: a signal has come, and whatever it is given next is not begun


def start_worker() -> None:
    """Prepare a process of a `ProcessPoolExecutor`: one thread for products, and the first signal ends its run."""
    terminal.on_signals(terminal.interrupt)
    matrix_threads()


def one_seed(runs: Mapping[str, Settings], folder: Path, seed: int, resume: bool) -> Seed:
    """`run_comparison` of these methods with this seed, in folder/seed-N."""
    global _stop
    if _stop:
        raise KeyboardInterrupt
    try:
        own = {name: replace(settings, seed=seed) for name, settings in runs.items()}
        found = run_comparison(own, folder / f"seed-{seed}", resume=resume, progress=False)
    except KeyboardInterrupt:
        _stop = multiprocessing.parent_process() is not None
        raise
    return Seed(seed, found.curves, found.styles, found.seconds, found.failed, found.unwritten, numbers(found))


def table(done: Seeds) -> str:
    """The median and the range over seeds of each method's mean, the typical interval over tasks, and the paper's results.

    For a metric that can diverge also the median task, and how many tasks have diverged at most. Times are medians.
    """
    metric, shown = done.family.metric, done.family.report_steps
    settings, unit = next(iter(done.runs.values())), 100 if metric.percent else 1
    row = lambda label, cells, end="": f"{label:<26}" + "".join(f"{cell:>24}" for cell in cells) + f"{end:>10}"
    number = lambda value: format_number(unit * value, metric.digits)
    lines = [
        f"{done.family.title(settings)}: {metric.name}{' in %' * metric.percent} on new tasks after gradient steps at "
        f"inner_lr {settings.inner_lr:g}",
        f"(median and range over {len(done.found)} seeds, {', '.join(map(str, done.found))}; trained for "
        f"{settings.iterations:,} iterations)",
        "",
        row("", ["before" if k == 0 else f"{k} step{'s' * (k > 1)}" for k in shown], "diverged" * metric.diverges),
    ]
    for name, style in done.styles.items():
        if curves := [one.curves[name] for one in done.found.values() if name in one.curves]:
            means = done.means(name)
            spread = zip(np.median(means, 0), means.min(0), means.max(0), strict=True)
            cells = [f"{number(middle)} ({number(low)} to {number(high)})" for middle, low, high in spread]
            most = max(curve.diverged_count.max() for curve in curves) if metric.diverges else ""
            lines.append(row(style.label, [cells[k] for k in shown], most))
            typical = {"+- over the tasks": [curve.interval for curve in curves]}
            typical |= {"median task": [curve.median for curve in curves]} if metric.diverges else {}
            for label, rows in typical.items():
                middle = np.median(rows, axis=0)
                lines.append(row(f"  {label}", [number(middle[k]) for k in shown]))
            if paper := name in done.runs and done.family.reported(done.runs[name]):
                lines.append(row("  paper", [str(paper.get(k, "")) for k in shown]))
        for seed, reason in done.failures(name).items():
            lines.append(f"{style.label:<26} seed {seed}: {reason}")
    lines += [f"seed {seed}: {reason}" for seed, reason in done.lost.items()]
    seconds = {name: [one.seconds[name] for one in done.found.values() if name in one.seconds] for name in done.runs}
    lines += training_times(done.styles, {name: np.median(several) for name, several in seconds.items() if several})
    return "\n".join(line.rstrip() for line in lines)


def write(done: Seeds, folder: Path) -> None:
    """results.json with the numbers of all seeds, and steps.png: medians, and bands from the least to the largest mean."""
    finite = lambda values: [value if np.isfinite(value) else None for value in values.tolist()]
    over = {name: done.means(name) for name in done.styles if len(done.means(name))}
    summary = {
        name: {"median": finite(np.median(means, 0)), "least": finite(means.min(0)), "largest": finite(means.max(0))}
        for name, means in over.items()
    }
    facts = {"seeds": {str(seed): one.numbers for seed, one in done.found.items()}, "lost": done.lost, "over_seeds": summary}
    text = json.dumps(facts, indent=1, allow_nan=False).encode()
    atomic_write(folder / "results.json", lambda file: file.write(text))
    try:
        from tinymaml import plot

        metric = done.family.metric
        drawn = plot.bands(over, done.styles, ylabel=f"{metric.name} on new tasks", log=metric.log)
        plot.save(drawn, folder / "steps.png")
    except Exception as error:  # matplotlib, its backend and the disk can raise anything
        terminal.fail(f"{folder / 'steps.png'} could not be written ({type(error).__name__}: {error})", 1)
