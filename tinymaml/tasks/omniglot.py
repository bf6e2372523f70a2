"""Omniglot: 1623 handwritten characters of 50 alphabets, 20 drawings of each (Lake, Salakhutdinov, Tenenbaum 2015).

    omniglot = load("a folder")          # with images_background.zip and images_evaluation.zip, or both unpacked
    train, test = omniglot.split(rng)    # as in the paper: 1200 random characters for training, the rest for testing
    batch = Episodes(rotations(train)).sample(rng, tasks=32, shots=1, queries=1)

The archives are at https://github.com/brendenlake/omniglot in the folder python. Images are uint8 (characters, drawings,
784), 28 x 28 row by row, ink 255 on a background of 0; `Episodes` scales them to 1 and 0. A pixel is the mean of the area
that it covers in the 105 x 105 original. Reading takes some seconds, so the images are cached in the folder of the archive.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import warnings
import zipfile
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tinymaml.settings import Option, Settings, rng_for
from tinymaml.tasks import episodes, fewshot
from tinymaml.tasks.family import Published

SETS = {"images_background": 964, "images_evaluation": 659}  # characters
DRAWINGS, ORIGINAL, SIDE = 20, 105, 28
PAPER_TRAIN = 1200 / 1623  # the fraction of all characters to train on
FORMAT = f"tinymaml omniglot 3, area mean to {SIDE} x {SIDE}"
DRAWING = re.compile(r"(images_\w+)/([^/]+/character\d+)/\d+_\d+\.png")
SOURCE = "https://github.com/brendenlake/omniglot"


@dataclass(frozen=True, eq=False)
class Omniglot:
    """The sets that were found, each uint8 (characters, drawings, 784), or None."""

    background: np.ndarray | None
    evaluation: np.ndarray | None

    @property
    def characters(self) -> np.ndarray:
        """All characters, the background set first."""
        return np.concatenate([images for images in (self.background, self.evaluation) if images is not None])

    def split(self, rng: np.random.Generator, train: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Split all characters into `train` random ones for meta-training and the rest for meta-testing.

        The default is 1200 of 1623, as in the paper, or the same fraction of a part: 713 of the 964 in the background set.
        """
        characters = self.characters
        return episodes.split(rng, characters, round(len(characters) * PAPER_TRAIN) if train is None else train)


def load(path: str | Path) -> Omniglot:
    """Omniglot from a folder that holds the archives, zipped or unpacked, or from one of the archives itself.

    FileNotFoundError if there is no archive; ValueError if it is damaged, incomplete, or not Omniglot.
    A cache that is damaged or was made from other files is replaced. A warning is issued if it cannot be written.
    """
    path = Path(os.path.expanduser(path))  # unchanged if there is no such user
    found: dict[str, np.ndarray] = {}
    for name in SETS:
        if archive := _archive(path, name):
            found[name] = _cached(archive, name)
    if not found:
        raise FileNotFoundError(
            f"{path} {'holds' if path.is_dir() else 'is'} no images_background.zip or images_evaluation.zip, zipped or "
            f"unpacked: get them from {SOURCE} (folder python) and pass the folder that they are in"
        )
    return Omniglot(found.get("images_background"), found.get("images_evaluation"))


def rotations(images: np.ndarray) -> np.ndarray:
    """Four times the classes: the characters (C, M, d * d), then all of them rotated by 90, 180 and 270 degrees."""
    side = round(images.shape[-1] ** 0.5)
    square = images.reshape(*images.shape[:2], side, side)
    return np.concatenate([np.rot90(square, k, axes=(2, 3)) for k in range(4)]).reshape(-1, *images.shape[1:])


# -- from an archive to an array ---------------------------------------------------------------------------


def _archive(path: Path, name: str) -> Path | None:
    """The zip file or folder of one set in `path`, or `path` itself. A pipe, which could block, is no archive."""
    candidates = [path / f"{name}.zip", path / name] if path.is_dir() else []
    candidates += [path] * (name in path.name)
    return next((each for each in candidates if each.is_file() or each.is_dir()), None)


def _cached(archive: Path, name: str) -> np.ndarray:
    """The images of one set: from the cache if its stamp matches, else from the archive; these are then cached."""
    files, cache = _files(archive, name), archive.parent / f"{name}_{SIDE}x{SIDE}.npz"
    try:
        if cache.is_file():  # opening a named pipe would block
            with open(cache, "rb") as raw, np.load(raw, allow_pickle=False) as kept:
                images, stamp = kept["images"], str(kept["stamp"])
            if stamp == _stamp(files, images):
                return images
    except Exception:  # damaged in any way
        pass
    images = _read(archive, name, files)
    partial = cache.with_name(f"{cache.stem}.{os.getpid()}.partial.npz")
    try:
        np.savez(partial, images=images, stamp=np.array(_stamp(files, images)))
        os.replace(partial, cache)
    except OSError as error:
        warnings.warn(
            f"the images cannot be cached in {cache.parent} ({error.strerror or error}), so {archive.name} is read again every "
            "time: put the data into a folder that can be written",
            stacklevel=3,  # the line that called load
        )
    finally:
        partial.unlink(missing_ok=True)
    return images


