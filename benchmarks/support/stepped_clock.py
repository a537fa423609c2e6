"""Stepped clock: lets the programs that Python starts read another date than the computer's.

`benchmarks/alarms.py` puts it as `sitecustomize.py` into a folder of PYTHONPATH; `step.txt`
beside it holds by how many seconds the clock was set.
"""

import copyreg
import datetime as dates
import time
from pathlib import Path

STEP = Path(__file__).with_name("step.txt")
_time, _time_ns = time.time, time.time_ns  # noqa: TID251
_Datetime = dates.datetime


def step() -> float:
    """Return by how many seconds the clock was set."""
    return float(STEP.read_text("utf-8")) if STEP.exists() else 0.0


class SteppedDatetime(_Datetime):
    """A date whose `now` is that of the clock that was set."""

    @classmethod
    def now(cls, tz: dates.tzinfo | None = None) -> _Datetime:  # type: ignore[override]
        """Return the present date."""
        return _Datetime.now(tz) + dates.timedelta(seconds=step())


def restored(text: str) -> _Datetime:
    """Return a date that another process has sent."""
    return _Datetime.fromisoformat(text)


# pickle finds a class by its name, which is that of `SteppedDatetime` from here on
copyreg.pickle(_Datetime, lambda moment: (restored, (moment.isoformat(),)))
time.time = lambda: _time() + step()  # noqa: TID251
time.time_ns = lambda: _time_ns() + round(step() * 1e9)
dates.datetime = SteppedDatetime  # type: ignore[misc]
