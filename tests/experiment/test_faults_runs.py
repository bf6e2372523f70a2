"""Two runs at once, signals at any moment, output that nobody reads: as a shell meets them, in processes of their own."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tinymaml import plot
from tinymaml.experiment import checkpoint, folders
from tinymaml.experiment.options import settings_for
from tinymaml.experiment.run import run
from tinymaml.experiment.terminal import defer_signals

TINY = ["--width", "5", "--tasks", "3", "--shots", "2", "--queries", "2"]
LONG, SHORT = ["--iterations", "1000000"], ["--iterations", "50"]
posix = pytest.mark.skipif(os.name == "nt", reason="signals and shells of POSIX")


@pytest.fixture
def begin(tmp_path):
    """begin(*words) starts the program in the test's folder; nothing that it starts outlives the test."""
    started = []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), os.environ.get("PYTHONPATH", "")])}

    def begin(*words, **more):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
        command = [sys.executable, "-m", "tinymaml", *map(str, words)]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, preexec_fn=heed, **pipes)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def heed():
    """Ctrl-C is ignored by what a shell has put into the background, a hang-up by what `nohup` starts, and by all below them."""
    for blow in (signal.SIGINT, signal.SIGHUP):
        signal.signal(blow, signal.SIG_DFL)


def ended(process):
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err and "Exception ignored" not in err
    return process.returncode, out, err


def until(there, process):
    deadline = time.monotonic() + 30
    while not there.exists() or there.stat().st_size == 0:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)


@posix
@pytest.mark.parametrize("command", ["train", "compare"])
def test_of_two_runs_in_one_folder_one_is_told_who_has_it(tmp_path, begin, command):
    first, second = (begin(command, *TINY, *LONG, "--seed", seed, "--quiet", "--out", "shared") for seed in (1, 2))
    until(tmp_path / "shared" / ".lock", first if first.poll() is None else second)
    while first.poll() is second.poll() is None:
        time.sleep(0.01)
    refused, other = (first, second) if first.poll() is not None else (second, first)
    status, _, said = ended(refused)
    assert status == 2 and len(said.splitlines()) == 1
    assert f"process {other.pid} on " in said and "is running in shared: wait" in said
    other.kill()  # and its lock dies with it
    other.wait()
    (tmp_path / "shared" / "maml.npz.1.partial").write_text("half")
    (tmp_path / "shared" / "mine.partial").write_text("kept")
    resume = ["--resume"] if (tmp_path / "shared" / "maml.npz").exists() else []
    third = begin(command, *TINY, *LONG, "--seed", 1 if other is first else 2, "--quiet", "--out", "shared", *resume)
    deadline = time.monotonic() + 30
    while (tmp_path / "shared" / "maml.npz.1.partial").exists():
        assert third.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    assert (tmp_path / "shared" / "mine.partial").exists()


@posix
def test_runs_that_are_started_together_get_folders_of_their_own(tmp_path, begin):
    for process in [begin("train", *TINY, "--iterations", 2, "--quiet") for _ in range(4)]:
        assert ended(process)[0] == 0
    assert sorted(os.listdir(tmp_path / "runs")) == [f"train-sinusoids-maml-{number}" for number in (1, 2, 3, 4)]


def test_the_number_of_a_new_folder_is_above_all_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folders, "_numbers", lambda name: [1])  # as those see it who come at the same moment
    assert [folders.new("x").name for _ in range(3)] == ["x-2", "x-3", "x-4"]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    for number in (2, 3):
        (folders.RUNS / f"x-{number}" / "maml.npz").touch()
    assert folders.latest("x", "*.npz").name == "x-3" and folders.latest("x", "anil.npz").name == "x-1"
    assert folders.new("x").name == "x-5"


def test_a_file_system_without_locks_is_refused(tmp_path, monkeypatch):
    def no_locks(*given):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(folders.fcntl, "flock", no_locks)
    with pytest.raises(OSError, match=r"cannot be locked \(Function not implemented\): choose a folder on another"):
        run(settings_for("sinusoids", iterations=1), tmp_path / "maml.npz", progress=False)