def _files(archive: Path, name: str) -> dict[str, Path]:
    """The zip file, or the regular files of the drawings of an unpacked set, by name."""
    if archive.is_file():
        return {archive.name: archive}
    files = {f"{name}/{path.relative_to(archive).as_posix()}": path for path in archive.glob("*/*/*.png")}  # follows links
    return {file: path for file, path in sorted(files.items()) if DRAWING.fullmatch(file) and path.is_file()}


def _stamp(files: dict[str, Path], images: np.ndarray) -> str:
    """A digest of the names, sizes and times of the files and of the images made from them."""
    stats = [(name, path.stat().st_size, path.stat().st_mtime_ns) for name, path in files.items()]
    facts = f"{FORMAT} {stats} {images.dtype} {images.shape}"
    return hashlib.sha256(facts.encode() + images.tobytes()).hexdigest()


def _read(archive: Path, name: str, files: dict[str, Path]) -> np.ndarray:
    """The images of one set, uint8 (characters, drawings, 784), in the order of their names."""
    contents = _contents(archive, files)
    names = [file for file in sorted(contents) if DRAWING.fullmatch(file)[1] == name]
    counts = Counter(DRAWING.fullmatch(file)[2] for file in names)
    if len(counts) != SETS[name] or set(counts.values()) != {DRAWINGS}:
        raise ValueError(
            f"{archive} holds {len(names)} drawings {name}/ALPHABET/characterNN/NNNN_MM.png of {len(counts)} characters, "
            f"expected {DRAWINGS} of each of {SETS[name]}: get the whole {name}.zip of {SOURCE}"
        )
    images = np.array([shrink(_drawing(f"{file} in {archive}", contents[file])) for file in names])
    return images.reshape(SETS[name], DRAWINGS, -1)


def _contents(archive: Path, files: dict[str, Path]) -> dict[str, bytes]:
    """The bytes of every drawing, by name."""
    if archive.is_dir():
        return {file: path.read_bytes() for file, path in files.items()}
    try:
        with zipfile.ZipFile(archive) as zipped:
            return {file: zipped.read(file) for file in zipped.namelist() if DRAWING.fullmatch(file)}
    except Exception as error:  # BadZipFile, zlib.error, ValueError and others, depending on the damage
        raise ValueError(
            f"{archive} is not a whole zip file ({error}): it was cut short or damaged, download it again"
        ) from None


def _drawing(name: str, data: bytes) -> np.ndarray:
    """One drawing, (105, 105), 1 where there is ink."""
    from PIL import Image  # decodes PNG; it comes with matplotlib

    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.size != (ORIGINAL, ORIGINAL):  # before it is decoded: it may be huge
                raise ValueError(f"its size is {image.size}, expected {(ORIGINAL, ORIGINAL)}")
            return 1 - np.asarray(image.convert("L")) / 255
    except Exception as error:  # OSError, ValueError or SyntaxError, depending on the damage
        raise ValueError(f"{name} cannot be read ({error}): download the original archive again") from None


def shrink(image: np.ndarray) -> np.ndarray:
    """105 x 105 values from 0 to 1 as 28 x 28 in uint8: 255 times the mean of the 3.75 x 3.75 old pixels under each new one."""
    return np.rint(255 * (_COVER @ image @ _COVER.T)).astype(np.uint8)


def _cover(original: int, side: int) -> np.ndarray:
    """The matrix (side, original) of an area mean: the part of each new pixel that each old one covers. Its rows sum to 1."""
    edges = np.arange(side + 1)[:, None] * (original / side)
    before = np.clip(edges - np.arange(original), 0, 1)  # how much of each old pixel lies before each edge
    return np.diff(before, axis=0) * (side / original)


_COVER = _cover(ORIGINAL, SIDE)


# -- the family --------------------------------------------------------------------------------------------


def _folder(name: str, value: str) -> str:
    """The check of the option `data`."""
    if not value:
        raise ValueError("omniglot needs --data FOLDER, the folder that holds images_background.zip")
    return str(value)


@lru_cache(maxsize=1)
def _characters(seed: int, classes: int, data: str) -> tuple[np.ndarray, np.ndarray, str]:
    """The characters to train on and those to test on, with their rotations, and a digest of all images in the folder."""
    found = load(data)
    train, test = found.split(rng_for(seed, "classes"), classes or None)
    return rotations(train), rotations(test), hashlib.sha256(found.characters.tobytes()).hexdigest()[:16]


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
    inputs=SIDE**2,
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
