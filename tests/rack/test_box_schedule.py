"""Schedules of boxes, on a calendar that may be set while a clock runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.daily_span import DailySpan, read_daily_span
from deeplabstream.rack.box_schedule import BoxSchedule
from deeplabstream.settings.rack_file import BoxSection

TICK = timedelta(minutes=10)
HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]
)
CHANGES = st.sampled_from(
    [date(2026, 3, 29), date(2026, 10, 25), date(2026, 3, 8), date(2026, 11, 1),
     date(2026, 4, 5), date(2026, 10, 4), date(2027, 1, 1)]
)  # fmt: skip
"""Days on which clocks of these zones change, and one on which none does."""


@dataclass
class Rig:
    """A box by its schedule alone; the calendar is the clock, and what it was set by."""

    section: BoxSection
    zone: tzinfo
    first: datetime
    clock: ManualClock = field(default_factory=ManualClock)
    set_by: timedelta = timedelta()
    runs: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    """Local begin and end of each run."""

    def __post_init__(self) -> None:
        self.schedule = BoxSchedule(self.section, self.clock, self)

    def now(self) -> datetime:
        passed = timedelta(microseconds=self.clock.now_ns() // 1000)
        return self.first + passed + self.set_by

    @property
    def running(self) -> bool:
        return bool(self.runs) and self.runs[-1][1] is None

    def tick(self, tick: timedelta = TICK) -> None:
        now = self.now().astimezone(self.zone)
        if self.running and self.schedule.over():
            self.runs[-1] = self.runs[-1][0], now
        elif not self.running and self.schedule.due():
            self.schedule.begin()
            self.runs.append((now, None))
        self.clock.set(self.clock.now_ns() + round(tick.total_seconds() * 1e9))

    def go_on(self, duration: timedelta, tick: timedelta = TICK) -> None:
        for _ in range(duration // tick):
            self.tick(tick)


def rig(first: str, zone: tzinfo = BERLIN, **keys: object) -> Rig:
    section = BoxSection(rig=Path("rig"), **keys)  # type: ignore[arg-type]
    local = datetime.fromisoformat(first).replace(tzinfo=zone)
    return Rig(section, zone, local.astimezone(UTC))


@st.composite
def spans(draw: st.DrawFn, shortest: int = 2, longest: int = 23) -> DailySpan:
    """Spans of whole ten minutes."""
    begin = draw(st.integers(0, 143)) * TICK
    end = begin + draw(st.integers(6 * shortest, 6 * longest)) * TICK
    midnight = datetime(2026, 1, 1, tzinfo=UTC)
    return DailySpan((midnight + begin).time(), (midnight + end).time())


@given(spans(), ZONES, CHANGES)
def test_each_day_has_one_run_from_begin_to_end_also_when_the_clock_changes(
    daily: DailySpan, name: str, change: date
) -> None:
    zone = ZoneInfo(name)
    it = rig(f"{change - timedelta(days=3)} 00:00", zone, daily=daily)
    it.go_on(timedelta(days=6))

    days = [change + timedelta(days=number) for number in range(-3, 2)]
    expected = [daily.on(day, zone) for day in days]
    begun = [begin.astimezone(UTC) for begin, _ in it.runs]
    ended = [end.astimezone(UTC) for _, end in it.runs if end is not None]
    for span in expected:
        # the box looks every ten minutes, and the run of the day before may end just then
        assert sum(span.begin <= moment <= span.begin + TICK for moment in begun) == 1
        assert sum(span.end <= moment <= span.end + TICK for moment in ended) == 1
    assert len(begun) <= len(expected) + 2


@st.composite
def settings_of_the_clock(draw: st.DrawFn) -> Mapping[int, timedelta]:
    """By tick: by how much the calendar is set, never more than 3 h wrong."""
    ticks = draw(st.lists(st.integers(0, 6 * 24 * 6), max_size=5, unique=True))
    wrong = st.integers(-18, 18).map(lambda number: number * TICK)
    return {tick: draw(wrong) for tick in sorted(ticks)}


@given(spans(shortest=7, longest=12), settings_of_the_clock())
def test_a_calendar_that_is_set_neither_leaves_out_nor_repeats_a_run(
    daily: DailySpan, wrong: Mapping[int, timedelta]
) -> None:
    noon = daily.on(date(2026, 6, 1), BERLIN).end + 4 * HOUR
    it = rig(f"{noon.astimezone(BERLIN):%Y-%m-%d %H:%M}", daily=daily)
    for tick in range(8 * 24 * 6):
        it.set_by = wrong.get(tick, it.set_by)
        if tick == 6 * 24 * 6 + 1:
            it.set_by = timedelta()
        it.tick()
    starts = [begin for begin, _ in it.runs]
    assert len(starts) == 8, starts
    assert len({daily.on(moment.date(), BERLIN).day for moment in starts}) >= 7


def test_a_simulated_month_has_a_run_each_night() -> None:
    it = rig("2026-10-10 12:00", daily=read_daily_span("19:00 - 07:00"))
    it.go_on(timedelta(days=31), timedelta(minutes=1))
    assert [begin.date().day for begin, _ in it.runs] == [
        *range(10, 32), *range(1, 10),
    ]  # fmt: skip
    assert {begin.strftime("%H:%M") for begin, _ in it.runs} == {"19:00"}
    assert {end.strftime("%H:%M") for _, end in it.runs if end} == {"07:00"}


@pytest.mark.parametrize("days", [-1, 1, -400, 400])
def test_a_calendar_that_is_wrong_by_days_still_gives_one_run_a_day(days: int) -> None:
    it = rig("2026-06-01 12:00", daily=read_daily_span("19:00 - 07:00"))
    it.go_on(timedelta(days=2, hours=8))
    it.set_by = timedelta(days=days)
    it.go_on(timedelta(days=3))
    it.set_by = timedelta()
    it.go_on(timedelta(days=3))
    assert len(it.runs) == 9


def test_a_run_that_has_ended_early_is_not_repeated_on_the_same_day() -> None:
    it = rig("2026-06-01 18:40", daily=read_daily_span("19:00 - 18:30"))
    it.go_on(2 * HOUR)
    it.runs[-1] = it.runs[-1][0], it.now()
    it.go_on(21 * HOUR)
    assert len(it.runs) == 1
    it.go_on(4 * HOUR)
    assert len(it.runs) == 2


def test_a_rack_that_starts_late_starts_the_run_of_the_day_at_once() -> None:
    it = rig("2026-06-01 23:00", daily=read_daily_span("19:00 - 07:00"))
    it.tick()
    assert it.running


def test_nothing_starts_before_the_given_time_and_later_runs_are_daily() -> None:
    it = rig(
        "2026-06-01 12:00",
        daily=read_daily_span("19:00 - 07:00"),
        start_at="2026-06-03 21:00",
    )
    assert it.schedule.waiting() == "waits until 2026-06-03 21:00"
    it.go_on(timedelta(days=4))
    shown = [begin.strftime("%d %H:%M") for begin, _ in it.runs]
    assert shown == ["03 21:00", "04 19:00"]


def test_one_run_starts_at_its_time_and_ends_after_its_longest_duration() -> None:
    it = rig("2026-06-01 12:00", start_at="2026-06-01 21:00", max_hours=3)
    assert it.schedule.waiting() == "waits until 21:00"
    it.go_on(11 * HOUR)
    it.set_by = -5 * HOUR
    it.go_on(40 * HOUR)
    ((begin, end),) = it.runs
    assert begin.strftime("%d %H:%M") == "01 21:00"
    assert end is not None and end - begin == 3 * HOUR - 5 * HOUR
    assert not it.schedule.repeats


def test_the_state_names_the_next_start() -> None:
    it = rig("2026-06-01 12:00", daily=read_daily_span("19:00 - 07:00"))
    assert it.schedule.waiting() == "waits until 19:00"
    it.go_on(20 * HOUR)
    assert it.schedule.waiting() == "waits until 19:00"
    it.schedule.restart()
    it.go_on(4 * HOUR)
    assert it.schedule.over() == ""


@pytest.mark.parametrize(
    ("key", "word"),
    [("daily", "19:00"), ("start_at", "2026-06-01T21:00+02:00"), ("max_hours", "0")],
)
def test_values_that_name_no_time_are_refused(key: str, word: str) -> None:
    with pytest.raises(ValueError, match=key):
        BoxSection(rig=Path("rig"), **{key: word})  # type: ignore[arg-type]
