"""The command line: `python -m tinymaml compare`, `train`, `evaluate`.

Bad input gets one sentence on standard error and exit status 2; a diverged run 1; Ctrl-C 130, with the run saved.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from tinymaml import validate
from tinymaml.activations import ACTIVATIONS
from tinymaml.experiment import METHODS, Settings, reopen, run
from tinymaml.optimizers import OPTIMIZERS
from tinymaml.training import Diverged

PAPER_ITERATIONS = 70_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = parser().parse_args(argv)
    try:
        return arguments.command(arguments)
    except Diverged as error:
        return _complain(str(error), 1)
    except KeyboardInterrupt:
        return _complain("stopped; what was trained so far is saved, and --resume goes on from there", 130)
    except (ValueError, TypeError, OSError) as error:
        return _complain(str(error), 2)


def _complain(sentence: str, status: int) -> int:
    print(f"tinymaml: {sentence}", file=sys.stderr)
    return status


def parser() -> argparse.ArgumentParser:
    """All commands and options."""
    top = argparse.ArgumentParser(prog="tinymaml", description="Model-Agnostic Meta-Learning in NumPy, gradient by gradient.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    compare = commands.add_parser(
        "compare",
        help="MAML against pre-training on sinusoids: train, evaluate, print a table, draw",
        description="Train MAML, first-order MAML, pre-training and an oracle on the same stream of sinusoid tasks, adapt each "
        "to the same new tasks, print their errors beside the paper's, and write figures and results.json into a folder.",
    )
    compare.set_defaults(command=_compare)
    train = commands.add_parser(
        "train",
        help="train one initialisation and keep it in a checkpoint",
        description="Train one initialisation on sinusoid tasks and keep it in a checkpoint that can be resumed or evaluated.",
    )
    train.set_defaults(command=_train)
    train.add_argument("--method", choices=METHODS, default="maml", help="what moves the initialisation (default: maml)")
    for command in (compare, train):
        _add_settings(command)

    evaluate = commands.add_parser(
        "evaluate",
        help="adapt a trained initialisation to new tasks and print its error step by step",
        description="Adapt the initialisation in CHECKPOINT to new tasks and print the error on their query sets after each step.",
    )
    evaluate.set_defaults(command=_evaluate)
    evaluate.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="the .npz file that train or compare wrote")
    evaluate.add_argument("--steps", type=int, default=10, help="gradient steps on each support set (default: 10)")
    evaluate.add_argument("--tasks", type=int, default=1000, help="how many new tasks (default: 1000)")
    evaluate.add_argument("--shots", type=int, help="support points of a task (default: as in training)")
    evaluate.add_argument("--inner-lr", type=float, help="inner learning rate (default: as in training; another is often fatal)")
    evaluate.add_argument("--seed", type=int, help="which new tasks (default: the seed of training)")
    return top


def _add_settings(command: argparse.ArgumentParser) -> None:
    default = {field.name: field.default for field in fields(Settings)}

    def option(name: str, kind: type, text: str, **more) -> None:
        value = default[name]
        command.add_argument(f"--{name.replace('_', '-')}", type=kind, default=value, help=f"{text} (default: {value})", **more)

    option("shots", int, "support points of a task, what it adapts on")
    option("queries", int, "query points of a task in training, what the adapted copy is judged on")
    option("tasks", int, "tasks in a meta-batch, one outer step each")
    option("steps", int, "inner-loop gradient steps in training")
    option("inner_lr", float, "learning rate of the inner loop, alpha")
    option("outer_lr", float, "learning rate of the outer loop, beta")
    option("optimizer", str, "outer optimiser", choices=OPTIMIZERS)
    option("width", int, "units in each of the two hidden layers")
    option("activation", str, "after each hidden layer", choices=ACTIVATIONS)
    option("seed", int, "decides the initialisation and the tasks")
    option("dtype", str, "precision", choices=("float64", "float32"))
    length = command.add_mutually_exclusive_group()
    length.add_argument(
        "--iterations", type=int, default=default["iterations"], help=f"outer steps, in all (default: {default['iterations']})"
    )
    length.add_argument(
        "--paper", dest="iterations", action="store_const", const=PAPER_ITERATIONS, help=f"the paper's {PAPER_ITERATIONS} outer steps"
    )
    command.add_argument("--out", type=Path, metavar="FOLDER", help="where everything is written (default: a new folder in runs/)")
    command.add_argument("--resume", action="store_true", help="go on with the run in the folder, bit for bit as if never stopped")
    command.add_argument("--quiet", action="store_true", help="no progress bars")


def _settings(arguments: argparse.Namespace) -> Settings:
    return Settings(**{f.name: getattr(arguments, f.name) for f in fields(Settings) if hasattr(arguments, f.name)})


def _folder(arguments: argparse.Namespace, name: str) -> Path:
    """The folder of this run, made if need be: --out, or runs/NAME-1, -2, ... (with --resume the newest of them)."""
    folder = arguments.out
    if folder is None:
        number = 1
        while (Path("runs") / f"{name}-{number + arguments.resume}").exists():
            number += 1
        folder = Path("runs") / f"{name}-{number}"
    if arguments.resume and not any(folder.glob("*.npz")):
        raise ValueError(f"there is no run to resume in {folder}: leave --resume out, or name its folder with --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"cannot make the folder {folder} ({error.strerror}): choose another with --out") from error
    if not os.access(folder, os.W_OK):
        raise OSError(f"cannot write into {folder}: choose another folder with --out")
    return folder


def _compare(arguments: argparse.Namespace) -> int:
    from tinymaml.compare import compare, table

    settings = _settings(arguments)
    folder = _folder(arguments, "compare-sinusoids")
    found = compare(settings, folder, resume=arguments.resume, progress=not arguments.quiet)
    print(table(found))
    print(f"figures, results.json and checkpoints are in {folder}")
    return 0


def _train(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    folder = _folder(arguments, f"train-{settings.method}")
    path = folder / f"{settings.method}.npz"
    state = run(settings, path, resume=arguments.resume, progress=not arguments.quiet)
    recent = state.losses[-100:].mean()
    print(f"{state.iteration:,} iterations done; the loss of the last 100 batches is {recent:.3f}; saved in {path}")
    print(f"next: python -m tinymaml evaluate {path}")
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from tinymaml.evaluation import evaluate
    from tinymaml.experiment import model, sampler, stream

    state, settings = reopen(arguments.checkpoint)
    changes = {name: getattr(arguments, name) for name in ("shots", "inner_lr", "seed") if getattr(arguments, name) is not None}
    settings = replace(settings, **changes)
    tasks = validate.count("tasks", arguments.tasks)
    batch = sampler(settings)(stream(settings.seed, "testing tasks"), tasks=tasks, queries=100)
    curve = evaluate(model(settings), state.theta, batch, inner_lr=settings.inner_lr, steps=arguments.steps)
    print(f"{METHODS[settings.method]}, {state.iteration:,} iterations; {tasks} new {settings.shots}-shot tasks, inner_lr {settings.inner_lr:g}")
    print(f"{'steps':>5}  {'mean +- 95 %':>16}  {'median':>8}  {'diverged':>8}")
    for k in range(arguments.steps + 1):
        mean = f"{curve.mean[k]:.3f} +- {curve.interval[k]:.3f}"
        print(f"{k:>5}  {mean:>16}  {curve.median[k]:>8.3f}  {curve.count[k]:>8}")
    return 0
