"""The command line: `python -m tinymaml compare`, `train`, `evaluate`, `check`, `bench`.

Every expected exception becomes one sentence on standard error. Exit status: 2 for bad input; 1 for a diverged run, a file
that could not be written or a failed check; 130 for Ctrl-C, 143 for SIGTERM and 129 for a closed terminal, after saving.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shlex
import sys
import traceback
import warnings
from collections.abc import Sequence
from concurrent import futures  # which imports its pool when it is asked for: under WebAssembly there is none
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinymaml import methods, tasks, validate
from tinymaml.experiment import bench, folders, run
from tinymaml.experiment.arguments import overrides, parser
from tinymaml.experiment.options import refuse_unused, settings_for, settings_for_each
from tinymaml.experiment.process import matrix_threads
from tinymaml.experiment.terminal import fail, program, status
from tinymaml.methods.maml import MOST
from tinymaml.settings import Settings
from tinymaml.training.evaluation import format_interval, format_number
from tinymaml.training.loop import Diverged


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    commands = {"compare": _compare, "train": _train, "evaluate": _evaluate, "check": _check, "bench": _bench}
    arguments = parser(commands).parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *more: fail(str(message), 0)
            matrix_threads(arguments.threads)
            return arguments.command(arguments)
    except KeyboardInterrupt as stop:
        kept = hasattr(arguments, "pattern") and any(arguments.out.rglob(arguments.pattern))
        saved = f"; the training so far is saved in {arguments.out}, and --resume continues it" if kept else ""
        return fail(f"stopped{saved}", status(stop))
    except (MemoryError, OverflowError) as error:
        what = f" ({error})" if str(error) else ""
        return fail(f"a number is too large for the memory of this machine{what}: lower it", 2)
    except (ValueError, TypeError, OSError, Diverged) as error:
        return fail(f"{error}{_where(error)}", 1 if isinstance(error, Diverged) else 2)


def _where(error: Exception) -> str:
    """The file and line of an error of Python or NumPy, perhaps a bug in a user's method; "" for an error of tinymaml."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    ours = isinstance(error, OSError) or (last.line or "").startswith("raise")
    return "" if ours else f" ({type(error).__name__} in {last.filename}, line {last.lineno})"


# -- commands ------------------------------------------------------------------------------------------------


def _compare(arguments: argparse.Namespace) -> int:
    from tinymaml.experiment.comparison import run_comparison, table

    if arguments.seeds is not None:
        return _compare_seeds(arguments)
    if arguments.jobs is not None:
        raise ValueError("--jobs is for several seeds: give them with --seeds, or leave it out")
    by_folder = _by_folder(arguments)
    for settings in (each for runs in by_folder.values() for each in runs.values()):
        family = tasks.named(settings.family)
        _dry_run(settings, family.test_tasks, family.test_queries)
    out = _folder(arguments, f"compare-{arguments.family}", "*.npz")
    failed = False
    with folders.locked(out):
        for name, runs in by_folder.items():
            show = lambda found: print(table(found), end="\n\n", flush=True)
            found = run_comparison(runs, out / name, resume=arguments.resume, progress=not arguments.quiet, show=show)
            failed |= bool(found.failed or found.unwritten)
    print(f"figures, results.json and checkpoints are in {out}")
    return int(failed)


def _compare_seeds(arguments: argparse.Namespace) -> int:
    from tinymaml.experiment.seeds import compare_seeds, start_worker, table

    if arguments.seed is not None:
        raise ValueError("--seed and --seeds are both given: leave one out")
    seeds = [_whole(text) for text in arguments.seeds.split(",")]
    jobs = 1 if arguments.jobs is None else validate.count("jobs", arguments.jobs, most=256)
    by_folder, failed = _by_folder(arguments), False
    for settings in (replace(each, seed=seeds[0]) for runs in by_folder.values() for each in runs.values()):
        family = tasks.named(settings.family)
        _dry_run(settings, family.test_tasks, family.test_queries)
    out = _folder(arguments, f"compare-{arguments.family}", "*.npz")
    say = (lambda sentence: None) if arguments.quiet else (lambda sentence: print(sentence, file=sys.stderr, flush=True))
    context = multiprocessing.get_context("spawn")
    pool = futures.ProcessPoolExecutor(jobs, mp_context=context, initializer=start_worker) if jobs > 1 else None
    with folders.locked(out), pool or nullcontext():
        for name, runs in by_folder.items():
            found = compare_seeds(runs, out / name, seeds, executor=pool, resume=arguments.resume, say=say)
            print(table(found), end="\n\n", flush=True)
            failed |= bool(found.lost) or any(one.failed or one.unwritten for one in found.found.values())
    print(f"figures, results.json and the runs of all seeds are in {out}")
    return int(failed)


