"""The script of sampled policy gradients: its parts run at small sizes, and what it calls exact is."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinymaml import MLP, Parameters
from tinymaml.check import relative_error
from tinymaml.rl.exact import LinearPolicy
from tinymaml.rl.sampled import SampledPolicy, with_noise
from tinymaml.tasks import Navigation


@pytest.fixture
def script(monkeypatch):
    """The script, imported as it imports its siblings when it is run."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "bench"))
    import policy_gradients

    yield policy_gradients
    sys.modules.pop("policy_gradients", None)


def test_the_exact_baseline_is_the_cost_to_go_and_takes_the_surrogates_hessian_away(script):
    """At the first move from one place it is the expected cost; 20 000 episodes, seeds 0..9: the mean error is below 0.02."""
    rng = np.random.default_rng(0)
    theta = Parameters(W1=-0.5 * np.eye(2), b1=np.array([[0.1, -0.1]]))
    batch = with_noise(Navigation(horizon=3, start_range=0).sample(rng, tasks=1, queries=20_000), rng, 3)
    x, y = batch.x_query, batch.y_query
    policy = SampledPolicy(MLP([2, 2]), 3, 0.3, baseline=script.value_of(theta, 3, 0.3))
    here, exact = policy.at(theta, x, y), LinearPolicy(horizon=3, noise=0.3).at(theta, x[:, :1, :2], y[:, :1])
    np.testing.assert_allclose(here.b[..., 0], exact.cost[0])
    np.testing.assert_allclose((here.C - here.b).mean((0, 1)), 0, atol=0.02)
    Hessian = script.hessian(exact, theta)
    np.testing.assert_allclose(Hessian, Hessian.T, atol=1e-12)
    here.policy = replace(policy, hessian="surrogate")
    assert relative_error(Hessian - script.hessian(here, theta), Hessian) < 0.1


def test_the_three_hessians_come_out_as_the_literature_says(script):
    """2000 episodes: DiCE is near, the surrogate off by all of it, LVC between; seeds 0..9: .12-.25, .95-1.03, .63-.68."""
    found = {key: np.median(of) for key, of in script.errors([2000], 3).items()}
    assert found["dice", "exact"] < 0.35 < found["lvc", "exact"] < 0.85 < found["surrogate", "exact"] < 1.2
    assert found["surrogate", "none"] > 3


def test_the_tables_and_figures(script, capsys, tmp_path):
    out = ["--out", str(tmp_path)]
    assert script.main(["hessians", "--decades", "2", "--repeats", "2", *out]) == 0
    said = capsys.readouterr().out
    assert "200 episodes" in said and said.count("| surrogate |") == 3 and (tmp_path / "hessians.png").stat().st_size > 1000
    assert script.main(["adaptation", "--iterations", "3", "--decades", "1", "--tests", "4"]) == 0
    assert "exact gradient" in capsys.readouterr().out
    small = ["--horizon", "5", "--width", "4", "--iterations", "2", "--tests", "3"]
    assert script.main(["neural", *small, *out]) == 0
    rows = [line.split("|")[1:3] for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [name.strip() for name, _ in rows[2:5]] == ["MAML, Adam outside", "its moves without noise", "random start"]
    assert rows[5][1].strip() == "-40.4"
    assert (tmp_path / "returns.png").stat().st_size > 1000
