"""In the kernel of a student: the checks, taken hold of before the notebook runs, which judge on the seed of the grading."""

from __future__ import annotations

import builtins
import inspect
import json
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from types import MappingProxyType
from typing import Any

OURS, OTHERS = ("exercises", "tinymaml"), ("builtins", "inspect", "json", "numpy")  # in which a check finds nothing changed


def prepare(lesson: int, seed: int, memory: int, mark: str) -> None:
    """From here on `exercises.check` judges on `seed`, publishes the verdict with `mark`, and raises nothing.

    Modules of the student come after all others, `exit` ends a cell and no more, and the kernel takes `memory` bytes at most.
    """
    global check
    import exercises
    import figures  # noqa: F401
    from IPython import get_ipython

    shell, checks = get_ipython(), import_module(f"exercises.lesson_{lesson:02d}")
    publish, judged, wrong_answer = shell.display_pub.publish, exercises.judged, exercises.WrongAnswer

    def check(number: str, answer: Callable, **_: Any) -> None:
        _put_back(held)
        sentence = ""
        try:
            with open(os.devnull, "w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
                result = "right" if judged(number, answer, seed) else "not attempted"
        except KeyboardInterrupt:
            result, sentence = "endless", "it did not end in time"
        except wrong_answer as error:
            result, sentence = "wrong", str(error)
        except BaseException as error:
            result, sentence = "wrong", f"{getattr(answer, '__name__', 'it')} stops with {type(error).__name__}: {error}"
        publish({"text/plain": json.dumps([str(number), result, sentence[:2000]])}, {"mark": mark})
        if result == "endless":
            raise KeyboardInterrupt

    exercises.check, checks.CHECKS = check, MappingProxyType(checks.CHECKS)
    for name in ("exit", "quit"):
        setattr(builtins, name, sys.exit)
        shell.user_ns[name] = sys.exit
    sys.path = [path for path in sys.path if path not in ("", os.getcwd())] + [""]
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] in (*OURS, *OTHERS)]
    classes = [thing for module in modules for thing in vars(module).values() if inspect.isclass(thing) and _is_ours(thing)]
    held = [(thing, dict(vars(thing))) for thing in (*modules, *classes, *checks.CHECKS.values())]
    with suppress(ImportError, OSError, ValueError):  # not on Windows
        import resource

        for limit in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE):
            resource.setrlimit(limit, (memory, memory))


def _is_ours(thing: Any) -> bool:
    return getattr(thing, "__module__", getattr(thing, "__name__", "")).split(".")[0] in OURS


def _put_back(held: list[tuple[Any, dict]]) -> None:
    """What a cell has replaced is as it was, and in our own modules what it has added is gone."""
    for thing, names in held:
        for name, value in list(vars(thing).items()):
            if name in names and names[name] is not value:
                (setattr if inspect.isclass(thing) else object.__setattr__)(thing, name, names[name])
            elif name not in names and _is_ours(thing) and not inspect.ismodule(value):
                (delattr if inspect.isclass(thing) else object.__delattr__)(thing, name)
