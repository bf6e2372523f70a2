"""What holds for every test.

One thread for the matrix library: the matrices here are small, and threads that wait for each other cost more than they
do. Figures are drawn without a screen. `exercises` and `figures` are imported as in a lesson.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "lessons"))


def pytest_configure():
    import matplotlib  # and NumPy with it: not before the line about threads

    matplotlib.use("Agg")  # not by MPLBACKEND, which the kernels of the lessons would inherit
