"""What holds for every test.

One thread for the matrix library: the matrices here are small, and threads that wait for each other cost more than they
do. Figures are drawn without a screen. `exercises` and `figures` are imported as in a lesson. `--hypothesis-profile=soak`
draws ten times the examples.
"""

import os
import sys
from pathlib import Path

from hypothesis import settings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "lessons"))
collect_ignore = ["bench/cold"]  # scripts that are timed from their first import on: they are run, never imported
settings.register_profile("soak", max_examples=1000, print_blob=True)


def pytest_configure():
    import matplotlib  # and NumPy with it: not before the line about threads

    matplotlib.use("Agg")  # not by MPLBACKEND, which the kernels of the lessons would inherit
