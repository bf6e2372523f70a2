"""Omniglot: 1623 handwritten characters of 50 alphabets, 20 drawings of each (Lake, Salakhutdinov, Tenenbaum 2015).

    characters = load("a folder")           # with images_background.zip and images_evaluation.zip, or both unpacked
    train, test = split(rng, characters)    # as in the paper: 1200 random characters for training, the rest for testing
    batch = Episodes(rotations(train)).sample(rng, tasks=32, shots=1, queries=1)

The archives are at https://github.com/brendenlake/omniglot in the folder python. Images are uint8 (characters, drawings,
784), 28 x 28 row by row, ink 255 on a background of 0; `Episodes` scales them to 1 and 0. A pixel is the mean of the area
that it covers in the 105 x 105 original. Reading takes some seconds, so the images are cached in the folder of the archive.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tinymaml.settings import Option, Settings, rng_for
from tinymaml.tasks import episodes, fewshot
from tinymaml.tasks import omniglot_archive as archives
from tinymaml.tasks.family import Published

PAPER_TRAIN = 1200 / 1623  # the fraction of all characters to train on


def load(path: str | Path) -> np.ndarray:
    """The characters in a folder that holds the archives, zipped or unpacked, or in one of the archives itself.

    uint8 (characters, drawings, 784), the background set first. FileNotFoundError if there is no archive; ValueError if one
    is damaged, incomplete, or not Omniglot. A cache that is damaged or was made from other files is replaced. A warning is
    issued if it cannot be written.
    """
    path = Path(os.path.expanduser(path))  # unchanged if there is no such user
    found = []
    for name in archives.SETS:
        if archive := archives.find(path, name):
            found.append(archives.load(archive, name))
    if not found:
        raise FileNotFoundError(
            f"{path} {'holds' if path.is_dir() else 'is'} no images_background.zip or images_evaluation.zip, zipped or "
            f"unpacked: get them from {archives.SOURCE} (folder python) and pass the folder that they are in"
        )
    return np.concatenate(found)


def split(rng: np.random.Generator, characters: np.ndarray, train: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Split characters into `train` random ones for meta-training and the rest for meta-testing.

    The default is 1200 of 1623, as in the paper, or the same fraction of a part: 713 of the 964 in the background set.
    """
    return episodes.split(rng, characters, round(len(characters) * PAPER_TRAIN) if train is None else train)


def rotations(images: np.ndarray) -> np.ndarray:
    """Four times the classes: the characters (C, M, d * d), then all of them rotated by 90, 180 and 270 degrees."""
    side = round(images.shape[-1] ** 0.5)
    square = images.reshape(*images.shape[:2], side, side)
    return np.concatenate([np.rot90(square, k, axes=(2, 3)) for k in range(4)]).reshape(-1, *images.shape[1:])


# -- the family --------------------------------------------------------------------------------------------


def _folder(name: str, value: str) -> str:
    """The check of the option `data`."""
    if not value:
        raise ValueError("omniglot needs --data FOLDER, the folder that holds images_background.zip")
    return str(value)


@lru_cache(maxsize=1)
def _characters(seed: int, classes: int, data: str) -> tuple[np.ndarray, np.ndarray, str]:
    """The characters to train on and those to test on, with their rotations, and a digest of all images in the folder."""
    characters = load(data)
    train, test = split(rng_for(seed, "classes"), characters, classes or None)
    return rotations(train), rotations(test), hashlib.sha256(characters.tobytes()).hexdigest()[:16]


def _of_settings(settings: Settings) -> tuple[np.ndarray, np.ndarray, str]:
    data = os.path.abspath(os.path.expanduser(settings.options["data"]))
    return _characters(settings.seed, settings.options["classes"], data)


def _published(ways: int, shots: int, steps: int, accuracy: float, **network: Any) -> Published:
    """MAML's accuracy after `steps` steps: the paper takes three for 5-way and five for 20-way (its appendix A.1)."""
    settings = {"method": "maml", "ways": ways, "shots": shots, "fixed_labels": False, "activation": "relu", "norm": "batch"}
    return Published(settings | network, {steps: accuracy})


_DENSE = {"model": "mlp", "hidden": (256, 128, 64, 64)}
_CONVOLUTIONAL = {"model": "cnn", "hidden": (64,) * 4}

FAMILY = fewshot.classification(
    "omniglot",
    "N-way K-shot classification of handwritten characters from 50 alphabets; rotations are additional classes",
    inputs=archives.SIDE**2,
    training=lambda settings: _of_settings(settings)[0],
    testing=lambda settings: _of_settings(settings)[1],
    content=lambda settings: _of_settings(settings)[2],
    shots=(),
    defaults={
        "iterations": 12_000, "outer_lr": 0.003, "half_life": 3000, "hidden": (256, 128, 64, 64), "tasks": 16, "queries": 3,
    },
    options=(*fewshot.of_images(blocks=4), Option("data", "", "folder that contains images_background.zip", _folder)),
    report_steps=(0, 1, 3, 5, 10),
    paper=(  # table 1
        _published(5, 1, 3, 89.7, **_DENSE), _published(5, 5, 3, 97.5, **_DENSE),
        _published(5, 1, 3, 98.7, **_CONVOLUTIONAL), _published(5, 5, 3, 99.9, **_CONVOLUTIONAL),
        _published(20, 1, 5, 95.8, **_CONVOLUTIONAL), _published(20, 5, 5, 98.9, **_CONVOLUTIONAL),
    ),
)  # fmt: skip
