"""Daily span as a setting: the same text is read, or refused, in each section."""

from pathlib import Path

import pytest

from deeplabstream.core.daily_span import DailySpan, read_daily_span
from deeplabstream.core.errors import SettingsError
from deeplabstream.settings.rack_file import RackFile, parse_rack


def rack_with(span: str, folder: Path) -> RackFile:
    """Return a rack that has a span in each section that takes one."""
    (folder / "settings.ini").write_text("")
    text = (
        f"[Alarms]\nADDRESS_FILE = addresses.txt\nQUIET_HOURS = {span}\n"
        f"[Box left]\nRIG = settings.ini\nDAILY = {span}\n"
    )
    return parse_rack(text, folder / "rack.ini")


def spans_of(rack: RackFile) -> list[DailySpan | None]:
    assert rack.alarms is not None
    return [rack.alarms.quiet_hours, rack.boxes["left"].box.daily]


def test_each_section_reads_a_daily_span(tmp_path: Path) -> None:
    span = read_daily_span("19:00 - 07:00")

    assert spans_of(rack_with("19:00-07:00", tmp_path)) == [span, span]


def test_an_empty_daily_span_is_none_in_each_section(tmp_path: Path) -> None:
    assert spans_of(rack_with("", tmp_path)) == [None, None]


@pytest.mark.parametrize(
    ("span", "fault"),
    [
        ("19 to 7", "expected two times of day, such as 19:00 - 07:00"),
        ("19:00 - 19:00", "begin and end must differ"),
    ],
)
def test_each_section_names_the_fault_of_a_daily_span(
    span: str, fault: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as refused:
        rack_with(span, tmp_path)

    problems = [problem for problem in refused.value.problems if fault in problem]
    assert [problem.split("=")[0].strip() for problem in problems] == [
        "[Alarms] QUIET_HOURS",
        "[Box left] DAILY",
    ]
