"""The entry point of `python -m tinymaml` and of the program `tinymaml`."""

from __future__ import annotations

import signal
import sys

from tinymaml.experiment import terminal
from tinymaml.experiment.cli import main


def program() -> int:
    """Run the command line with signal handling and lenient output streams, and return the exit status."""
    output = terminal.lenient_streams()
    try:
        terminal.on_signals(terminal.interrupt)
        status = main()
    except SystemExit as stop:  # --help, or wrong arguments
        status = stop.code
    except KeyboardInterrupt as stop:  # a second signal, while the message about the first is printed
        status = terminal.status(stop)
    terminal.on_signals(signal.SIG_IGN)  # nothing is left to save
    sys.stdout.flush()
    if output.error:
        return terminal.fail(f"not all of the output could be written ({output.error.strerror})", status or 1)
    return status


if __name__ == "__main__":
    raise SystemExit(program())
