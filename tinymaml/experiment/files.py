"""A file that is written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_whole(path: Path, write: Callable[[Any], None]) -> None:
    """`write(file)` into a partial file beside `path`, then put it in place at one stroke; folders are made if need be.

    Whoever is stopped while writing leaves the previous file as it was. A partial file belongs to one process, as a
    class may share a folder.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(partial, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
