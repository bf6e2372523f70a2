"""Signals, standard streams, messages: a signal ends the program after saving; output that cannot be written is dropped."""

from __future__ import annotations

import io
import os
import re
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SIGNALS = [getattr(signal, f"SIG{name}") for name in ("INT", "TERM", "HUP", "BREAK") if hasattr(signal, f"SIG{name}")]


def fail(sentence: str, status: int) -> int:
    """Print the sentence on one line of standard error, very long words shortened; returns the exit status."""
    line = re.sub(r"\S{400,}", lambda word: f"{word[0][:60]}...", " ".join(sentence.splitlines()))
    print(f"tinymaml: {line}", file=sys.stderr)
    return status


def program() -> str:
    """The words that start this program, for hints: ".venv/bin/python -m tinymaml" if .venv is in the current folder."""
    if Path(sys.argv[0]).stem == "tinymaml":  # the program that pip installs
        return "tinymaml"
    python, here = Path(sys.executable), Path.cwd()
    return f"{shlex.quote(str(python.relative_to(here))) if python.is_relative_to(here) else 'python'} -m tinymaml"


def on_signals(handler: Any) -> None:
    """Install the handler for all SIGNALS except those that the process inherited as ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def interrupt(number: int, frame: Any) -> None:
    """The handler of the command line: the first signal raises KeyboardInterrupt; further signals are ignored."""
    on_signals(signal.SIG_IGN)
    raise KeyboardInterrupt(number)


def status(stop: KeyboardInterrupt) -> int:
    """The exit status by the convention of shells: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
    return 128 + (stop.args[0] if stop.args else signal.SIGINT)


@contextmanager
def defer_signals() -> Iterator[None]:
    """Handle signals that arrive within the block at its end; only the main thread receives signals."""
    arrived: list[int] = []
    handlers: dict[int, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handlers[number] = signal.signal(number, lambda number, frame: arrived.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)
        for number in arrived[:1]:
            signal.raise_signal(number)


class Lenient(io.FileIO):
    """A stream that drops data it cannot write; `error` is the last error, except for a closed pipe."""

    error: OSError | None = None

    def write(self, data) -> int:
        try:
            while (written := super().write(data)) is None:  # a full non-blocking pipe
                time.sleep(0.01)
            return written
        except OSError as error:
            self.error = self.error if isinstance(error, BrokenPipeError) else error
            return len(data)


def lenient_streams() -> Lenient:
    """Make standard output and error lenient and return the former; closed descriptors are opened on the null device.

    Otherwise a checkpoint could get the number of a closed descriptor, and printed text would go into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is `number`
    for name, number in (("stdout", 1), ("stderr", 2)):
        encoding = getattr(getattr(sys, name), "encoding", "utf-8")
        raw = Lenient(number, "w", closefd=False)
        buffered = number == 1 and not raw.isatty()
        text = io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=not buffered)
        setattr(sys, name, text)
    return sys.stdout.buffer.raw
