"""What can be written on the command line, and what it says of itself with --help."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tinymaml import methods, tasks
from tinymaml.experiment.options import defaults
from tinymaml.nn.activations import ACTIVATIONS
from tinymaml.settings import FIELDS, Option, Settings
from tinymaml.tasks import Family

PAPER_ITERATIONS = 70_000


def parser(commands: Mapping[str, Callable[[argparse.Namespace], int]]) -> argparse.ArgumentParser:
    """All commands and options; `commands` holds what each command runs."""
    top = argparse.ArgumentParser(prog="tinymaml", description="Model-Agnostic Meta-Learning in NumPy, gradient by gradient.")
    known = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, help: str, more: str = "") -> argparse.ArgumentParser:
        text = _wrapped(f"{help[0].upper()}{help[1:]}. {more}")
        made = known.add_parser(name, help=help, description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
        made.set_defaults(command=commands[name])
        threads = "threads of a matrix product: more than one is for quiet cores and wide layers (default: 1)"
        made.add_argument("--threads", type=int, metavar="N", help=threads)
        return made

    first = tasks.FAMILIES[0].name
    compare = command(
        "compare", "compare MAML with other methods and with what does not adapt",
        "Each is trained on the same stream of tasks and adapted to the same new tasks. Prints a table, beside the paper's "
        "numbers where there are any, and writes figures, results.json and checkpoints into a folder.",
    )  # fmt: skip
    families = [family.name for family in tasks.FAMILIES]
    usual = "those that apply of " + ", ".join(method.name for method in methods.METHODS if method.default)
    compare.add_argument(
        "family", nargs="?", choices=families, default=first, metavar="FAMILY", help=f"where tasks come from (default: {first})"
    )
    compare.add_argument("--methods", metavar="A,B,...", help=f"which to compare, separated by commas (default: {usual})")
    _add_settings(compare)

    train = command("train", "train one initialisation and keep it in a checkpoint that can be resumed and evaluated")
    train.add_argument(
        "--family", choices=families, default=first, metavar="FAMILY", help=f"where tasks come from (default: {first})"
    )
    trained = [method.name for method in methods.METHODS if method.gradient]
    train.add_argument(
        "--method", choices=trained, default=trained[0], metavar="METHOD",
        help=f"what moves the initialisation (default: {trained[0]})",
    )  # fmt: skip
    _add_settings(train)

    evaluate = command("evaluate", "adapt the initialisation in CHECKPOINT to new tasks and judge it after every step")
    evaluate.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="the .npz file that train or compare wrote")
    evaluate.add_argument("--steps", type=int, default=10, help="gradient steps on each support set (default: 10)")
    evaluate.add_argument("--tasks", type=int, default=1000, help="how many new tasks (default: 1000)")
    evaluate.add_argument("--shots", type=int, help="support examples, K (default: as in training)")
    evaluate.add_argument("--inner-lr", type=float, help="inner learning rate (default: as in training; another is often fatal)")
    evaluate.add_argument("--seed", type=int, help="which new tasks (default: the seed of training)")
    evaluate.add_argument("--data", metavar="FOLDER", help="where the files are that it was trained on, if on files")

    check = command("check", "check every derivative against complex step on random networks, and the golden fixtures")
    check.add_argument("--seed", type=int, default=0, help="which random networks (default: 0)")
    check.add_argument("--networks", type=int, default=20, metavar="N", help="how many for each row (default: 20)")
    command("bench", "measure how long a meta-gradient takes on this machine, in both forms of the adapted weights")
    return top


def asked(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that were asked on the command line, and no others: fields and options by name."""
    names = (*FIELDS, *_declared())
    found = {name: value for name in names if (value := getattr(arguments, name, None)) is not None}
    if arguments.width is not None:
        layers = len(_defaults(tasks.named(arguments.family), found)["hidden"])
        found["hidden"] = (arguments.width,) * max(1, layers)  # refused by a family that has none, and not passed over
    return found


def _declared() -> dict[str, tuple[Option, list[str]]]:
    """Every option that some family or method declares, by name, with those that do."""
    found: dict[str, tuple[Option, list[str]]] = {}
    for each in (*tasks.FAMILIES, *methods.METHODS):
        for option in each.options:
            found.setdefault(option.name, (option, []))[1].append(each.name)
    return found


def _defaults(family: Family, asked: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """What the fields of the settings are for a family when no more than this is asked."""
    return {each.name: each.default for each in fields(Settings)} | defaults(family, methods.METHODS[0], asked)


def _summary(family: Family) -> str:
    s = _defaults(family)
    return (
        f"shots {s['shots']}, queries {s['queries']}, tasks {s['tasks']}, inner-lr {s['inner_lr']:g}, "
        f"outer-lr {s['outer_lr']:g}, hidden layers {'-'.join(map(str, s['hidden'])) or 'none,'} {s['activation']}, "
        f"{s['iterations']} iterations, {s['dtype']}"
    )


def _add_settings(command: argparse.ArgumentParser) -> None:
    def option(name: str, kind: type, text: str, **more) -> None:
        command.add_argument(f"--{name}", type=kind, help=text, **more)

    option("shots", int, "support examples of a task, or of each of its classes: what it adapts on, K")
    option("queries", int, "query examples in training: what the adapted copy is judged on")
    option("tasks", int, "tasks in a meta-batch, one outer step each")
    option("inner-lr", float, "learning rate of the inner loop, alpha")
    option("outer-lr", float, "learning rate of the outer loop, beta")
    option("half-life", int, "iterations in which the outer learning rate falls to a half (0: it stays)")
    option("width", int, "units in every hidden layer, or filters in every block")
    option("activation", str, "after every hidden layer", choices=ACTIVATIONS)
    option("seed", int, "decides the initialisation, the classes and the tasks (default: 0)")
    option("dtype", str, "precision", choices=("float64", "float32"))
    length = command.add_mutually_exclusive_group()
    length.add_argument("--iterations", type=int, help="steps of the outer loop, in all")
    length.add_argument(
        "--paper", dest="iterations", action="store_const", const=PAPER_ITERATIONS, help=f"the paper's {PAPER_ITERATIONS}"
    )
    for one, users in _declared().values():
        kind = {"action": "store_true", "default": None} if one.default is False else {"type": type(one.default)}
        command.add_argument(f"--{one.name.replace('_', '-')}", help=f"{one.help} [{', '.join(users)}]", **kind)
    command.add_argument("--out", type=Path, metavar="FOLDER", help="where all is written (default: a new folder in runs/)")
    command.add_argument("--resume", action="store_true", help="go on with the run there, bit for bit as if never stopped")
    command.add_argument("--quiet", action="store_true", help="no progress")
    command.epilog = "\n\n".join([
        _listed("families", {family.name: family.help for family in tasks.FAMILIES}),
        _listed("methods", {method.name: method.help for method in methods.METHODS}),
        _listed("defaults", {family.name: _summary(family) for family in tasks.FAMILIES}),
    ])  # fmt: skip


def _listed(title: str, rows: Mapping[str, str]) -> str:
    return "\n".join([f"{title}:", *(_wrapped(f"  {name:<13}{text}", " " * 15) for name, text in rows.items())])


def _wrapped(text: str, indent: str = "") -> str:
    """Lines no wider than the terminal, as argparse makes them."""
    return textwrap.fill(text, max(shutil.get_terminal_size().columns - 2, 20), subsequent_indent=indent)
