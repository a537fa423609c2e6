import json
from pathlib import Path

from deeplabstream.settings.loading import parse
from deeplabstream.settings.sections import effective

RIG = """
[Pose Estimation]
MODEL = stand-in:0
LIVE_CROP = yes
[Camera top]
KIND = SimulatedCamera
[Camera side]
KIND = SimulatedCamera
[Camera film]
KIND = SimulatedCamera
ANALYSE = no
[Tracking]
SMOOTH_HZ = 2
[Tracking side]
PREDICT = yes
BONES = snout - tailbase 30 130
"""


def test_defaults_of_cropping_smoothing_and_prediction_are_told(tmp_path: Path) -> None:
    facts = json.loads(json.dumps(effective(parse(RIG, tmp_path))))
    pose, tracking = facts["pose"], facts["tracking"]
    assert (pose["RUNTIME"], pose["LIVE_CROP"], pose["CROP_MARGIN"]) == (
        "auto",
        True,
        0.5,
    )
    assert set(tracking) == {"top", "side"}
    assert (tracking["top"]["SMOOTH_HZ"], tracking["top"]["PREDICT"]) == (2, False)
    assert (tracking["side"]["SMOOTH_HZ"], tracking["side"]["PREDICT"]) == (0, True)
    assert "SMOOTH_BETA" in tracking["top"]
    assert "30" in str(tracking["side"]["BONES"])
