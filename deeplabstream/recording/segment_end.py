"""Segment end: when the next file of a recording begins, by duration, size or time of day.

A file that ends by the time of day gets its duration when it begins: from then on the clock of
the frames counts, which is never set. So a calendar that is set, or summer time, can neither
lose a frame nor end a file at once; the files after it end at full times again. A shorter rest
than a tenth of SPLIT_MINUTES makes no file of its own.
"""

from datetime import datetime, timedelta, tzinfo

from deeplabstream.core.clock import Calendar, Clock
from deeplabstream.video.recording_options import RecordingOptions

SHORTEST_SHARE = 0.1
"""Shortest file that ends by the time of day, as a share of SPLIT_MINUTES."""
_MOST_LATE_NS = 10 * 10**9
"""Longest time for which a frame may have waited for the recorder."""


class SegmentEnd:
    """Decides for one camera between two frames whether the file ends."""

    def __init__(
        self, options: RecordingOptions, clock: Clock, calendar: Calendar
    ) -> None:
        self._options, self._clock, self._calendar = options, clock, calendar
        self._end_ns: int | None = None

    def begin(self, frame_ns: int) -> datetime:
        """Begin a file with a frame of this time; return the date and time of that frame."""
        late_ns = min(max(self._clock.now_ns() - frame_ns, 0), _MOST_LATE_NS)
        begin = self._calendar.now() - timedelta(microseconds=late_ns // 1000)
        if self._options.split_aligned:
            step = timedelta(seconds=self._options.split_s)
            end = aligned_end(begin, step, self._calendar.zone)
            self._end_ns = frame_ns + (end - begin) // timedelta(microseconds=1) * 1000
        return begin.astimezone(self._calendar.zone)

    def is_due(self, frame_ns: int, seconds: float, size: int) -> bool:
        """Return whether a frame begins a new file, after so many seconds and bytes."""
        if self._end_ns is not None and frame_ns >= self._end_ns:
            return True
        return self._options.ends_file(seconds, size)


def aligned_end(begin: datetime, step: timedelta, zone: tzinfo | None) -> datetime:
    """Return the next multiple of `step` since midnight by local time.

    `zone` None: that of the computer. Of an end that is too near, the one after it.
    """
    end = begin + step - _since_midnight(begin, zone) % step
    # where summer time begins or ends before, the nearest full time by the new one
    past = _since_midnight(end, zone) % step
    for full in (end - past, end - past + step):
        if full > begin and not _since_midnight(full, zone) % step:
            end = full
            break
    near = end <= begin + step * SHORTEST_SHARE
    return aligned_end(end, step, zone) if near else end


def _since_midnight(moment: datetime, zone: tzinfo | None) -> timedelta:
    local = moment.astimezone(zone)
    return timedelta(
        hours=local.hour,
        minutes=local.minute,
        seconds=local.second,
        microseconds=local.microsecond,
    )
