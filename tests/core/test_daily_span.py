"""Daily spans, also on days on which the clock is changed."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from deeplabstream.core.daily_span import DailySpan, read_daily_span

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = DailySpan(time(19), time(7))


@pytest.mark.parametrize("text", ["19:00 - 07:00", "19:00-07:00", " 19:00 to 07:00 "])
def test_two_times_of_day_are_a_span(text: str) -> None:
    assert read_daily_span(text) == NIGHT
    assert str(NIGHT) == "19:00 - 07:00"


@pytest.mark.parametrize(
    "text", ["", "19:00", "24:00 - 07:00", "7 - 19", "07:00 - 07:00"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected two times of day|must differ"):
        read_daily_span(text)


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 28), 11), (date(2026, 10, 24), 13), (date(2026, 11, 24), 12)],
    ids=["spring", "autumn", "another night"],
)
def test_a_night_lasts_until_the_morning_by_the_local_clock(
    day: date, hours: int
) -> None:
    span = NIGHT.on(day, BERLIN)
    assert span.end - span.begin == timedelta(hours=hours)
    assert span.begin.astimezone(BERLIN).time() == time(19)
    assert span.end.astimezone(BERLIN).time() == time(7)


def test_a_skipped_time_of_day_is_later_and_a_repeated_one_is_the_first() -> None:
    early = DailySpan(time(2, 30), time(12))
    spring, autumn = date(2026, 3, 29), date(2026, 10, 25)
    assert early.on(spring, BERLIN).begin == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert early.on(autumn, BERLIN).begin == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_spans_begin_with_that_of_now() -> None:
    now = datetime(2026, 11, 25, 3, tzinfo=BERLIN)
    days = [span.day.day for span in islice(NIGHT.spans(now, BERLIN), 3)]
    assert days == [24, 25, 26]
    assert next(NIGHT.spans(now, BERLIN)).contains(now)
