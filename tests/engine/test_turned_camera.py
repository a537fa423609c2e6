"""A turned camera in the loop: alarm, unknown triggers, outputs off, until the stream restarts."""

import numpy as np

from deeplabstream.core.journal_entries import Note
from deeplabstream.settings.space_section import Space
from deeplabstream.simulation.space_arena import turned
from deeplabstream.space.camera_group import CameraGroup
from tests.engine.loop_rig import LightInside
from tests.engine.space_rig import Above, SpaceRig, space_rig


def bump(rig: SpaceRig, name: str, degrees: float = 1.0) -> None:
    """Turn a camera; the calibration of the loop is that of before."""
    rig.cameras = CameraGroup(
        tuple(turned(c, degrees) if c.name == name else c for c in rig.cameras.cameras)
    )


def watch(rig: SpaceRig, seconds: float, first: int = 3) -> None:
    """Show a high snout on a circle, at 100 moments a second."""
    for number in range(first, first + round(100 * seconds)):
        angle = number / 40
        rig.moment(number, (90 * np.cos(angle), 90 * np.sin(angle), 60.0))


def alarms(rig: SpaceRig) -> list[str]:
    return [it.text for it in rig.entries if isinstance(it, Note) and it.is_alarm]


def test_a_bumped_camera_is_named_and_switches_the_output_off() -> None:
    with space_rig() as rig:
        watch(rig, 0.5)
        assert rig.level == 1
        bump(rig, "right")
        watch(rig, 7, first=60)
        (alarm,) = alarms(rig)
        assert alarm.startswith("[Camera right] has turned by about 1.0°")
        assert "before this run or in its first 5 seconds: all triggers" in alarm
        assert rig.level == 0
        assert rig.steps[-1].space_triggers == {"inside": None}

        # a new experiment does not end the doubt; a new analysis does
        above = {"inside": Above(bodyparts=("snout",))}
        rig.loop.end()
        rig.loop.begin(LightInside(), above, rig.bank)
        watch(rig, 0.1, first=800)
        assert rig.steps[-1].space_triggers == {"inside": None}
        rig.loop.set_triggers({"inside": Above(bodyparts=("snout",))})
        watch(rig, 0.1, first=820)
        assert rig.steps[-1].space_triggers == {"inside": True}


def test_without_a_limit_nothing_is_monitored() -> None:
    with space_rig(rules=Space(turned_deg=0)) as rig:
        bump(rig, "right")
        watch(rig, 6)
        assert alarms(rig) == []
        assert rig.level == 1
