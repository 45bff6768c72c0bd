"""The proof that the owner of runs lives: a lock that the kernel lets go of when its process ends, however it ends."""

import fcntl
import os
from pathlib import Path
from typing import TextIO

from orchestration.domain.errors import StoreUnavailableError


class OwnerLock:
    """The lock file of one owner, in a folder beside the store; held from `hold` or `seize` to `release`."""

    def __init__(self, folder: Path, owner: str, where: str) -> None:
        self._path = folder / f"{owner}.lock"
        self._where = where
        self._file: TextIO | None = None

    def hold(self) -> None:
        """Make the file and lock it; nothing happens when this one holds it already."""
        try:
            while self._file is None:
                try:
                    self._path.parent.mkdir(exist_ok=True)
                    file = self._path.open("w", encoding="utf-8")
                except (FileNotFoundError, FileExistsError):  # the folder went with the last owner that closed
                    if self._path.parent.exists() and not self._path.parent.is_dir():
                        raise
                    continue
                self._lock(file)
        except OSError as error:
            raise StoreUnavailableError(
                f"{self._where} needs the lock file {self._path}, which can't be made ({error.strerror}); "
                "make its folder writable, or free some space"
            ) from error

    def seize(self) -> bool:
        """Lock the file if nobody holds it, and return whether its owner is gone; what was locked is kept."""
        try:
            self._file = self._path.open("r+", encoding="utf-8")
        except FileNotFoundError:
            return True  # closed
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            self._file = None
            return False
        return True

    def release(self, *, remove: bool) -> None:
        """Let go, and take the file away if the owner is gone for good."""
        file, self._file = self._file, None
        if file is None:
            return
        with file:
            if remove:
                self._path.unlink(missing_ok=True)
        if remove:
            try:
                self._path.parent.rmdir()
            except OSError:
                return  # other owners are there

    def _lock(self, file: TextIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
        if self._path.exists() and os.path.samestat(self._path.stat(), os.fstat(file.fileno())):
            self._file = file
        else:  # taken away between our two steps
            file.close()
