"""Files of a recording end at full times of day, whatever the calendar does meanwhile."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.clock import ManualClock
from deeplabstream.recording.segment_end import SegmentEnd, aligned_end
from deeplabstream.settings.sections import Recording
from deeplabstream.video.recording_options import RecordingOptions

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE_NS = 60 * 10**9


class SetCalendar:
    """A calendar that runs with a clock until it is set."""

    zone = BERLIN

    def __init__(self, clock: ManualClock, begin: datetime) -> None:
        self._clock, self._zero = clock, begin

    def set(self, ahead: timedelta) -> None:
        self._zero += ahead

    def now(self) -> datetime:
        return self._zero + timedelta(microseconds=self._clock.now_ns() // 1000)


def record(
    begin: datetime,
    minutes: int,
    step_minutes: float = 60,
    sets: dict[int, timedelta] | None = None,
) -> list[tuple[int, datetime]]:
    """Record a frame per minute; return the minute and the local begin of each file.

    `sets`: by how much the calendar is set at a minute.
    """
    clock = ManualClock()
    calendar = SetCalendar(clock, begin)
    options = RecordingOptions(split_s=60 * step_minutes, split_aligned=True)
    segment = SegmentEnd(options, clock, calendar)
    files = []
    for minute in range(minutes):
        clock.set(minute * MINUTE_NS)
        calendar.set((sets or {}).get(minute, timedelta()))
        seconds = 60.0 * (minute - files[-1][0]) if files else 0.0
        if not files or segment.is_due(minute * MINUTE_NS, seconds, 0):
            files.append((minute, segment.begin(minute * MINUTE_NS)))
    return files


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def begins(files: list[tuple[int, datetime]]) -> list[str]:
    return [f"{begin:%H:%M}" for _, begin in files]


def test_files_begin_on_the_hour() -> None:
    files = record(berlin("2026-11-26 13:40"), 150)
    assert begins(files) == ["13:40", "14:00", "15:00", "16:00"]


def test_files_begin_every_quarter_of_an_hour() -> None:
    files = record(berlin("2026-11-26 23:40"), 45, step_minutes=15)
    assert begins(files) == ["23:40", "23:45", "00:00", "00:15"]


def test_a_short_rest_makes_no_file_of_its_own() -> None:
    assert begins(record(berlin("2026-11-26 13:57"), 70)) == ["13:57", "15:00"]


@pytest.mark.parametrize(
    ("begin", "step", "expected"),
    [
        # 02:00 is skipped
        ("2026-03-29 01:30", 60, ["01:30", "03:00", "04:00", "05:00"]),
        # 02:00 comes twice
        ("2026-10-25 01:30", 60, ["01:30", "02:00", "02:00", "03:00", "04:00"]),
        ("2026-03-29 00:00", 360, ["00:00", "06:00", "12:00"]),
        ("2026-10-25 00:00", 360, ["00:00", "06:00", "12:00"]),
        ("2026-10-25 00:00", 1440, ["00:00", "00:00"]),
    ],
)
def test_files_keep_to_local_time_when_summer_time_changes(
    begin: str, step: float, expected: list[str]
) -> None:
    found = begins(record(berlin(begin), int(step * 4), step))
    assert found[: len(expected)] == expected


@pytest.mark.parametrize("hours", [-30, -3, -0.5, 0.5, 3, 30])
def test_a_calendar_that_is_set_ends_no_file_and_the_next_is_aligned_again(
    hours: float,
) -> None:
    files = record(berlin("2026-11-26 13:00"), 300, sets={90: timedelta(hours=hours)})
    minutes = [minute for minute, _ in files]
    assert minutes[:3] == [0, 60, 120], "the present file has its planned duration"
    assert all(begin.minute == 0 for _, begin in files[3:])


def test_a_calendar_that_is_set_by_seconds_makes_no_tiny_files() -> None:
    sets = {minute: timedelta(seconds=-20) for minute in range(10, 290, 60)}
    minutes = [
        minute for minute, _ in record(berlin("2026-11-26 13:00"), 300, sets=sets)
    ]
    assert minutes[:2] == [0, 60] and len(minutes) <= 5


@given(
    sets=st.dictionaries(
        st.integers(0, 2000),
        st.timedeltas(timedelta(days=-400), timedelta(days=400)),
        max_size=20,
    ),
    step=st.sampled_from([15, 60, 240]),
)
def test_no_file_is_shorter_than_a_tenth_nor_much_longer_than_planned(
    sets: dict[int, timedelta], step: int
) -> None:
    files = record(berlin("2026-03-28 13:07"), 2000, step, sets)
    durations = [after - before for (before, _), (after, _) in pairwise(files)]
    assert min(durations) >= 0.1 * step
    assert max(durations) <= 1.1 * step + 61


def test_a_frame_that_waited_for_the_recorder_is_dated_by_its_exposure() -> None:
    clock = ManualClock(50 * 10**9)
    calendar = SetCalendar(clock, berlin("2026-11-26 13:00"))
    segment = SegmentEnd(
        RecordingOptions(split_s=60.0, split_aligned=True), clock, calendar
    )
    assert segment.begin(48 * 10**9).second == 48
    assert not segment.is_due(60 * 10**9 - 1, 11.0, 0)
    assert segment.is_due(60 * 10**9, 12.0, 0)
    # a camera whose times are on another clock
    assert segment.begin(0).second == 40


def test_the_end_is_a_full_time_in_a_zone_with_half_hours() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    begin = datetime(2026, 10, 3, 14, 10, tzinfo=UTC)  # summer time begins at 15:30 UTC
    end = begin
    for _ in range(6):
        end = aligned_end(end, timedelta(hours=1), zone)
        assert end.astimezone(zone).minute == 0


def test_files_without_alignment_end_by_their_duration(tmp_path: Path) -> None:
    clock = ManualClock()
    calendar = SetCalendar(clock, berlin("2026-11-26 13:40"))
    segment = SegmentEnd(RecordingOptions(split_s=3600.0), clock, calendar)
    segment.begin(0)
    assert not segment.is_due(3599 * 10**9, 3599.0, 0)
    assert segment.is_due(3600 * 10**9, 3600.0, 0)


@pytest.mark.parametrize(
    ("minutes", "problem"),
    [(0, "needs SPLIT_MINUTES"), (7, "must divide a day"), (2880, "must divide a day")],
)
def test_a_time_that_does_not_divide_the_day_is_refused(
    minutes: float, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        Recording(split_minutes=minutes, split_aligned=True)
    assert Recording(split_minutes=minutes).recording_options.split_s == 60 * minutes


@pytest.mark.parametrize("minutes", [0.05, 15, 60, 1440])
def test_times_that_divide_the_day_are_accepted(minutes: float) -> None:
    assert Recording(split_minutes=minutes, split_aligned=True)
