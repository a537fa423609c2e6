"""A prediction while it is made: rows on disk that outlive a kill.

`NAME.partial` holds one line of JSON, which says what the rows belong to, and then the
rows as float32. What was written stays; a row that is not whole is made again.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.closing import Closing


class PartialRows(Closing):
    """Rows of `shape` float32 that belong to `facts`; older ones of the same are kept."""

    def __init__(
        self, path: Path, facts: Mapping[str, object], shape: tuple[int, ...]
    ) -> None:
        self.path = path
        self._shape = shape
        self._head = (json.dumps({**facts, "shape": list(shape)}) + "\n").encode()
        self._row_bytes = 4 * int(np.prod(shape))
        self.rows = self._kept()
        """How many rows are there."""
        self._file = path.open("r+b" if self.rows else "wb", buffering=0)
        if not self.rows:
            self._file.write(self._head)
        self._file.truncate(len(self._head) + self.rows * self._row_bytes)
        self._file.seek(0, 2)

    def append(self, rows: NDArray[np.float32]) -> None:
        """Append rows (row, *shape)."""
        self._file.write(np.ascontiguousarray(rows, np.float32).tobytes())
        self.rows += len(rows)

    def read(self) -> NDArray[np.float32]:
        """Return all rows (row, *shape)."""
        data = self.path.read_bytes()[len(self._head) :]
        return np.frombuffer(data, np.float32).reshape(-1, *self._shape)

    def close(self, done: bool = False) -> None:
        """Close the file; `done`: it is no longer needed."""
        self._file.close()
        if done:
            self.path.unlink(missing_ok=True)

    def _kept(self) -> int:
        try:
            with self.path.open("rb") as file:
                if file.readline() != self._head:
                    return 0
        except OSError:
            return 0
        return (self.path.stat().st_size - len(self._head)) // self._row_bytes