@posix
@pytest.mark.parametrize(("blow", "status", "times"), [("TERM", 143, 1), ("INT", 130, 1), ("HUP", 129, 1), ("INT", 130, 5)])
def test_a_stopped_run_is_saved_and_resumes_bit_for_bit(tmp_path, begin, blow, status, times):
    process = begin("train", "--width", 40, *LONG, "--quiet", "--out", "parts")
    until(tmp_path / "parts" / ".lock", process)
    time.sleep(0.3)  # long before the 1000 iterations after which it saves by itself
    for _ in range(times):
        process.send_signal(getattr(signal, f"SIG{blow}"))
        time.sleep(0.001)
    got, _, said = ended(process)
    assert got == status and (times > 1 or said.startswith("tinymaml: stopped; the training so far is saved"))
    assert sorted(os.listdir(tmp_path / "parts")) == [".lock", "maml.npz"]
    done = checkpoint.load(tmp_path / "parts" / "maml.npz")[0].iteration
    assert 0 < done < 1000
    settings = settings_for("sinusoids", iterations=done + 20)
    parts = run(settings, tmp_path / "parts" / "maml.npz", resume=True, progress=False)
    whole = run(settings, tmp_path / "whole" / "maml.npz", progress=False)
    np.testing.assert_array_equal(parts.theta.flat, whole.theta.flat)
    np.testing.assert_array_equal(parts.losses, whole.losses)
    assert parts.generator == whole.generator


@pytest.mark.parametrize("command", ["train", "compare"])
def test_where_nothing_is_saved_nothing_is_said_to_be(tmp_path, monkeypatch, capsys, command):
    from tinymaml.experiment import cli

    def stopped(*given, **more):
        raise KeyboardInterrupt(signal.SIGTERM)

    monkeypatch.chdir(tmp_path)
    for where in ("fits", "gradient", "initialisation", "train"):
        with monkeypatch.context() as patch:
            patch.setattr(f"tinymaml.experiment.run.{where}", stopped)
            assert cli.main([command, *TINY, *SHORT, "--quiet"]) == 143
        assert capsys.readouterr().err == "tinymaml: stopped\n"


@posix
def test_a_stop_while_saving_comes_after_it():
    done = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it may be ignored
    try:
        with pytest.raises(KeyboardInterrupt), defer_signals():
            signal.raise_signal(signal.SIGINT)
            done.append("saved")
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["saved"]


def test_a_figure_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    plot.save(plot.get_axes(), tmp_path / "figure.png")
    before = (tmp_path / "figure.png").read_bytes()
    ax = plot.get_axes()

    def dies(path, **more):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ax.figure, "savefig", dies)
    with pytest.raises(OSError, match="No space"):
        plot.save(ax, tmp_path / "figure.png")
    assert os.listdir(tmp_path) == ["figure.png"] and (tmp_path / "figure.png").read_bytes() == before


@posix
@pytest.mark.parametrize(("command", "redirected", "status"), [
    ("train", ">&-", 0), ("train", "2>&-", 0), ("train", ">&- 2>&- <&-", 0), ("train", "2>&1 | true", 0),
    ("compare", "2>&1 | head -1", 0), ("compare", ">&- 2>&-", 0), ("train", "> /dev/full", 1),
])  # fmt: skip
def test_output_that_nobody_reads_costs_no_result(tmp_path, command, redirected, status):
    words = " ".join([command, *TINY, *SHORT, "--out", str(tmp_path / "out"), "--methods maml" * (command == "compare")])
    if redirected == "> /dev/full" and not os.path.exists("/dev/full"):
        pytest.skip("no full device here")
    program, pipe, reader = redirected.partition("|")
    script = f"set -o pipefail; {sys.executable} -m tinymaml {words} {program} {pipe} {reader}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == status
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr and "\r" not in done.stderr
    assert checkpoint.load(tmp_path / "out" / "maml.npz")[0].iteration == 50
    if command == "compare":
        assert "maml" in json.loads((tmp_path / "out" / "results.json").read_text())["methods"]
    if status:
        assert re.fullmatch(r".*tinymaml: not all of the output could be written \(No space.*\)\n", done.stderr, re.S)


@posix
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device here")
@pytest.mark.parametrize(("words", "status"), [(["--help"], 1), (["train", "--help"], 1), (["train", "--sed"], 2)])
def test_help_that_cannot_be_written_is_an_error(begin, words, status):
    with open("/dev/full", "w") as full:
        got, _, said = ended(begin(*words, stdout=full))
    assert got == status and len(said.splitlines()) == 1
    assert ("not all of the output could be written (No space" in said) == (status == 1)
