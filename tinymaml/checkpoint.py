"""A training run on disk: one .npz file, written whole or not at all, read without pickle."""

from __future__ import annotations

import json
import math
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from tinymaml import sound, validate
from tinymaml.files import write_whole
from tinymaml.training import TrainingState

FORMAT = "tinymaml checkpoint 2"


def save(path: Path, state: TrainingState, settings: dict[str, Any]) -> None:
    """Write the state and the settings it was trained with to `path`.

    The file is written beside its place and moved there in one step, so whoever is stopped while writing leaves the
    previous checkpoint as it was.
    """
    facts = {"format": FORMAT, "iteration": state.iteration, "generator": state.generator, "settings": settings}
    arrays = {"facts": np.array(json.dumps(facts)), "losses": state.losses}
    arrays |= {f"theta/{name}": array for name, array in state.theta.items()}
    arrays |= {f"optimizer/{name}": array for name, array in state.optimizer.items()}
    write_whole(path, lambda file: np.savez(file, **arrays))


def load(path: Path) -> tuple[TrainingState, dict[str, Any]]:
    """The state and the settings in `path`, each part judged by itself; `run.reopen` judges whether they agree.

    FileNotFoundError, or ValueError for a file that is not a whole checkpoint or has a part that no run can have left.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}: `python -m tinymaml train` makes one")
    try:
        with warnings.catch_warnings(action="ignore"):  # a damaged header is complained of below
            arrays = _arrays(path)
        facts = json.loads(str(arrays.pop("facts")))
        written_by, settings = facts["format"], facts["settings"]
    except Exception as error:  # zip, npy header and JSON, each damaged in its own way, can raise nearly anything
        what = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise ValueError(f"{path} is not a whole tinymaml checkpoint ({what}): train again or name another file") from error
    if written_by != FORMAT:
        had = validate.told(written_by)
        raise ValueError(f"{path} is a {had} and this version reads {FORMAT!r}: train again or name another file")
    try:
        if not isinstance(settings, dict):
            raise ValueError(f"its settings are {validate.told(settings)}, expected names and values")
        return sound.assembled(facts, arrays), settings
    except ValueError as error:
        raise ValueError(f"{path}: {error}: train again or name another file") from error


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Every array by name. ValueError before anything is allocated that is larger than the file."""
    with open(path, "rb") as file, zipfile.ZipFile(file) as parts:
        members = parts.infolist()
        stored = all(each.compress_type == zipfile.ZIP_STORED and each.file_size == each.compress_size for each in members)
        if not stored or sum(each.file_size for each in members) > path.stat().st_size:
            raise ValueError("the sizes of its parts cannot be")
        if len({each.filename for each in members}) < len(members):
            raise ValueError("it has two parts of one name")
        if broken := parts.testzip():
            raise ValueError(f"{broken} does not match its sum")
        return {each.filename.removesuffix(".npy"): _array(parts, each) for each in members}


def _array(parts: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with parts.open(member) as part:
        header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[npy.read_magic(part)]
        shape, _, dtype = header(part)
        if math.prod(shape) * dtype.itemsize != member.file_size - part.tell():
            raise ValueError(f"{member.filename} has not the size that it claims")
        part.seek(0)
        return npy.read_array(part, allow_pickle=False)
