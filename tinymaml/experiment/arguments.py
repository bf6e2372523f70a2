"""The commands and options of the command line, and their --help."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn

from tinymaml import methods, tasks
from tinymaml.experiment.options import defaults, options_of
from tinymaml.experiment.terminal import fail, program
from tinymaml.methods import Method
from tinymaml.settings import FIELDS, Settings
from tinymaml.tasks import Family

PAPER_ITERATIONS = 70_000


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence that names the command's --help."""

    def parse_known_args(self, *given: Any) -> tuple[argparse.Namespace, list[str]]:
        found, unknown = super().parse_known_args(*given)
        if unknown:  # here, where the command is known
            self.error(f"unrecognized argument {unknown[0]!r}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        raise SystemExit(fail(f"{message}: see {program()}{self.prog.removeprefix('tinymaml')} --help", 2))


def path(text: str) -> Path:
    """A path as an argument; an error if it is empty or has more than one line."""
    if text.splitlines() != [text]:
        raise argparse.ArgumentTypeError(f"{text!r} is not a path of one line")
    return Path(text)


def parser(commands: Mapping[str, Callable[[argparse.Namespace], int]]) -> Parser:
    """The parser of the command line; `commands` maps each command to its function."""
    top = Parser(prog="tinymaml", description="Model-Agnostic Meta-Learning in NumPy, gradient by gradient.")
    known = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, help: str, more: str = "") -> Parser:
        text = _wrapped(f"{help[0].upper()}{help[1:]}. {more}")
        subparser = known.add_parser(name, help=help, description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
        subparser.set_defaults(command=commands[name])
        threads = "threads per matrix product; more than one helps only with wide layers on idle cores (default: 1)"
        subparser.add_argument("--threads", type=int, metavar="N", help=threads)
        return subparser

    families = [family.name for family in tasks.FAMILIES]
    source = {
        "choices": families, "default": families[0], "metavar": "FAMILY", "help": f"family of tasks (default: {families[0]})",
    }  # fmt: skip
    trained = [method for method in methods.METHODS if method.gradient]
    compared = ", ".join(method.name for method in methods.METHODS if method.default)

    compare = command(
        "compare", "compare MAML with other methods and with baselines that do not adapt",
        "All methods train on the same sequence of tasks and are evaluated on the same new tasks. The command prints a "
        "table, with the paper's results where available, and writes figures, results.json and checkpoints into a folder.",
    )  # fmt: skip
    compare.add_argument("family", nargs="?", **source)
    compare.add_argument(
        "--methods", metavar="A,B,...",
        help=f"comma-separated methods (default: all of {compared} that support the family)",
    )  # fmt: skip
    several = "comma-separated seeds: a run for each, and a table and a figure over all"
    compare.add_argument("--seeds", metavar="A,B,...", help=several)
    compare.add_argument("--jobs", type=int, metavar="N", help="seeds at a time, each in a process of its own (default: 1)")
    _add_settings(compare, methods.METHODS)

    train = command("train", "train one initialisation and save it as a checkpoint, to resume or to evaluate")
    train.add_argument("--family", **source)
    names = [method.name for method in trained]
    train.add_argument("--method", choices=names, default=names[0], metavar="METHOD", help=f"method (default: {names[0]})")
    _add_settings(train, trained)

    evaluate = command("evaluate", "adapt the initialisation in CHECKPOINT to new tasks and evaluate it after every step")
    evaluate.add_argument("checkpoint", type=path, metavar="CHECKPOINT", help="a .npz file written by train or compare")
    evaluate.add_argument("--steps", type=int, default=10, help="gradient steps on each support set (default: 10)")
    evaluate.add_argument("--tasks", type=int, default=1000, help="number of new tasks (default: 1000)")
    evaluate.add_argument("--shots", type=int, help="support examples per task or per class, K (default: as in training)")
    inner_lr = "inner-loop learning rate (default: as in training; other values often diverge)"
    evaluate.add_argument("--inner-lr", type=float, help=inner_lr)
    evaluate.add_argument("--seed", type=int, help="random seed of the new tasks (default: as in training)")
    evaluate.add_argument("--data", metavar="FOLDER", help="folder of the training data, for a family that reads files")

    against = "complex-step derivatives on random networks, and against whole-number examples"
    check = command("check", f"check all derivatives against {against}")
    check.add_argument("--seed", type=int, default=0, help="random seed of the networks (default: 0)")
    networks = "random networks per row of the report (default: 20)"
    check.add_argument("--networks", type=int, default=20, metavar="N", help=networks)
    command("bench", "time a meta-gradient on this machine, with dense and with factored adapted weights")
    return top


def overrides(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings given on the command line: {name of a field or option: value}."""
    names = (*FIELDS, *options_of(*tasks.FAMILIES, *methods.METHODS))
    found = {name: value for name in names if (value := getattr(arguments, name, None)) is not None}
    if "hidden" in found:
        layers = len(defaults(tasks.named(arguments.family), methods.METHODS[0], found)["hidden"])
        found["hidden"] = (found["hidden"],) * max(1, layers)  # (width,) is an error without hidden layers
    return found


def _add_settings(command: Parser, offered: Sequence[Method]) -> None:
    length = command.add_mutually_exclusive_group()
    for each in fields(Settings):
        if each.name == "hidden":
            command.add_argument("--width", dest="hidden", metavar="WIDTH", type=int, help=each.metadata["help"])
        elif each.name in FIELDS:
            where = length if each.name == "iterations" else command
            where.add_argument(_flag(each.name), type=type(each.default), help=each.metadata["help"])
    paper = {"action": "store_const", "const": PAPER_ITERATIONS, "help": f"train for the paper's {PAPER_ITERATIONS} iterations"}
    length.add_argument("--paper", dest="iterations", **paper)
    several = (*tasks.FAMILIES, *offered)
    for name, option in options_of(*several).items():
        users = ", ".join(each.name for each in several if name in options_of(each))
        kind = {"action": "store_true", "default": None} if option.default is False else {"type": type(option.default)}
        command.add_argument(_flag(name), help=f"{option.help} [{users}]", **kind)
    command.add_argument("--out", type=path, metavar="FOLDER", help="output folder (default: a new one in runs/)")
    resume = "continue the run in the output folder; the result is bit for bit that of an uninterrupted run"
    command.add_argument("--resume", action="store_true", help=resume)
    command.add_argument("--quiet", action="store_true", help="do not show progress")
    command.epilog = "\n\n".join([
        _listed("families", {family.name: family.help for family in tasks.FAMILIES}),
        _listed("methods", {method.name: method.help for method in offered}),
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
    """The text wrapped to the width of the terminal, like the rest of argparse's output."""
    return textwrap.fill(text, max(shutil.get_terminal_size().columns - 2, 20), subsequent_indent=indent)
