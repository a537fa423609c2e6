"""The light phase follows from the local time of the start and the times of the frames alone."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deeplabstream.core.daily_span import DailySpan
from deeplabstream.core.light_cycle import LightCycle, LightMoment, light_cycle

DAY = DailySpan(time(7), time(19))
REVERSED = DailySpan(time(22), time(10))
"""Lights on at night, as many labs have it."""
BERLIN = ZoneInfo("Europe/Berlin")
HOUR_S = 3600.0


def started(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(
        2026, 11, 26, hour, minute, second, tzinfo=timezone(timedelta(hours=1))
    )


@pytest.mark.parametrize(
    ("lit", "start", "after_s", "expected"),
    [
        (DAY, started(7), 0.0, LightMoment("light", 0.0)),
        (DAY, started(6, 59, 59), 0.999, LightMoment("dark", 24 - 0.001 / HOUR_S)),
        (DAY, started(18, 59, 59), 1.0, LightMoment("dark", 12.0)),
        (DAY, started(12), 24 * HOUR_S, LightMoment("light", 5.0)),
        (REVERSED, started(23), 0.0, LightMoment("light", 1.0)),
        (REVERSED, started(9), HOUR_S, LightMoment("dark", 12.0)),
        (DAY, started(12), -6 * HOUR_S, LightMoment("dark", 23.0)),
    ],
)
def test_the_phase_begins_with_the_time_of_the_lamps(
    lit: DailySpan, start: datetime, after_s: float, expected: LightMoment
) -> None:
    found = LightCycle(lit, start).at(after_s)
    assert found.phase == expected.phase
    assert found.zeitgeber_h == pytest.approx(expected.zeitgeber_h)


def test_a_shown_zeitgeber_time_is_never_that_of_the_next_phase() -> None:
    just_before = LightCycle(DAY, started(18, 59, 59)).at(0.9)
    assert str(just_before) == "light, ZT 11.9"


@pytest.mark.parametrize("day", [date(2026, 3, 28), date(2026, 10, 24)])
def test_daylight_saving_during_a_run_changes_no_phase(day: date) -> None:
    """The offset of the start holds for the whole run: light and dark stay 12 h long."""
    start = datetime.combine(day, time(20), BERLIN)
    spans = [*LightCycle(DAY, start).light_spans(0.0, 72 * HOUR_S)]
    assert [(begin / HOUR_S, end / HOUR_S) for begin, end in spans] == [
        (11.0, 23.0),
        (35.0, 47.0),
        (59.0, 71.0),
    ]


def test_a_timer_that_ignores_daylight_saving_has_the_same_phase_in_summer_and_winter() -> (
    None
):
    for month in (1, 7):
        noon = datetime(2026, month, 1, 12, tzinfo=ZoneInfo("UTC")).astimezone(BERLIN)
        assert light_cycle(DAY, noon, utc_offset=1.0).at(0.0).zeitgeber_h == 6.0


def test_a_start_without_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="offset from UTC"):
        LightCycle(DAY, datetime(2026, 1, 1))  # noqa: DTZ001


@given(
    st.times(), st.times(), st.datetimes(timezones=st.just(UTC)),
    st.floats(0, 3e6), st.floats(0, 3e6),
)  # fmt: skip
def test_light_spans_and_phases_agree(
    on: time, off: time, start: datetime, begin_s: float, last_s: float
) -> None:
    lit = DailySpan(on, off)
    if on == off or last_s >= 3e6:
        return
    cycle, end_s = LightCycle(lit, start), begin_s + last_s
    spans = [*cycle.light_spans(begin_s, end_s)]
    for at_s in (begin_s, begin_s + last_s / 3, begin_s + last_s / 1.5):
        inside = any(begin <= round(at_s, 9) < end for begin, end in spans)
        if at_s < end_s - 1e-6 and all(
            abs(at_s - edge) > 1e-6 for span in spans for edge in span
        ):
            assert inside is (cycle.at(at_s).phase == "light")
