"""The command line: `python -m tinymaml compare`, `train`, `evaluate`, `check`, `bench`.

Bad input gets one sentence on standard error and exit status 2; a diverged run or a failed check 1; Ctrl-C 130, with
the run saved.
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
from tinymaml.process import keep_freed_memory
from tinymaml.settings import DEFAULTS, METHODS, Settings, defaults
from tinymaml.training import Diverged

PAPER_ITERATIONS = 70_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = parser().parse_args(argv)
    keep_freed_memory()
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


# -- commands ------------------------------------------------------------------------------------------------


def _compare(arguments: argparse.Namespace) -> int:
    from tinymaml.compare import compare, table

    runs = _runs(arguments)
    folder = _folder(arguments, f"compare-{arguments.problem}")
    for name, settings in runs.items():
        place = folder / name
        place.mkdir(exist_ok=True)
        print(table(compare(settings, place, resume=arguments.resume, progress=not arguments.quiet)), end="\n\n")
    print(f"figures, results.json and checkpoints are in {folder}")
    return 0


def _runs(arguments: argparse.Namespace) -> dict[str, Settings]:
    """The settings to compare under, by the folder within the output folder that each goes to."""
    if arguments.problem != "fewshot":
        if arguments.family:
            raise ValueError("--family chooses among the toy families: use it with compare fewshot")
        return {"": _settings(arguments, arguments.problem)}
    if arguments.shots:
        return {"": _settings(arguments, arguments.family or "planes")}
    return {f"{shots}-shot": _settings(arguments, arguments.family or "planes", shots=shots) for shots in (1, 5)}


def _train(arguments: argparse.Namespace) -> int:
    from tinymaml.experiment import run

    settings = _settings(arguments, arguments.problem, method=arguments.method)
    folder = _folder(arguments, f"train-{settings.method}")
    path = folder / f"{settings.method}.npz"
    state = run(settings, path, resume=arguments.resume, progress=not arguments.quiet)
    recent = state.losses[-100:].mean()
    print(f"{state.iteration:,} iterations done; the loss of the last 100 batches is {recent:.3f}; saved in {path}")
    print(f"next: python -m tinymaml evaluate {path}")
    return 0


def _evaluate(arguments: argparse.Namespace) -> int:
    from tinymaml.evaluation import accuracy, evaluate, loss
    from tinymaml.experiment import reopen
    from tinymaml.problems import new_tasks, start_of_adaptation

    state, settings = reopen(arguments.checkpoint)
    asked = {name: getattr(arguments, name) for name in ("shots", "inner_lr", "seed")}
    test = replace(settings, **{name: value for name, value in asked.items() if value is not None})
    tasks, steps = validate.count("tasks", arguments.tasks), validate.count("steps", arguments.steps)
    batch = new_tasks(test, tasks, 15 if test.classifies else 100)
    measure = accuracy if test.classifies else loss
    curve = evaluate(*start_of_adaptation(settings, state.theta, batch), inner_lr=test.inner_lr, steps=steps, measure=measure)
    kind = f"{test.ways}-way {test.shots}-shot {test.problem}" if test.classifies else f"{test.shots}-shot sinusoids"
    print(f"{METHODS[test.method]}, {state.iteration:,} iterations; {tasks} new tasks, {kind}, inner_lr {test.inner_lr:g}")
    print(f"{'steps':>5}  {'accuracy' if test.classifies else 'squared error':>18}  {'median':>8}  {'diverged':>8}")
    for k in range(steps + 1):
        mean = f"{curve.mean[k]:.3f} +- {curve.interval[k]:.3f}"
        print(f"{k:>5}  {mean:>18}  {curve.median[k]:>8.3f}  {curve.count[k]:>8}")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from tinymaml.check.ladder import run

    return run(seed=validate.count("seed", arguments.seed, least=0), networks=validate.count("networks", arguments.networks))


def _bench(arguments: argparse.Namespace) -> int:
    from tinymaml.bench import run

    return run()


# -- options -------------------------------------------------------------------------------------------------


def parser() -> argparse.ArgumentParser:
    """All commands and options."""
    top = argparse.ArgumentParser(prog="tinymaml", description="Model-Agnostic Meta-Learning in NumPy, gradient by gradient.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function, help: str, more: str = "") -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}. {more}")
        made.set_defaults(command=function)
        return made

    compare = command(
        "compare", _compare, "compare MAML with first-order MAML, pre-training and other baselines",
        "Each is trained on the same stream of tasks and adapted to the same new tasks. Prints a table, beside the paper's "
        "numbers where there are any, and writes figures, results.json and checkpoints into a folder.",
    )  # fmt: skip
    compare.add_argument(
        "problem", nargs="?", choices=("sinusoids", "fewshot", "omniglot"), default="sinusoids",
        help="regression of sine waves, N-way K-shot classification of generated classes, or of Omniglot (default: sinusoids)",
    )  # fmt: skip
    compare.add_argument(
        "--family", choices=("planes", "glyphs"),
        help="of fewshot: points of a plane hidden among nuisance dimensions, or invented handwriting (default: planes)",
    )  # fmt: skip
    train = command("train", _train, "train one initialisation and keep it in a checkpoint that can be resumed and evaluated")
    train.add_argument("--method", choices=METHODS, default="maml", help="what moves the initialisation (default: maml)")
    train.add_argument("--problem", choices=DEFAULTS, default="sinusoids", help="where tasks come from (default: sinusoids)")
    for each in (compare, train):
        _add_settings(each)

    evaluate = command("evaluate", _evaluate, "adapt the initialisation in CHECKPOINT to new tasks and judge it after every step")
    evaluate.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="the .npz file that train or compare wrote")
    evaluate.add_argument("--steps", type=int, default=10, help="gradient steps on each support set (default: 10)")
    evaluate.add_argument("--tasks", type=int, default=1000, help="how many new tasks (default: 1000)")
    evaluate.add_argument("--shots", type=int, help="support examples, K (default: as in training)")
    evaluate.add_argument("--inner-lr", type=float, help="inner learning rate (default: as in training; another is often fatal)")
    evaluate.add_argument("--seed", type=int, help="which new tasks (default: the seed of training)")

    check = command("check", _check, "check every derivative against complex step on random networks, and the golden fixtures")
    check.add_argument("--seed", type=int, default=0, help="which random networks (default: 0)")
    check.add_argument("--networks", type=int, default=20, metavar="N", help="how many for each row (default: 20)")
    command("bench", _bench, "measure how long a meta-gradient takes on this machine, in both forms of the adapted weights")
    return top


def _add_settings(command: argparse.ArgumentParser) -> None:
    def option(name: str, kind: type, text: str, **more) -> None:
        command.add_argument(f"--{name}", type=kind, help=text, **more)

    option("shots", int, "support examples of a task, or of each of its classes: what it adapts on, K")
    option("queries", int, "query examples in training: what the adapted copy is judged on")
    option("ways", int, "classes of a task in classification, N")
    option("tasks", int, "tasks in a meta-batch, one outer step each")
    option("steps", int, "gradient steps of the inner loop in training")
    option("inner-lr", float, "learning rate of the inner loop, alpha")
    option("outer-lr", float, "learning rate of the outer loop, beta")
    option("half-life", int, "iterations in which the outer learning rate falls to a half (0: it stays)")
    option("width", int, "units in every hidden layer")
    option("activation", str, "after every hidden layer", choices=ACTIVATIONS)
    option("seed", int, "decides the initialisation, the classes and the tasks (default: 0)")
    option("dtype", str, "precision", choices=("float64", "float32"))
    option("classes", int, "how many classes to train on, in classification (planes: 0 means new ones for ever)")
    command.add_argument(
        "--unshuffled", action="store_true", help="one label for every training class for ever: MAML memorises (needs --classes)"
    )
    option("data", str, "of omniglot: the folder that holds images_background.zip", metavar="FOLDER")
    length = command.add_mutually_exclusive_group()
    length.add_argument("--iterations", type=int, help="steps of the outer loop, in all (sinusoids: 15000)")
    length.add_argument(
        "--paper", dest="iterations", action="store_const", const=PAPER_ITERATIONS, help=f"the paper's {PAPER_ITERATIONS}"
    )
    command.add_argument("--out", type=Path, metavar="FOLDER", help="where all is written (default: a new folder in runs/)")
    command.add_argument("--resume", action="store_true", help="go on with the run there, bit for bit as if never stopped")
    command.add_argument("--quiet", action="store_true", help="no progress bars")
    several = [f"{problem}: {_summary(defaults(problem))}" for problem in DEFAULTS]
    command.epilog = "Defaults: " + "; ".join(several) + "."


def _summary(s: Settings) -> str:
    return (
        f"shots {s.shots}, queries {s.queries}, tasks {s.tasks}, inner-lr {s.inner_lr:g}, outer-lr {s.outer_lr:g}, "
        f"hidden layers {'-'.join(map(str, s.hidden))} {s.activation}, {s.iterations} iterations, {s.dtype}"
    )


def _settings(arguments: argparse.Namespace, problem: str, **more) -> Settings:
    """The problem's defaults, changed as asked."""
    asked = {f.name: getattr(arguments, f.name, None) for f in fields(Settings) if f.name not in ("problem", "method")}
    changes = {name: value for name, value in asked.items() if value is not None} | more
    start = defaults(problem)
    if not start.classifies:
        foreign = [name for name in ("ways", "classes", "data") if name in changes] + ["unshuffled"] * arguments.unshuffled
        if foreign:
            raise ValueError(f"--{foreign[0]} is for classification, not for sinusoids: leave it out")
    elif bool(start.problem == "omniglot") != ("data" in changes):
        raise ValueError(
            "omniglot needs --data FOLDER, the folder that holds images_background.zip"
            if problem == "omniglot" else f"--data is for omniglot, {problem} are generated: leave it out"
        )  # fmt: skip
    if arguments.unshuffled:
        if not changes.get("classes", start.classes):
            raise ValueError("--unshuffled needs classes that come back: add --classes 5")
        changes["shuffled"] = False
    if arguments.width is not None:
        changes["hidden"] = (arguments.width,) * len(start.hidden)
    return replace(start, **changes)


def _folder(arguments: argparse.Namespace, name: str) -> Path:
    """The folder of this run, made if need be: --out, or runs/NAME-1, -2, ... (with --resume the newest of them)."""
    folder = arguments.out
    if folder is None:
        number = 1
        while (Path("runs") / f"{name}-{number + arguments.resume}").exists():
            number += 1
        folder = Path("runs") / f"{name}-{number}"
    if arguments.resume and not any(folder.rglob("*.npz")):
        raise ValueError(f"there is no run to resume in {folder}: leave --resume out, or name its folder with --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"cannot make the folder {folder} ({error.strerror}): choose another with --out") from error
    if not os.access(folder, os.W_OK):
        raise OSError(f"cannot write into {folder}: choose another folder with --out")
    return folder
