"""One thread for the matrix library: the matrices here are small, and threads that wait for each other cost more than they do."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
