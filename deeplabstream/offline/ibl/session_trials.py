"""Trials of a session: start, end and events of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.delimited_text import read_delimited

if TYPE_CHECKING:
    from pandas import DataFrame

_BOUNDS = (("intervals_0", "intervals_1"), ("start_s", "end_s"), ("start", "end"))
"""Names of the two columns with the begin and end of a trial."""


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """The trials of one session, in order, counted from 0."""

    file: Path
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    table: "DataFrame"

    def chosen(self, numbers: Sequence[int] | None) -> list[int]:
        """Return the trial numbers, by default all; DeepLabStreamError: one does not exist."""
        if not numbers:
            return list(range(len(self.start_s)))
        for number in numbers:
            if not 0 <= number < len(self.start_s):
                last = len(self.start_s) - 1
                raise DeepLabStreamError(
                    f"{self.file} has the trials 0 to {last}, but not {number}"
                )
        return list(numbers)

    def moments(self, event: str) -> NDArray[np.float64]:
        """Return (trial,) s of an event's column; DeepLabStreamError: no such column."""
        if event not in self.table:
            known = ", ".join(str(name) for name in self.table)
            raise DeepLabStreamError(
                f"{self.file} has no column {event}; available: {known}"
            )
        return np.asarray(self.table[event].to_numpy(np.float64))


def read_trials(file: Path) -> Trials:
    """Read IBL's trials table (.pqt) or a CSV with the columns start_s and end_s."""
    import pandas as pd

    try:
        if file.suffix.lower() in (".pqt", ".parquet"):
            table = pd.read_parquet(file)
        else:
            source = read_delimited(file)
            table = pd.read_csv(
                source.checked(), sep=source.separator, decimal=source.decimal
            )
    except FileNotFoundError:
        raise DeepLabStreamError(f"{file}: file not found") from None
    except Exception as error:  # pandas and pyarrow have no common base class
        raise DeepLabStreamError(f"Can't read {file}: {error}") from error
    for first, second in _BOUNDS:
        if first in table and second in table:
            start = table[first].to_numpy(np.float64)
            return Trials(file, start, table[second].to_numpy(np.float64), table)
    raise DeepLabStreamError(f"{file} needs the columns start_s and end_s of trials")
