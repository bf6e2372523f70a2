"""Every whole number that can be set, at 10^9: the command ends at once, by an answer or by one sentence, in little memory."""

import subprocess
import sys

import numpy as np
import pytest

from tinymaml.experiment.cli import main
from tinymaml.experiment.options import settings_for
from tinymaml.tasks import Sinusoids

SCAN = """
import resource, signal, sys
resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))
from pathlib import Path
from tinymaml import methods, tasks
from tinymaml.experiment import cli
from tinymaml.experiment.options import options_of

FIELDS = ("shots", "queries", "tasks", "iterations", "seed", "half_life", "width")
ONCE = ["--iterations", "1", "--tasks", "2", "--shots", "1", "--queries", "1", "--quiet"]
out, lines = Path(sys.argv[1]), []
for family in tasks.FAMILIES:
    small = ["--classes", "9"] if family.name == "glyphs" else []
    for method in methods.METHODS:
        if family.name == "omniglot" or not (method.gradient and method.supports(family)):  # the options of glyphs, on a disk
            continue
        own = [name for name, option in options_of(family, method).items() if type(option.default) is int]
        for inside in ("es", "climb") if method.name == "es" else ("",):
            more = small + ["--inside", inside] * bool(inside)
            command = ["train", "--family", family.name, "--method", method.name, *ONCE, *more]
            lines += [[*command, f"--{name.replace('_', '-')}", "1000000000"] for name in (*FIELDS, *own)]
cli.main(["train", *ONCE, "--out", str(out)])
lines += [["evaluate", f"{out}/maml.npz", "--tasks", "3", name, "1000000000"] for name in ("--shots", "--steps", "--tasks")]
lines += [["check", "--networks", "1000000000"]]
for number, line in enumerate(lines):
    signal.alarm(10)  # ends this process, and the last line says where
    print("BEGIN", *line, flush=True)
    status = cli.main([*line, *(["--out", str(out / str(number))] * (line[0] == "train"))])
    print("END", status, flush=True)
"""


def test_a_billion_ends_at_once_by_an_answer_or_by_a_sentence(tmp_path):
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, "-c", SCAN, str(tmp_path)], capture_output=True, text=True, timeout=300)
    said = [line for line in done.stdout.splitlines() if line.startswith(("BEGIN", "END"))]
    assert done.returncode == 0, f"{said[-1]}: {done.returncode} {done.stderr[-500:]}"
    ends = said[1::2]
    assert len(ends) > 300 and set(ends) == {"END 0", "END 2"}
    told = [line for line in done.stderr.splitlines() if "gradient may be inaccurate" not in line]
    assert len(told) == ends.count("END 2") and all(line.startswith("tinymaml: ") and ": " in line[10:] for line in told)


@pytest.mark.parametrize("line", [
    "train --family navigation --horizon 1000000000", "train --method es --inside es --tries 10000",
    "train --method es --inside es --tries 200 --pairs 100", "train --method imaml --tolerance 1e300",
    "train --method imaml --strength 1e300", "train --method imaml --damping 1e300", "train --method es --sigma 1e300",
    "train --method es --inside climb --reach 1e300",
])  # fmt: skip
def test_what_no_run_can_use_is_refused_by_name(monkeypatch, tmp_path, capsys, line):
    monkeypatch.setattr("tinymaml.experiment.memory.available", lambda: 8 * 10**9)
    assert main([*line.split(), "--iterations", "2", "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and (line.split()[-2][2:] in said or "lower --" in said)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("changes", [
    {"family": "navigation", "horizon": 1000},
    {"method": "es", "inside": "es", "tries": 200, "pairs": 10_000, "sigma": 10, "reach": 10},
    {"method": "imaml", "steps": 10_000, "cg_steps": 1000, "tolerance": 0.9, "strength": 1e6, "damping": 1e6},
])  # fmt: skip
def test_the_largest_that_is_taken(changes):
    given = {"family": "sinusoids", **changes}
    options = settings_for(**given).options
    assert all(options[name] == value for name, value in changes.items() if name not in ("family", "method"))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shots, queries", [(30_000, 30_000), (100_000, 1), (1, 100_000)])
def test_query_points_are_never_support_points_however_many_there_are_in_float32(seed, shots, queries):
    batch = Sinusoids().sample(np.random.default_rng(seed), tasks=2, shots=shots, queries=queries, dtype=np.float32)
    assert batch.x_support.shape == (2, shots, 1) and batch.x_query.shape == (2, queries, 1)
    assert not any(np.isin(batch.x_query[t], batch.x_support[t]).any() for t in range(2))
    np.testing.assert_array_equal(batch.y_query, batch.task_params(batch.x_query).astype(np.float32))


@pytest.mark.parametrize(("x", "dtype"), [((1.0, 1.0 + 1e-7), np.float32), ((1.0, np.nextafter(1.0, 2)), np.float64)])
def test_an_interval_with_no_other_points_is_refused(x, dtype):
    with pytest.raises(ValueError, match=r"^x is .* too few float\d\d numbers for 9 support points .*: widen it"):
        Sinusoids(x=x).sample(np.random.default_rng(0), tasks=2, shots=9, queries=2, dtype=dtype)
