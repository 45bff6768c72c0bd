"""One CSV file that grows: read what was appended, and no half-written line."""

from pathlib import Path
from zoneinfo import ZoneInfo

from orchestration.adapters.markets.csv_rows import Rows, RowsReader, check_rows
from orchestration.domain.errors import DefinitionError

SETTLED_AFTER_S = 60.0
"""A last line without an end counts as whole once it has stood unchanged for so long."""
_COMPARED = 200
"""How many bytes before the end of what was read are compared, to see that the file was appended to."""


class GrowingFile:
    """What ``path`` holds, by pieces. A file that was replaced or changed in what was read is read from its start."""

    def __init__(self, path: Path, timezone: ZoneInfo) -> None:
        self._path = path
        self._timezone = timezone
        self._reader = RowsReader(path, timezone)
        self._seen: tuple[int, int, int] | None = None
        self._seen_at_s = 0.0
        self._read = 0
        self._end = b""
        self._rest = b""

    @property
    def rows(self) -> Rows:
        """Every row that has been read; another object after the file was read from its start."""
        return self._reader.rows

    def look(self, now_s: float) -> bool:
        """Read what is new at ``now_s`` (monotonic seconds); whether anything was.

        Raises `DefinitionError` once for each change that made the file wrong or unreadable; the rows stay.
        """
        try:
            status = self._path.stat()
            seen = status.st_mtime_ns, status.st_size, status.st_ino
            if seen == self._seen:
                settled = bool(self._rest) and now_s - self._seen_at_s >= SETTLED_AFTER_S
                return settled and self._take(self._rest, b"")
            self._seen, self._seen_at_s = seen, now_s
            with self._path.open("rb") as file:
                file.seek(self._read - len(self._end))
                known, new = file.read(len(self._end)), file.read()
        except OSError as error:
            raise DefinitionError(f"{self._path} cannot be read: {error.strerror}") from error
        appended = known == self._end and (self._end[-1:] in {b"", b"\n"} or new[:1] in {b"", b"\r", b"\n"})
        if not appended:
            return self._from_start()
        whole = new.rfind(b"\n") + 1
        return self._take(new[:whole], new[whole:])

    def _from_start(self) -> bool:
        before = self._reader, self._read, self._end, self._rest
        self._reader, self._read, self._end = RowsReader(self._path, self._timezone), 0, b""
        try:
            new = self._path.read_bytes()
            whole = new.rfind(b"\n") + 1
            return self._take(new[:whole], new[whole:])
        except (OSError, DefinitionError) as error:
            self._reader, self._read, self._end, self._rest = before
            if isinstance(error, OSError):
                raise DefinitionError(f"{self._path} cannot be read: {error.strerror}") from error
            raise

    def _take(self, whole: bytes, rest: bytes) -> bool:
        """Read the lines in ``whole``; ``rest`` is the beginning of one that may still be under way."""
        self._rest = b""  # behind a wrong line nothing is taken
        if not whole and self._read:
            self._rest = rest
            return False
        try:
            text = whole.decode("utf-8" if self._read else "utf-8-sig")
        except UnicodeDecodeError as error:
            at = self._read + error.start
            raise DefinitionError(f"{self._path} is not text in UTF-8 (byte {at}); save it as CSV in UTF-8") from error
        count = len(self._reader.rows.at)
        self._reader.feed(text.splitlines())
        check_rows(self._path, self._reader)
        self._read += len(whole)
        self._end = (self._end + whole)[-_COMPARED:]
        self._rest = rest
        return len(self._reader.rows.at) > count
