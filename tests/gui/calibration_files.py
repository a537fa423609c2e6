"""Files that a calibration leaves, without calibrating."""

import json
from pathlib import Path

import cv2
import numpy as np

from deeplabstream.recording.calibrations.calibration_file import WRITERS
from tests.space.cameras import four_cameras

FACTS = {
    "kept_back": {
        "moments": 96,
        "distance_mm": 761.0,
        "corner_mm": {"p50": 0.211, "p95": 0.4},
        "length_share": {"p50": 0.0002, "p95_of_absolute": 0.0011},
        "left_out_px": {},
    },
    "limit_mm": 1.52,
}
REASON = (
    "too few views: the focal length of left is known to 1.2% only, and 0.5% is needed. "
    "Show left the board near and far, tilted, and upper left, left of its image; or give "
    "its lens with --lenses"
)


def write_verdict(file: Path, *, refused: bool = False) -> None:
    """Write the files beside a calibration, and the calibration if it is accepted."""
    facts = {**FACTS, "refused": [REASON]} if refused else FACTS
    ending = ".refused" if refused else ""
    file.with_suffix(f"{ending}.json").write_text(json.dumps(facts), "utf-8")
    image = np.full((480, 1280, 3), 90, np.uint8)
    for name in (f"{ending}.worst.png", ".coverage.png"):
        cv2.imwrite(str(file.with_suffix(name)), image)
    if not refused:
        cameras = four_cameras().select(["left", "right", "front"])
        WRITERS["aniposelib"](cameras, file)