def _whole(text: str) -> int:
    if not text.strip().isdecimal():
        raise ValueError(f"--seeds has {text.strip()!r}, expected whole numbers with commas between them, as in 0,1,2")
    return int(text)


def _by_folder(arguments: argparse.Namespace) -> dict[str, dict[str, Settings]]:
    """{subfolder of --out: {method: settings}} of a comparison, with one subfolder per number of shots."""
    chosen = [name.strip() for name in arguments.methods.split(",")] if arguments.methods is not None else None
    given = overrides(arguments)
    several = {} if "shots" in given else {f"{shots}-shot": {"shots": shots} for shots in tasks.named(arguments.family).shots}
    found = {
        name: settings_for_each(arguments.family, chosen, **given, **shots) for name, shots in (several or {"": {}}).items()
    }  # fmt: skip
    refuse_unused(next(iter(found.values())), given)
    return found


def _train(arguments: argparse.Namespace) -> int:
    given = overrides(arguments)
    settings = settings_for(arguments.family, arguments.method, **given)
    refuse_unused({settings.method: settings}, given)
    _dry_run(settings, 1, 1)
    file = f"{settings.method}.npz"
    path = _folder(arguments, f"train-{settings.family}-{settings.method}", file) / file
    state = run.run(settings, path, resume=arguments.resume, progress=not arguments.quiet)
    recent = state.losses[-100:]
    mean = f"the mean loss of the last {len(recent)} batches is {format_number(recent.mean())}"
    print(f"{state.iteration:,} iterations done; {mean}; saved in {path}")
    data = f" --data {shlex.quote(settings.options['data'])}" if "data" in settings.options else ""
    print(f"next: {program()} evaluate {shlex.quote(str(path))}{data}")
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    state, settings = run.load_run(arguments.checkpoint, arguments.data)
    family, method = tasks.named(settings.family), methods.named(settings.method)
    if arguments.inner_lr is not None and not method.uses_inner_lr(settings):
        how = "adapts with its own learning rates" if method.adapts else "does not adapt"
        raise ValueError(f"--inner-lr is {arguments.inner_lr:g}, but {method.name} {how}: leave it out")
    given = {name: value for name in ("shots", "inner_lr") if (value := getattr(arguments, name)) is not None}
    test = replace(settings, **given)  # for the new tasks; the training classes depend on the settings of the run
    count, steps = validate.count("tasks", arguments.tasks), validate.count("steps", arguments.steps, most=MOST)
    batch = run.new_tasks(test, count, family.test_queries, arguments.seed)
    curve = run.evaluate_method(replace(settings, inner_lr=test.inner_lr), state.theta, batch, steps)
    rate = "its own learning rates" if method.adapts else "no adaptation"
    rate = f"inner_lr {test.inner_lr:g}" if method.uses_inner_lr(settings) else rate
    what = f"{count} new task{'s' * (count > 1)}, {family.title(test)}, {rate}"
    print(f"{method.style.label}, {state.iteration:,} iterations; {what}")
    print(f"{'steps':>5}  {family.metric.name:>18}  {'median':>8}  {'diverged':>8}")
    for k in range(steps + 1):
        mean = format_interval(curve.mean[k], curve.interval[k])
        print(f"{k:>5}  {mean:>18}  {format_number(curve.median[k]):>8}  {curve.diverged_count[k]:>8}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from tinymaml.check import ladder

    networks = validate.count("networks", arguments.networks, most=100_000)
    return ladder.run(seed=validate.count("seed", arguments.seed, least=0), networks=networks)


def _bench(arguments: argparse.Namespace) -> int:
    return bench.run()


# -- folders -------------------------------------------------------------------------------------------------


def _dry_run(settings: Settings, count: int, queries: int) -> None:
    """Sample a few tasks before a folder is made; ValueError or OSError if that fails or a run would not fit into memory."""
    run.fits(settings)
    run.fits(settings, count, queries)
    run.sampler(settings)(np.random.default_rng(0))
    run.new_tasks(settings, 1, queries)


def _folder(arguments: argparse.Namespace, name: str, pattern: str) -> Path:
    """The folder of this run: --out, or a new one in runs/; with --resume one that holds a checkpoint of this pattern."""
    if not arguments.out:
        arguments.out = folders.latest(name, pattern) if arguments.resume else folders.new(name)
    arguments.pattern = pattern
    if arguments.resume and not any(arguments.out.rglob(pattern)):
        lacking = f"there is no run to resume in {arguments.out}, no {pattern}"
        raise ValueError(f"{lacking}: leave --resume out, or name its folder with --out")
    return arguments.out
