"""Regions in mm of a camera whose lens bends its image: live, as shown, and in a re-run."""

from pathlib import Path

import pytest

from deeplabstream.engine.replay.rerun import compare, rerun_decisions
from deeplabstream.engine.trigger_shapes import trigger_shapes_of
from deeplabstream.settings.loading import parse
from tests.engine.test_video_replay import SETTINGS, run_into

LENS = "120 60 100 100 60 30 -0.4 0.1 0 0 0"
SCALE = "\nMM_PER_PIXEL = 0.5"
MARKS = "\nMARKS = 20 5 8.3 1, 100 5 51.7 1, 100 55 51.7 29, 20 55 8.3 29"


def rig(calibration: str, lens: str = f"\nLENS = {LENS}") -> str:
    text = SETTINGS.replace("SimulatedCamera", f"SimulatedCamera{calibration}{lens}")
    return text.replace(
        "REGION = circle 60 30 25", "UNIT = mm\nREGION = circle 46 15 6"
    )


@pytest.mark.parametrize("calibration", [SCALE, MARKS])
def test_a_region_in_mm_holds_the_points_that_it_encloses_in_the_image(
    tmp_path: Path, calibration: str
) -> None:
    text = rig(calibration)
    folder = run_into(tmp_path / "run", text=text)
    settings = parse(text, folder.path)
    (shape,) = trigger_shapes_of(settings)
    trigger = settings.new_triggers()["spot"]
    floor = settings.calibrations["top"]
    assert shape.region is not None

    pairs = [*rerun_decisions(settings, folder)]
    answers = []
    for then, now in pairs:
        pixel = then.pose.points[0, :1]
        (on_floor,) = trigger.region.contains(floor.to_mm(pixel))  # type: ignore[attr-defined]
        (enclosed,) = shape.region.contains(pixel)
        assert then.triggers == now.triggers == {"spot": on_floor}
        assert enclosed == on_floor
        answers.append(bool(on_floor))
    assert 5 < sum(answers) < 40
    assert compare(settings, folder).same

    again = run_into(tmp_path / "again", text=text)
    for name in ("top.csv", "triggers.csv", "events.csv"):
        assert (again.path / name).read_bytes() == (folder.path / name).read_bytes()


def test_without_its_lens_other_frames_are_inside(tmp_path: Path) -> None:
    folder = run_into(tmp_path / "run", text=rig(SCALE))
    straight = parse(rig(SCALE, lens=""), folder.path)
    pairs = [*rerun_decisions(straight, folder)]
    assert [then.triggers for then, _ in pairs] != [now.triggers for _, now in pairs]
