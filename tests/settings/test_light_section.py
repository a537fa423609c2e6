"""[Light Cycle]: two times of day, or none; what needs them is refused without them."""

from pathlib import Path

import pytest

from deeplabstream.core.errors import SettingsError
from deeplabstream.settings.loading import parse

CAMERA = "[Camera top]\nKIND = SimulatedCamera\n"
CYCLE = "[Light Cycle]\nLIGHTS_ON = 07:00\nLIGHTS_OFF = 19:00\n"
NIGHT = "[Trigger night]\nKIND = LightPhase\nPHASE = dark\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            CYCLE.replace("07:00", "7"),
            "[Light Cycle] LIGHTS_ON = 7: expected a time of day, such as 07:00",
        ),
        (
            CYCLE.replace("LIGHTS_OFF = 19:00\n", ""),
            "[Light Cycle] LIGHTS_OFF: is missing; enter both times, or none",
        ),
        (
            CYCLE.replace("19:00", "07:00"),
            "[Light Cycle] LIGHTS_OFF = 07:00: must differ from LIGHTS_ON",
        ),
        (
            CYCLE + "UTC_OFFSET = 99\n",
            "[Light Cycle] UTC_OFFSET = 99: must be 14 or less",
        ),
        (
            NIGHT,
            "[Trigger night] KIND = LightPhase: needs LIGHTS_ON and LIGHTS_OFF in "
            "[Light Cycle]",
        ),
        (
            "[Experiment]\nLIGHT_PHASE = dark\n",
            "[Experiment] LIGHT_PHASE = dark: needs LIGHTS_ON and LIGHTS_OFF in "
            "[Light Cycle]",
        ),
    ],
)
def test_a_wrong_light_cycle_is_refused_with_section_and_key(
    text: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as refused:
        parse(CAMERA + text, tmp_path)
    assert [*refused.value.problems] == [problem]


def test_a_declared_cycle_is_accepted(tmp_path: Path) -> None:
    text = CAMERA + CYCLE + NIGHT + "[Experiment]\nLIGHT_PHASE = dark\n"
    settings = parse(text, tmp_path)
    assert str(settings.light.lit) == "07:00 - 19:00"
    assert settings.light_cycle is None, "no stream was started"
