"""Comparisons over seeds: side by side and on workers they give the numbers of one process, and lose nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest

from tinymaml.experiment import seeds as module
from tinymaml.experiment.cli import main
from tinymaml.experiment.options import settings_for_each
from tinymaml.experiment.run import load_run
from tinymaml.experiment.seeds import compare_seeds, start_worker, table

SMALL = {"tasks": 3, "queries": 4, "hidden": (6,), "iterations": 20}


def small(*methods, **more):
    return settings_for_each("sinusoids", methods or ("maml", "pretraining"), **SMALL | more)


def numbers_of(done):
    return {seed: {name: curve.values for name, curve in one.curves.items()} for seed, one in done.found.items()}


def pool(jobs=2):
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=start_worker)


def test_side_by_side_gives_the_numbers_of_one_process(tmp_path):
    alone = compare_seeds(small(), tmp_path / "a", [0, 4, 1])
    with pool() as executor:
        together = compare_seeds(small(), tmp_path / "b", [0, 4, 1], executor=executor)
    np.testing.assert_equal(numbers_of(together), numbers_of(alone))
    assert list(together.found) == [0, 4, 1] and not together.lost
    for seed in (0, 4, 1):
        state, settings = load_run(tmp_path / "b" / f"seed-{seed}" / "maml.npz")
        assert settings.seed == seed and state.iteration == 20


def test_a_cluster_gives_them_too(tmp_path):
    distributed = pytest.importorskip("distributed")
    alone = compare_seeds(small(), tmp_path / "a", [0, 1, 2])
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client:
            done = compare_seeds(small(), tmp_path / "b", [0, 1, 2], executor=client.get_executor())
    np.testing.assert_equal(numbers_of(done), numbers_of(alone))


def test_the_table_has_the_median_and_the_range_over_seeds(tmp_path):
    done = compare_seeds(small(), tmp_path, [0, 1, 2])
    means = done.means("maml")[:, 1]
    text = table(done)
    assert f"{np.median(means):.2f} ({means.min():.2f} to {means.max():.2f})" in text
    typical = next(line for line in text.splitlines() if line.startswith("  median task"))
    assert typical.split()[3] == f"{np.median([one.curves['maml'].median[1] for one in done.found.values()]):.2f}"
    assert "+- over the tasks" in text
    facts = json.loads((tmp_path / "results.json").read_text())
    assert facts["over_seeds"]["maml"]["least"][1] == means.min() and facts["seeds"].keys() == {"0", "1", "2"}
    assert (tmp_path / "steps.png").exists() and (tmp_path / "seed-1" / "steps.png").exists()


def test_the_table_has_the_times_the_diverged_tasks_and_the_paper(tmp_path):
    done = compare_seeds(small("maml", shots=5, hidden=(40, 40)), tmp_path, [0, 1, 2])
    found = {}
    for (seed, one), seconds, lost in zip(done.found.items(), (7, 90, 31), (0, 2, 1), strict=True):
        curve = one.curves["maml"]
        diverged = np.zeros_like(curve.diverged)
        diverged[3, :lost] = True
        curves = one.curves | {"maml": replace(curve, diverged=diverged)}
        found[seed] = replace(one, seconds={"maml": float(seconds)}, curves=curves)
    lines = table(replace(done, found=found)).splitlines()
    assert lines[-2:] == ["", "training took: MAML 31 s"]
    assert next(line for line in lines if line.startswith("MAML ")).split()[-1] == "2"  # the most of three seeds
    assert next(line for line in lines if line.startswith("  paper")).split() == ["paper", "0.67", "0.38", "0.35"]


def test_what_was_done_before_is_resumed(tmp_path):
    whole = compare_seeds(small(), tmp_path / "a", [0, 1])
    compare_seeds(small(iterations=8), tmp_path / "b", [0])
    with pytest.raises(ValueError, match="holds an earlier run"):
        compare_seeds(small(), tmp_path / "b", [0, 1])
    np.testing.assert_equal(numbers_of(compare_seeds(small(), tmp_path / "b", [0, 1], resume=True)), numbers_of(whole))


def test_a_method_that_diverges_in_one_seed_is_a_row_that_says_so(tmp_path, monkeypatch):
    run = module.run_comparison

    def diverging(runs, folder, **more):
        if next(iter(runs.values())).seed == 1:
            found = run({"maml": replace(runs["maml"], outer_lr=1e300)}, folder / "x", **more)
            rest = run({"pretraining": runs["pretraining"]}, folder, **more)
            return replace(rest, failed=found.failed, styles=found.styles | rest.styles)
        return run(runs, folder, **more)

    monkeypatch.setattr(module, "run_comparison", diverging)
    said = []
    with np.errstate(all="ignore"):
        done = compare_seeds(small(), tmp_path, [0, 1], say=said.append)
    assert "seed 1: diverged" in table(done) and len(done.means("maml")) == 1 and len(done.means("pretraining")) == 2
    assert any("maml diverged" in sentence for sentence in said)


def kill(*given):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_a_killed_worker_is_reported_and_its_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "one_seed", kill)
    said = []
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as executor:
        done = compare_seeds(small(), tmp_path, [0, 1], executor=executor, say=said.append)
    assert done.lost.keys() == {0, 1} and "its process was killed: continue it with --resume" in said[0]
    monkeypatch.undo()
    assert not compare_seeds(small(), tmp_path, [0, 1], resume=True).lost


def test_an_error_in_a_worker_is_that_of_one_process(tmp_path):
    (tmp_path / "seed-1").write_text("")  # a file in the place of its folder
    for executor in (None, ThreadPoolExecutor(2)):
        with pytest.raises(OSError, match="cannot make or write the folder"):
            compare_seeds(small(), tmp_path, [1], executor=executor)


@pytest.mark.parametrize(("given", "words"), [
    ("--seeds 0,0", "expected different numbers"), ("--seeds 0,x", "'x', expected whole numbers"),
    ("--seeds 0,1 --seed 2", "leave one out"), ("--jobs 2", "is for several seeds"), ("--seeds 0,1 --jobs 0", "jobs is 0"),
])  # fmt: skip
def test_odd_seeds_and_jobs_are_refused_in_one_sentence(given, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", "--iterations", "2", *given.split()]) == 2
    assert words in capsys.readouterr().err


def started(folder, *more):
    command = [sys.executable, "-m", "tinymaml", "compare", "--seeds", "0,1,2", "--jobs", "2", "--methods", "maml",
               "--shots", "5", "--iterations", "3000", "--out", str(folder), *more]  # fmt: skip
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, start_new_session=True, **quiet)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="there are no process groups here")
@pytest.mark.parametrize("to", ["all", "the first"])
def test_ctrl_c_stops_all_and_loses_nothing(tmp_path, to):
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        pytest.skip("SIGINT is ignored here")
    process = started(tmp_path / "run")
    places = [tmp_path / "run" / f"seed-{seed}" for seed in (0, 1)]
    for _ in range(600):
        if all((place / ".lock").exists() for place in places):
            break
        time.sleep(0.1)
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGINT) if to == "all" else os.kill(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "stopped" in told
    saved = [load_run(place / "maml.npz")[0].iteration for place in places if (place / "maml.npz").exists()]
    assert saved and all(0 < iteration < 3000 for iteration in saved)
