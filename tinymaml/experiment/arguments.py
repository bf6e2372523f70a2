"""The commands and options of the command line, and their --help."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from tinymaml import methods, tasks
from tinymaml.experiment.options import defaults, options_of
from tinymaml.settings import FIELDS, Settings
from tinymaml.tasks import Family

PAPER_ITERATIONS = 70_000


def parser(commands: Mapping[str, Callable[[argparse.Namespace], int]]) -> argparse.ArgumentParser:
    """The parser; `commands` has the function of each command."""
    top = argparse.ArgumentParser(prog="tinymaml", description="Model-Agnostic Meta-Learning in NumPy, gradient by gradient.")
    known = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, help: str, more: str = "") -> argparse.ArgumentParser:
        text = _wrapped(f"{help[0].upper()}{help[1:]}. {more}")
        made = known.add_parser(name, help=help, description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
        made.set_defaults(command=commands[name])
        threads = "threads of a matrix product: more than one pays off on idle cores with wide layers (default: 1)"
        made.add_argument("--threads", type=int, metavar="N", help=threads)
        return made

    families = [family.name for family in tasks.FAMILIES]
    source = {
        "choices": families, "default": families[0], "metavar": "FAMILY", "help": f"family of tasks (default: {families[0]})",
    }  # fmt: skip
    trained = [method.name for method in methods.METHODS if method.gradient]
    compared = ", ".join(method.name for method in methods.METHODS if method.default)

    compare = command(
        "compare", "compare MAML with other methods and with baselines that do not adapt",
        "All methods train on the same sequence of tasks and adapt to the same new tasks. Prints a table, with the paper's "
        "numbers where there are any, and writes figures, results.json and checkpoints into a folder.",
    )  # fmt: skip
    compare.add_argument("family", nargs="?", **source)
    compare.add_argument(
        "--methods", metavar="A,B,...", help=f"methods to compare, with commas (default: of {compared}, those that apply)"
    )
    _add_settings(compare)

    train = command("train", "train one initialisation and save it as a checkpoint, to resume or to evaluate")
    train.add_argument("--family", **source)
    train.add_argument(
        "--method", choices=trained, default=trained[0], metavar="METHOD", help=f"training method (default: {trained[0]})"
    )
    _add_settings(train)

    evaluate = command("evaluate", "adapt the initialisation in CHECKPOINT to new tasks and evaluate it after every step")
    evaluate.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="the .npz file that train or compare wrote")
    evaluate.add_argument("--steps", type=int, default=10, help="gradient steps on each support set (default: 10)")
    evaluate.add_argument("--tasks", type=int, default=1000, help="number of new tasks (default: 1000)")
    evaluate.add_argument("--shots", type=int, help="support examples, K (default: as in training)")
    evaluate.add_argument("--inner-lr", type=float, help="inner learning rate (default: as in training; another often diverges)")
    evaluate.add_argument("--seed", type=int, help="seed of the new tasks (default: the seed of training)")
    evaluate.add_argument("--data", metavar="FOLDER", help="the folder of the files that it was trained on, if any")

    check = command("check", "check every derivative against complex step on random networks, and the golden fixtures")
    check.add_argument("--seed", type=int, default=0, help="seed of the random networks (default: 0)")
    check.add_argument("--networks", type=int, default=20, metavar="N", help="random networks for each row (default: 20)")
    command("bench", "time a meta-gradient on this machine, with dense and with factored adapted weights")
    return top


def overrides(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that are given on the command line, fields and options by name."""
    names = (*FIELDS, *options_of(*tasks.FAMILIES, *methods.METHODS))
    found = {name: value for name in names if (value := getattr(arguments, name, None)) is not None}
    if "hidden" in found:
        layers = len(defaults(tasks.named(arguments.family), methods.METHODS[0], found)["hidden"])
        found["hidden"] = (found["hidden"],) * max(1, layers)  # a family without hidden layers refuses one
    return found


def _add_settings(command: argparse.ArgumentParser) -> None:
    length = command.add_mutually_exclusive_group()
    for each in fields(Settings):
        if each.name == "hidden":
            command.add_argument("--width", dest="hidden", metavar="WIDTH", type=int, help=each.metadata["help"])
        elif each.name in FIELDS:
            where = length if each.name == "iterations" else command
            where.add_argument(_flag(each.name), type=type(each.default), help=each.metadata["help"])
    paper = {"action": "store_const", "const": PAPER_ITERATIONS, "help": f"the paper's {PAPER_ITERATIONS} iterations"}
    length.add_argument("--paper", dest="iterations", **paper)
    several = (*tasks.FAMILIES, *methods.METHODS)
    for name, option in options_of(*several).items():
        users = ", ".join(each.name for each in several if name in options_of(each))
        kind = {"action": "store_true", "default": None} if option.default is False else {"type": type(option.default)}
        command.add_argument(_flag(name), help=f"{option.help} [{users}]", **kind)
    command.add_argument("--out", type=Path, metavar="FOLDER", help="folder for all files (default: a new one in runs/)")
    command.add_argument("--resume", action="store_true", help="continue the run in that folder, bit for bit as if never stopped")
    command.add_argument("--quiet", action="store_true", help="show no progress")
    command.epilog = "\n\n".join([
        _listed("families", {family.name: family.help for family in tasks.FAMILIES}),
        _listed("methods", {method.name: method.help for method in methods.METHODS}),
        _listed("defaults", {family.name: _summary(family) for family in tasks.FAMILIES}),
    ])  # fmt: skip


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _summary(family: Family) -> str:
    s = defaults(family, methods.METHODS[0], {})
    return (
        f"shots {s['shots']}, queries {s['queries']}, tasks {s['tasks']}, inner-lr {s['inner_lr']:g}, "
        f"outer-lr {s['outer_lr']:g}, hidden layers {'-'.join(map(str, s['hidden'])) or 'none,'} {s['activation']}, "
        f"{s['iterations']} iterations, {s['dtype']}"
    )


def _listed(title: str, rows: Mapping[str, str]) -> str:
    return "\n".join([f"{title}:", *(_wrapped(f"  {name:<13}{text}", " " * 15) for name, text in rows.items())])


def _wrapped(text: str, indent: str = "") -> str:
    """Lines no wider than the terminal, as argparse makes them."""
    return textwrap.fill(text, max(shutil.get_terminal_size().columns - 2, 20), subsequent_indent=indent)
