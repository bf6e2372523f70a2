"""From an archive of Omniglot, zipped or unpacked, to an array of images, which is cached beside the archive."""

from __future__ import annotations

import hashlib
import io
import os
import re
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

SETS = {"images_background": 964, "images_evaluation": 659}  # characters
DRAWINGS, ORIGINAL, SIDE = 20, 105, 28
FORMAT = f"tinymaml omniglot 3, area mean to {SIDE} x {SIDE}"
DRAWING = re.compile(r"(images_\w+)/([^/]+/character\d+)/\d+_\d+\.png")
SOURCE = "https://github.com/brendenlake/omniglot"


def find(path: Path, name: str) -> Path | None:
    """The zip file or folder of one set in `path`, or `path` itself. A pipe, which could block, is no archive."""
    candidates = [path / f"{name}.zip", path / name] if path.is_dir() else []
    candidates += [path] * (name in path.name)
    return next((each for each in candidates if each.is_file() or each.is_dir()), None)


def load(archive: Path, name: str) -> np.ndarray:
    """The images of one set: from the cache if its stamp matches, else from the archive, and then cached."""
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
            stacklevel=3,  # the line that called omniglot.load
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
