"""Which alarms are sent now, later, or not again."""

from datetime import datetime
from pathlib import Path

import pytest

from deeplabstream.core.daily_span import read_daily_span
from deeplabstream.core.errors import DeviceError
from deeplabstream.rack.alarms.address_file import read_addresses
from deeplabstream.rack.alarms.alarm_filter import MOST_HELD, AlarmFilter
from deeplabstream.rack.alarms.alarm_messages import RaisedAlarm
from deeplabstream.settings.alarm_section import AlarmSection

DAY = datetime.fromisoformat("2026-11-25 12:00+00:00")
NIGHT = datetime.fromisoformat("2026-11-25 23:00+00:00")
MINUTE_NS = 60_000_000_000


def alarm(
    number: int, text: str = "camera top is lost", urgent: bool = False
) -> RaisedAlarm:
    return RaisedAlarm(number, "left", text, urgent, 0)


def section(quiet: str = "22:00-07:00") -> AlarmSection:
    return AlarmSection(
        address_file=Path("addresses.txt"),
        quiet_hours=read_daily_span(quiet),
        repeat_min=30,
    )


def test_the_same_alarm_is_sent_again_only_after_a_while() -> None:
    chosen = AlarmFilter(section())
    assert chosen.take(alarm(1), 0, DAY) == alarm(1)
    assert chosen.take(alarm(2), 29 * MINUTE_NS, DAY) is None
    again = chosen.take(alarm(3), 30 * MINUTE_NS, DAY)
    assert again is not None and again.text == "camera top is lost (1 more before)"


def test_alarms_that_differ_in_numbers_only_are_the_same() -> None:
    chosen = AlarmFilter(section())
    assert chosen.take(alarm(1, "12.5 GB are free"), 0, DAY)
    assert chosen.take(alarm(2, "12.4 GB are free"), 1, DAY) is None
    assert chosen.take(alarm(3, "the disk is full"), 2, DAY)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[Camera cam1] is lost", "[Camera cam2] is lost"),
        ("[Camera 1] is lost", "[Camera 2] is lost"),
        ("camera top-1 is lost", "camera top-2 is lost"),
        ("camera top_1 is lost", "camera top_2 is lost"),
    ],
)
def test_alarms_on_two_cameras_differ_also_if_only_a_digit_of_the_name_does(
    one: str, other: str
) -> None:
    chosen = AlarmFilter(section())
    assert chosen.take(alarm(1, one, urgent=True), 0, DAY)
    assert chosen.take(alarm(2, other, urgent=True), 1, DAY)
    assert chosen.take(alarm(3, one, urgent=True), 2, DAY) is None


def test_quiet_hours_hold_what_is_not_urgent_until_their_end() -> None:
    chosen = AlarmFilter(section())
    assert chosen.take(alarm(1, "a warning"), 0, NIGHT) is None
    assert chosen.take(alarm(2, "a failure", urgent=True), 0, NIGHT) is not None
    assert chosen.holds(1) and not chosen.holds(2)
    assert chosen.release(NIGHT) == []
    assert [it.number for it in chosen.release(DAY)] == [1]
    assert chosen.release(DAY) == []


def test_held_alarms_are_sent_when_the_rack_ends() -> None:
    chosen = AlarmFilter(section())
    chosen.take(alarm(1), 0, NIGHT)
    assert [it.number for it in chosen.release(NIGHT, ending=True)] == [1]


def test_held_and_known_alarms_do_not_grow_without_limit() -> None:
    chosen = AlarmFilter(section())
    words = (
        chr(97 + n // 676) + chr(97 + n // 26 % 26) + chr(97 + n % 26)
        for n in range(5000)
    )
    for number, word in enumerate(words):
        chosen.take(alarm(number, word), number, NIGHT)
    assert len(chosen.release(DAY)) == MOST_HELD
    assert len(chosen._sent_ns) <= 2000


def test_quiet_hours_may_lie_within_a_day() -> None:
    assert section("11:00-13:00").is_quiet(DAY)
    assert not section("11:00-13:00").is_quiet(NIGHT)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no address"),
        ("me@lab.org", "line 1: no address such as"),
        ("json://host\nheartbeat=ftp://host", r"line 2: heartbeat= needs"),
        ("json://host\nheartbeat=https://host/me@lab.org now", r"line 2: heartbeat="),
        ("json://host\nheartbeat=https://host/me@lab.org\tnow", r"line 2: heartbeat="),
    ],
)
def test_problems_of_the_addresses_are_named_without_secrets(
    tmp_path: Path, text: str, problem: str
) -> None:
    file = tmp_path / "addresses.txt"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(DeviceError, match=problem) as raised:
        read_addresses(file)
    assert "me@lab.org" not in str(raised.value)


def test_addresses_that_others_can_read_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "addresses.txt"
    file.write_text("json://host")
    file.chmod(0o644)
    with pytest.raises(DeviceError, match="others can read it; type: chmod 600"):
        read_addresses(file)
