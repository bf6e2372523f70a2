"""A training run on disk: one .npz file, written whole or not at all, read without pickle."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from tinymaml.files import write_whole
from tinymaml.parameters import Parameters
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
    """The state and the settings in `path`. FileNotFoundError, or ValueError for a file that is not a whole checkpoint."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}: `python -m tinymaml train` makes one")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}  # zip checks every array's sum
        facts = json.loads(str(arrays.pop("facts")))
        if facts["format"] == FORMAT:
            return _assembled(facts, arrays)
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is not a whole tinymaml checkpoint ({error}): train again or name another file") from error
    raise ValueError(f"{path} is a {facts['format']!r} and this version reads {FORMAT!r}: train again or name another file")


def _assembled(facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> tuple[TrainingState, dict[str, Any]]:
    """The state and the settings from the parts that `save` wrote."""
    losses = arrays.pop("losses")
    groups: dict[str, dict[str, np.ndarray]] = {"theta": {}, "optimizer": {}}
    for name, array in arrays.items():
        group, name = name.split("/", 1)
        groups[group][name] = array
    if losses.shape != (facts["iteration"],) or not groups["theta"]:
        raise ValueError("its parts do not belong together")
    theta = Parameters(groups["theta"])
    return TrainingState(facts["iteration"], theta, groups["optimizer"], facts["generator"], losses), facts["settings"]
