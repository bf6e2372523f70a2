"""The folder of a run: numbered if new, and locked against other processes during the run."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:
    fcntl = None
try:
    import msvcrt  # Windows
except ImportError:
    msvcrt = None  # with neither, as in a browser, there is no other process to lock out

RUNS = Path("runs")
LOCK = ".lock"  # never deleted: a process could lock a deleted file while another locks its successor
FAR = 1 << 30  # Windows does not allow reading a locked byte: lock one that is never written
_held: set[tuple[int, Path]] = set()  # (process number, folder) of locks; the number, since a fork inherits the set


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make `folder` if it is missing, and lock it until the end of the block or of the process; locks of one process nest.

    OSError if another process holds the lock, if the folder cannot be made or written, or if its file system has
    no locks.
    """
    folder = Path(folder)
    me = os.getpid(), folder.resolve()
    if me in _held:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        _lock(file, folder)
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
        for left in folder.glob("*.[0-9]*.partial"):  # left by a process that was killed while writing
            left.unlink(missing_ok=True)
        _held.add(me)
        yield
    finally:
        _held.discard(me)
        os.close(file)  # releases the lock


def _lock(file: int, folder: Path) -> None:
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt:
            os.lseek(file, FAR, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError) as error:
        time.sleep(0.05)  # the owner may still be writing its number
        os.lseek(file, 0, os.SEEK_SET)
        owner = os.read(file, 200).decode(errors="replace") or "another process"
        remedy = "wait for its end, stop it, or choose another folder with --out"
        raise OSError(f"{owner} is running in {folder}: {remedy}") from error
    except OSError as error:
        remedy = "choose a folder on another file system with --out"
        raise OSError(f"{folder} cannot be locked ({error.strerror}): {remedy}") from error


def new(name: str) -> Path:
    """Make a folder runs/NAME-N with the next free number; concurrent processes get different numbers."""
    try:
        RUNS.mkdir(exist_ok=True)
        for number in itertools.count(max(_numbers(name), default=0) + 1):
            with suppress(FileExistsError):
                (folder := RUNS / f"{name}-{number}").mkdir()
                return folder
    except OSError as error:
        raise _unusable(RUNS, error) from error


def latest(name: str, pattern: str) -> Path:
    """The folder runs/NAME-N of the highest number that holds a file of this pattern; runs/NAME-1 if there is none."""
    held = [number for number in _numbers(name) if any((RUNS / f"{name}-{number}").rglob(pattern))]
    return RUNS / f"{name}-{max(held, default=1)}"


def _unusable(folder: Path, error: OSError) -> OSError:
    return OSError(f"cannot make or write the folder {folder} ({error.strerror}): choose another with --out")


def _numbers(name: str) -> list[int]:
    found = (folder.name.removeprefix(f"{name}-") for folder in RUNS.glob(f"{name}-*"))
    return [int(number) for number in found if number.isdecimal()]
