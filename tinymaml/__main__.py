"""`python -m tinymaml`, and the program `tinymaml`."""

from __future__ import annotations

import signal
import sys

from tinymaml.experiment import terminal
from tinymaml.experiment.cli import main


def program() -> int:
    """Run the command line as a process of its own and return its exit status."""
    output = terminal.lenient_streams()
    try:
        terminal.on_signals(terminal.interrupt)
        status = main()
    except KeyboardInterrupt as stop:  # a second one, during the message about the first
        status = terminal.status(stop)
    terminal.on_signals(signal.SIG_IGN)  # nothing is left to save
    sys.stdout.flush()
    if output.error:
        return terminal.fail(f"not all of the output could be written ({output.error.strerror})", status or 1)
    return status


if __name__ == "__main__":
    raise SystemExit(program())
