"""Whoever trains a network keeps freed memory without asking; an import changes nothing, and a user's own setting stands."""

import ctypes
import os
import subprocess
import sys

import pytest

from tinymaml.nn import allocator

GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt")

LOOP = """
import resource
import numpy as np
from tinymaml import MLP, meta_gradient
from tinymaml.tasks import Sinusoids
rng = np.random.default_rng(0)
model = MLP([1, WIDTH, WIDTH, 1])
theta, batch = model.init(rng), Sinusoids().sample(rng, tasks=25)
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for i in range(30):
    before = faults() if i == 10 else before if i > 10 else 0
    meta_gradient(model, theta, batch, inner_lr=0.01).gradient
print(faults() - before)
"""


def fresh(code, **variables):
    """What this program prints in a process of its own."""
    ours = {name: value for name, value in os.environ.items() if name not in allocator.VARIABLES}
    run = subprocess.run([sys.executable, "-c", code], env=ours | variables, check=True, capture_output=True, text=True)
    return run.stdout.strip()


@pytest.mark.skipif(not GLIBC, reason="only glibc has mallopt")
@pytest.mark.parametrize("width", [40, 128, 200])
def test_a_loop_asks_the_system_for_hardly_any_memory(width):
    code = LOOP.replace("WIDTH", str(width))
    kept, returned = int(fresh(code)), int(fresh(code, MALLOC_TRIM_THRESHOLD_="131072"))  # glibc's own number
    assert kept < returned / 4


def test_an_import_changes_nothing():
    calls = "from tinymaml.nn.allocator import keep_freed_memory as keep; print(keep.cache_info().currsize)"
    assert fresh(f"import tinymaml.methods, tinymaml.check; {calls}") == "0"
    assert fresh(f"from tinymaml import MLP; MLP([1, 1]); {calls}") == "1"


@pytest.mark.parametrize("library", [object(), None])
def test_another_c_library_is_left_alone(monkeypatch, library):
    def load(name):
        if library is None:
            raise OSError("there is none")
        return library

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert allocator.keep_freed_memory.__wrapped__() is None
