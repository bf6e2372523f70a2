"""Omniglot: 1623 handwritten characters of 50 alphabets, 20 drawings of each (Lake, Salakhutdinov, Tenenbaum 2015).

    omniglot = load("a folder")          # that holds images_background.zip and images_evaluation.zip, or both unpacked
    train, test = omniglot.split(rng)    # the paper's: 1200 random characters to train on, the rest to test on
    batch = Episodes(rotations(train)).sample(rng, tasks=32, shots=1, queries=1)

The archives are at https://github.com/brendenlake/omniglot in the folder python. Images come as uint8 (characters,
drawings, 784), 28 x 28 row by row, ink 255 on paper 0, which `Episodes` reads as 1 and 0. A pixel is the mean of the
area that it covers in the 105 x 105 original. Reading takes some seconds, so what was read is kept in a file.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import warnings
import zipfile
from collections.abc import Callable
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
PAPER_TRAIN = 1200  # of all 1623 characters
FORMAT = f"tinymaml omniglot 1, area mean to {SIDE} x {SIDE}"
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
        """`train` random characters to meta-train on, and all others to meta-test on.

        By default 1200 of 1623, as in the paper, and as large a part of fewer: 713 of the 964 of the background set.
        """
        characters = self.characters
        if train is None:
            train = round(len(characters) * PAPER_TRAIN / sum(SETS.values()))
        return episodes.split(rng, characters, train)

    def official(self) -> tuple[np.ndarray, np.ndarray]:
        """The background set to meta-train on and the evaluation set, of other alphabets, to meta-test on."""
        for name, images in (("images_background", self.background), ("images_evaluation", self.evaluation)):
            if images is None:
                raise ValueError(f"there was no {name} to load, expected both sets: put {name}.zip there too, or use split(rng)")
        return self.background, self.evaluation


def load(path: str | Path, *, cache: str | Path | None = None, complete: bool = True) -> Omniglot:
    """Omniglot from a folder that holds the archives, zipped or unpacked, or from one of the archives itself.

    cache       where to keep what was read; by default the folder that holds the archive. A cached file is trusted
                only if it is whole, was made from this very archive and holds images. A warning says if it cannot be written.
    complete    ask for every character of a set and 20 drawings of each; False accepts a part of a set
    FileNotFoundError if there is no archive; ValueError for one that is damaged, incomplete, or something else.
    """
    path = Path(os.path.expanduser(path))  # as it is where there is no such user
    places = {name: place for name in SETS if (place := _place(path, name))}
    if not places:
        raise FileNotFoundError(
            f"{path} {'holds' if path.is_dir() else 'is'} no images_background.zip or images_evaluation.zip, zipped or unpacked: "
            f"get them from {SOURCE} (folder python) and pass the folder that they are in"
        )
    found: dict[str, np.ndarray] = {}
    for name, place in places.items():
        found[name] = images = _cached(place, name, Path(os.path.expanduser(cache or place.parent)), complete)
        if complete and images.shape[:2] != (SETS[name], DRAWINGS):
            raise ValueError(
                f"{place} has {images.shape[0]} characters of {images.shape[1]} drawings, expected {SETS[name]} of {DRAWINGS}: "
                "get the whole archive, or pass complete=False to use this part of it"
            )
    return Omniglot(found.get("images_background"), found.get("images_evaluation"))


def rotations(images: np.ndarray) -> np.ndarray:
    """Four times the classes: the characters (C, M, d * d), then all of them turned by 90, 180 and 270 degrees."""
    side = round(images.shape[-1] ** 0.5)
    if side * side != images.shape[-1]:
        raise ValueError(f"the images have {images.shape[-1]} pixels, expected a square number: pass square ones, row by row")
    square = images.reshape(*images.shape[:2], side, side)
    return np.concatenate([np.rot90(square, turns, axes=(2, 3)) for turns in range(4)]).reshape(-1, *images.shape[1:])


# -- from an archive to an array ---------------------------------------------------------------------------


def _place(path: Path, name: str) -> Path | None:
    """The zip file or folder of one set that `path` holds, or that it is itself."""
    for place in (path / f"{name}.zip", path / name):
        if path.is_dir() and place.exists():
            return place
    return path if path.exists() and name in path.name else None


def _cached(place: Path, name: str, folder: Path, complete: bool) -> np.ndarray:
    """The images of one set: kept ones if they were made from this archive as it is now, else read, and then kept."""
    if not (place.is_dir() or place.is_file()):
        raise ValueError(f"{place} is neither a file nor a folder, expected an archive: get it from {SOURCE}")
    file, stamp = folder / f"{name}_{SIDE}x{SIDE}.npz", f"{FORMAT}, from {_fingerprint(place, name)}"
    try:
        if not file.is_file():  # nor a named pipe, which would block
            raise FileNotFoundError(file)
        with open(file, "rb") as raw, np.load(raw, allow_pickle=False) as kept:
            images = kept["images"] if str(kept["stamp"]) == stamp else np.zeros(0)
        if _believable(images, name, complete):
            return images
    except Exception:  # not there, or damaged in any way: it is read from the archive
        pass
    images = _read(place, name)
    try:
        partial = file.with_name(f"{file.stem}.{os.getpid()}.partial.npz")  # moved into its place when it is whole
        folder.mkdir(parents=True, exist_ok=True)
        try:
            np.savez(partial, images=images, stamp=np.array(stamp))
            os.replace(partial, file)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        warnings.warn(
            f"the images cannot be kept in {folder} ({error.strerror or error}), so {place.name} is read again each time: "
            "put the data into a folder that can be written",
            stacklevel=3,  # the line that called load
        )
    return images


def _believable(images: np.ndarray, name: str, complete: bool) -> bool:
    """Whether a cached array is one of images, with ink on them, and of the whole set if that is asked."""
    whole = not complete or images.shape[:2] == (SETS[name], DRAWINGS)
    return images.dtype == np.uint8 and images.ndim == 3 and images.shape[-1] == SIDE**2 and whole and bool(images.any())


def _drawings(place: Path, name: str) -> dict[str, Path]:
    """The drawings of an unpacked set, by their names in the archive. ValueError for one that is no regular file."""
    found = {}
    for path in sorted(place.glob("*/*/*.png")):  # which follows links, as ** does not
        file = f"{name}/{path.relative_to(place).as_posix()}"
        if DRAWING.fullmatch(file):
            if not path.is_file():  # to open a pipe is to wait for ever
                raise ValueError(f"{path} is no regular file, expected a drawing: unpack {name}.zip again")
            found[file] = path
    return found


def _fingerprint(place: Path, name: str) -> str:
    """What changes when the archive does: a digest of its bytes, or of the names, sizes and times in an unpacked folder."""
    digest = hashlib.sha256()
    if place.is_dir():
        for file in _drawings(place, name).values():
            digest.update(f"{file.relative_to(place).as_posix()} {file.stat().st_size} {file.stat().st_mtime_ns}\n".encode())
    else:
        digest.update(place.read_bytes())
    return digest.hexdigest()


def _read(place: Path, name: str) -> np.ndarray:
    """The images of one set, uint8 (characters, drawings, 784), in the order of their names."""
    if place.is_dir():
        drawings = _drawings(place, name)
        return _decode(place, name, list(drawings), lambda file: drawings[file].read_bytes())
    content = io.BytesIO(place.read_bytes())
    try:
        with zipfile.ZipFile(content) as archive:
            return _decode(place, name, archive.namelist(), archive.read)
    except Exception as error:  # whatever zipfile raises, as the damage has it: BadZipFile, zlib.error, a ValueError of its own
        if str(place) in str(error):  # said already
            raise
        raise ValueError(f"{place} is not a whole zip file ({error}): it was cut short or damaged, download it again") from None


def _decode(place: Path, name: str, files: list[str], read: Callable[[str], bytes]) -> np.ndarray:
    drawings: dict[str, list[str]] = {}  # by character
    for file in sorted(files):
        if (match := DRAWING.fullmatch(file)) and match[1] == name:
            drawings.setdefault(match[2], []).append(file)
    if not drawings:
        raise ValueError(f"{place} holds no {name}/ALPHABET/characterNN/NNNN_MM.png: get the {name}.zip of {SOURCE}")
    most = max(map(len, drawings.values()))
    for character, of_it in drawings.items():
        if len(of_it) < most:
            raise ValueError(f"{place} has {len(of_it)} drawings of {character}, expected {most} as of others: unpack it again")
    images = [[shrink(_drawing(place, file, read)) for file in of_it] for of_it in drawings.values()]
    return np.array(images).reshape(len(drawings), most, -1)


def _drawing(place: Path, file: str, read: Callable[[str], bytes]) -> np.ndarray:
    """One drawing as it is in the archive, (105, 105), 1 where there is ink."""
    from PIL import Image  # decodes PNG, which NumPy cannot; it comes with matplotlib, and only who reads an archive needs it

    data = read(file)
    try:
        with Image.open(io.BytesIO(data)) as image:
            shape = image.size[::-1]
            grey = np.asarray(image.convert("L")) if shape == (ORIGINAL, ORIGINAL) else None  # else it may be of any size
    except Exception as error:  # OSError, ValueError or SyntaxError, as the damage has it
        raise ValueError(f"{file} in {place} cannot be read ({error}): it is damaged, download the archive again") from None
    if grey is None:
        raise ValueError(f"{file} in {place} has shape {shape}, expected {(ORIGINAL, ORIGINAL)}: use the original archive")
    return 1 - grey / 255


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
    """The setting `data`, which nobody can do without."""
    if not value:
        raise ValueError("omniglot needs --data FOLDER, the folder that holds images_background.zip")
    return str(value)


@lru_cache(maxsize=1)
def _characters(seed: int, classes: int, data: str) -> tuple[np.ndarray, np.ndarray, str]:
    """The characters to train on and those to test on, with their rotations, and a digest of all the images in the folder."""
    found = load(data)
    train, test = found.split(rng_for(seed, "classes"), classes or None)
    return rotations(train), rotations(test), hashlib.sha256(found.characters.tobytes()).hexdigest()[:16]


def _drawn(settings: Settings) -> tuple[np.ndarray, np.ndarray, str]:
    return _characters(settings.seed, settings.options["classes"], os.path.abspath(os.path.expanduser(settings.options["data"])))


def _classes(settings: Settings) -> np.ndarray:
    return _drawn(settings)[0]


def _published(ways: int, shots: int, steps: int, accuracy: float, **network: Any) -> Published:
    """Of MAML after so many steps: the paper judges 5-way after three and 20-way after five (its appendix A.1)."""
    settings = {"method": "maml", "ways": ways, "shots": shots, "unshuffled": False, "activation": "relu", "norm": "batch"}
    return Published(settings | network, {steps: accuracy})


_DENSE = {"model": "mlp", "hidden": (256, 128, 64, 64)}
_CONVOLUTIONAL = {"model": "cnn", "hidden": (64,) * 4}

FAMILY = fewshot.classification(
    "omniglot",
    "N-way K-shot classification of handwritten characters of 50 alphabets, with their rotations as further classes",
    inputs=SIDE**2,
    training=_classes,
    testing=lambda settings: _drawn(settings)[1],
    classes=_classes,
    content=lambda settings: _drawn(settings)[2],
    shots=(),
    defaults={
        "iterations": 12_000, "outer_lr": 0.003, "half_life": 3000, "hidden": (256, 128, 64, 64), "tasks": 16, "queries": 3,
    },
    options=(*fewshot.of_images(blocks=4), Option("data", "", "the folder that holds images_background.zip", _folder)),
    shown=(0, 1, 3, 5, 10),
    paper=(  # table 1
        _published(5, 1, 3, 89.7, **_DENSE), _published(5, 5, 3, 97.5, **_DENSE),
        _published(5, 1, 3, 98.7, **_CONVOLUTIONAL), _published(5, 5, 3, 99.9, **_CONVOLUTIONAL),
        _published(20, 1, 5, 95.8, **_CONVOLUTIONAL), _published(20, 5, 5, 98.9, **_CONVOLUTIONAL),
    ),
)  # fmt: skip
