"""The folder of a run: made for it alone, and kept from every other run as long as the process lives."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

LOCK = ".lock"  # never deleted: whoever deletes it can lock a file that another no longer sees
FAR = 1 << 30  # Windows keeps others from reading a byte that is locked: it is one that is never written
_held: set[tuple[int, Path]] = set()  # by this process, which is named because a fork inherits the set but not the right


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Nobody else runs in `folder`, which is made if need be, while this lasts; it ends with the process however that ends.

    OSError, one sentence, if another process has it, if it cannot be made or written, or if its file system knows no
    locks: going on without would give up just what was asked for. A claim within a claim of this process adds nothing.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(_cannot(folder, error)) from error
    me = os.getpid(), folder.resolve()
    if me in _held:
        yield
        return
    try:
        file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise OSError(f"cannot write into {folder} ({error.strerror}): choose another folder with --out") from error
    try:
        _lock(file, folder)
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
        for left in folder.glob("*.[0-9]*.partial"):  # by a process that is no more, as it would have the lock
            left.unlink(missing_ok=True)
        _held.add(me)
        yield
    finally:
        _held.discard(me)
        os.close(file)  # and with it goes the lock


def new(name: str) -> Path:
    """A new folder runs/NAME-N, with the next number that nobody has: making it fails if it is there, so no two get one."""
    number = max(_numbers(name), default=0) + 1
    while True:
        folder = Path("runs") / f"{name}-{number}"
        try:
            folder.parent.mkdir(exist_ok=True)
            folder.mkdir()
            return folder
        except OSError as error:
            if not folder.exists():
                raise OSError(_cannot(folder, error)) from error
            number += 1


def newest(name: str) -> Path:
    """The folder runs/NAME-N with the highest number; -1 if there is none."""
    return Path("runs") / f"{name}-{max(_numbers(name), default=1)}"


def _cannot(folder: Path, error: OSError) -> str:
    return f"cannot make the folder {folder} ({error.strerror}): choose another with --out"


def _numbers(name: str) -> list[int]:
    found = (folder.name.removeprefix(f"{name}-") for folder in Path("runs").glob(f"{name}-*"))
    return [int(number) for number in found if number.isdecimal()]


def _lock(file: int, folder: Path) -> None:
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            os.lseek(file, FAR, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError) as error:
        time.sleep(0.05)  # whoever has just taken it is still writing who it is
        os.lseek(file, 0, os.SEEK_SET)
        who = os.read(file, 200).decode(errors="replace") or "another process"
        raise OSError(f"{who} is running in {folder}: wait for its end, stop it, or choose another folder with --out") from error
    except OSError as error:
        raise OSError(
            f"the file system of {folder} knows no locks ({error.strerror}), which keep other runs out: "
            "choose a folder on another with --out"
        ) from error
