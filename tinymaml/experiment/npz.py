"""The arrays of a .npz file that may be damaged, or not be one: nothing is allocated that is larger than the file."""

from __future__ import annotations

import math
import warnings
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy


def read(path: Path) -> dict[str, np.ndarray]:
    """Every array by name, if `np.savez` can have written them. ValueError, one sentence, for whatever else the file is."""
    try:
        if not path.is_file():
            raise ValueError("there is no such file")
        with warnings.catch_warnings(action="ignore"), open(path, "rb") as file, zipfile.ZipFile(file) as parts:
            return {member.filename.removesuffix(".npy"): _array(parts, member) for member in _members(parts, path)}
    except Exception as error:  # a zip file and an npy header, each damaged in its own way, can raise nearly anything
        kind = "" if isinstance(error, ValueError | zipfile.BadZipFile) else f"{type(error).__name__} "
        raise ValueError(" ".join(f"{kind}{error}".split())[:200]) from error


def _members(parts: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    """The parts of the file, once their sizes and sums are known to be right."""
    members = parts.infolist()
    stored = all(each.compress_type == zipfile.ZIP_STORED and each.file_size == each.compress_size for each in members)
    if not stored or sum(each.file_size for each in members) > path.stat().st_size:
        raise ValueError("the sizes of its parts cannot be")
    if len({each.filename for each in members}) < len(members):
        raise ValueError("it has two parts of one name")
    if broken := parts.testzip():
        raise ValueError(f"{broken} does not match its sum")
    return members


def _array(parts: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with parts.open(member) as part:
        header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[npy.read_magic(part)]
        shape, _, dtype = header(part)
        if math.prod(shape) * dtype.itemsize != member.file_size - part.tell():
            raise ValueError(f"{member.filename} has not the size that it claims")
        part.seek(0)
        return npy.read_array(part, allow_pickle=False)
