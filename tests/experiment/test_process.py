"""Threads of matrix products: one by default in a program of this package, and none of its business in another."""

import os
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from tinymaml.experiment import process
from tinymaml.experiment.cli import main
from tinymaml.training import loop

COUNT = """
import ctypes, pathlib, sys
import numpy as np
def count():
    files = pathlib.Path(np.__file__).parent.glob("linalg/_umath_linalg.*")
    library = ctypes.CDLL(str(next(file for file in files if file.suffix != ".pyi")))
    for name in ("scipy_openblas_get_num_threads64_", "openblas_get_num_threads64_", "openblas_get_num_threads"):
        if hasattr(library, name):
            return getattr(library, name)()
before = count()
import tinymaml.experiment.run
imported = count()
from tinymaml.experiment.cli import main
main(["evaluate", "missing.npz", *sys.argv[1:]])
print(before, imported, count())
"""
two = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core has one thread")


def threads(*words, **environment):
    """How many threads a matrix product has before the package is imported, after that, and in its command line."""
    inherited = {name: value for name, value in os.environ.items() if name not in process.VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", COUNT, *words], env=inherited | environment, capture_output=True, text=True, timeout=60, check=True
    )
    if "None" in done.stdout:
        pytest.skip("NumPy has a matrix library whose threads cannot be counted")
    return [int(number) for number in done.stdout.split()]


@two
def test_one_thread_unless_the_user_says_otherwise():
    before, imported, then = threads()
    assert before == imported > 1 and then == 1
    assert threads("--threads", "2")[-1] == 2
    assert threads(OPENBLAS_NUM_THREADS="2")[-1] == 2
    assert threads("--threads", "2", OPENBLAS_NUM_THREADS="1")[-1] == 2


@pytest.mark.parametrize(("asked", "sentence"), [
    ("0", "threads is 0, expected at least 1"), ("1000000", "threads is 1000000 and this machine has"),
])  # fmt: skip
def test_threads_that_cannot_be_are_refused(capsys, asked, sentence):
    assert main(["check", "--threads", asked]) == 2
    assert sentence in capsys.readouterr().err


def test_a_number_that_nobody_can_set_is_refused_and_the_default_is_not(monkeypatch):
    monkeypatch.setattr(process, "_setters", list)
    process.matrix_threads()
    with pytest.raises(ValueError, match="threads of this NumPy's matrix library cannot be set"):
        process.matrix_threads(1)


def test_the_command_line_works_where_there_is_no_lock_and_no_limit(tmp_path):
    """As under WebAssembly, where Python has none of these modules."""
    code = """if True:
        import sys
        sys.modules |= dict.fromkeys(("fcntl", "msvcrt", "resource", "termios", "pwd", "grp", "syslog", "_multiprocessing"))
        from tinymaml.experiment import cli, folders
        with folders.locked("a"):
            sys.exit(cli.main(["train", "--iterations", "2", "--out", "b", "--quiet"]))
    """
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)


def test_a_progress_bar_starts_no_thread(monkeypatch):
    def no_thread(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    for label in ("MAML", None):
        with closing(loop._progress_bar(label, 3, 0)) as bar:
            bar.update(1)
