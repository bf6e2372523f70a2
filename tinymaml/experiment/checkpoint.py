"""A training run on disk: one .npz file, written whole or not at all, read without pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tinymaml import validate
from tinymaml.experiment import npz, sound
from tinymaml.experiment.files import write_whole
from tinymaml.training.loop import TrainingState

FORMAT = "tinymaml checkpoint 3"


def save(path: Path, state: TrainingState, settings: dict[str, Any]) -> None:
    """Write the state and the settings it was trained with to `path`.

    The file is written beside its place and moved there in one step, so whoever is stopped while writing leaves the
    previous checkpoint as it was.
    """
    facts = {"format": FORMAT, "iteration": state.iteration, "generator": state.generator, "settings": settings}
    facts["seconds"] = state.seconds
    arrays = {"facts": np.array(json.dumps(facts)), "losses": state.losses}
    arrays |= {f"theta/{name}": array for name, array in state.theta.items()}
    arrays |= {f"optimizer/{name}": array for name, array in state.optimizer.items()}
    write_whole(path, lambda file: np.savez(file, **arrays))


def load(path: Path) -> tuple[TrainingState, dict[str, Any]]:
    """The state and the settings in `path`, each part judged by itself; `run.load_run` judges whether they agree.

    FileNotFoundError, or ValueError for a file that is not a whole checkpoint or has a part that no run can have left.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}: `python -m tinymaml train` makes one")
    try:
        arrays = npz.read(path)
        facts = json.loads(str(arrays.pop("facts")))
        written_by, settings = facts["format"], facts["settings"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)[:200]
        raise ValueError(f"{path} is not a whole tinymaml checkpoint ({what}): train again or name another file") from error
    if written_by != FORMAT:
        had = validate.brief(written_by)
        raise ValueError(f"{path} is a {had} and this version reads {FORMAT!r}: train again or name another file")
    try:
        if not isinstance(settings, dict):
            raise ValueError(f"its settings are {validate.brief(settings)}, expected names and values")
        return sound.assembled(facts, arrays), settings
    except ValueError as error:
        raise ValueError(f"{path}: {error}: train again or name another file") from error
