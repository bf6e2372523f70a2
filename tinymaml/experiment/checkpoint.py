"""A training run on disk: one .npz file followed by a checksum, written atomically and read without pickle."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.experiment.terminal import program
from tinymaml.parameters import Parameters
from tinymaml.training.loop import TrainingState

FORMAT = "tinymaml checkpoint 4"


def save(path: Path, state: TrainingState, settings: dict[str, Any]) -> None:
    """Write the state and its settings to `path`."""
    facts = {"format": FORMAT, "settings": settings, "iteration": state.iteration}
    facts |= {"generator": state.generator, "seconds": state.seconds}
    arrays = {"facts": np.array(json.dumps(facts)), "losses": state.losses}
    arrays |= {f"theta/{name}": array for name, array in state.theta.items()}
    arrays |= {f"optimizer/{name}": array for name, array in state.optimizer.items()}
    body = io.BytesIO()
    np.savez(body, **arrays)
    atomic_write(path, lambda file: (file.write(body.getbuffer()), file.write(checksum(body.getbuffer()))))


def checksum(body: bytes | memoryview) -> bytes:
    """The last line of a checkpoint, which `np.load` skips."""
    return b"\nsha256 " + hashlib.sha256(body).hexdigest().encode()


def load(path: Path) -> tuple[TrainingState, dict[str, Any]]:
    """The state and the settings in `path`, exactly as they were saved.

    FileNotFoundError without a file; ValueError for a damaged or foreign file, in which the checksum is wrong.
    """
    path = Path(path)
    if os.path.isdir(path):
        held = ", ".join(sorted(each.name for each in path.glob("*.npz"))) or "none here"
        raise ValueError(f"{path} is a folder, expected a checkpoint: name a .npz file in it ({held})")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no checkpoint {path}: `{program()} train` makes one")
    try:
        with open(path, "rb") as file:  # a large file of another kind is refused by its last line
            file.seek(-min(72, path.stat().st_size), os.SEEK_END)
            last = file.read()
            file.seek(0)
            body = file.read()[:-72] if last.startswith(b"\nsha256 ") else b""
        if last != checksum(body):
            raise ValueError("its checksum is wrong, or missing as in earlier versions")
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            if facts["format"] != FORMAT:
                raise ValueError(f"it is a {validate.brief(facts['format'])} and this version reads {FORMAT!r}")
            theta, optimizer = (
                {name.removeprefix(group): arrays[name] for name in arrays if name.startswith(group)}
                for group in ("theta/", "optimizer/")
            )
            state = Parameters(theta), optimizer, facts["generator"], arrays["losses"], facts["seconds"]
        return TrainingState(facts["iteration"], *state), dict(facts["settings"])
    except (ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a whole tinymaml checkpoint ({error}): train again or name another file") from error


def atomic_write(path: Path, write: Callable[[Any], Any]) -> None:
    """Call `write(file)` on a partial file in the folder of `path`, then rename it to `path`; makes missing folders.

    A process that is stopped while writing leaves the previous file unchanged. The name of the partial file
    includes the process number, since several processes may share a folder.
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
