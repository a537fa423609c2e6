"""Made sessions of three cameras whose points are known, and networks that find them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from tests.offline.films import write_film

LEVELS = {
    "pupil_top_r": 12,
    "pupil_right_r": 24,
    "pupil_bottom_r": 36,
    "pupil_left_r": 48,
    "nose_tip": 70,
    "paw_l": 90,
    "paw_r": 110,
    "tube_top": 130,
    "tube_bottom": 150,
    "tongue_end_l": 170,
    "tongue_end_r": 190,
    "tail_start": 210,
}
"""How bright each body part is."""
SIZES = {"left": (1280, 1024), "right": (640, 512), "body": (640, 512)}
RATES = {"left": 60, "right": 150, "body": 30}
PUPIL = ("pupil_top_r", "pupil_right_r", "pupil_bottom_r", "pupil_left_r")
PAWS = ("paw_l", "paw_r")
TONGUE = ("tube_top", "tube_bottom", "tongue_end_l", "tongue_end_r")
ROI = ("nose_tip", "pupil_top_r", "tube_top", "tube_bottom")

Places = Mapping[str, tuple[float, float]]


def places(
    camera: str, row: int, nose: tuple[int, int] | None = None
) -> dict[str, tuple[int, int]]:
    """Return x, y of each body part in a camera's own picture; whole pixels."""
    step = row % 5
    if camera == "body":
        return {"tail_start": (300 + step, 250 + 2 * step)}
    x, y = nose or (420, 520)
    found = {
        "nose_tip": (x + step, y),
        "pupil_top_r": (x + 200, y - 230 + step),
        "pupil_right_r": (x + 216, y - 212 + step),
        "pupil_bottom_r": (x + 200, y - 194 + step),
        "pupil_left_r": (x + 184, y - 212 + step),
        "paw_l": (x + 300 + 3 * step, y + 320),
        "paw_r": (x + 130, y + 300 + 2 * step),
        "tube_top": (x - 80, y + 90),
        "tube_bottom": (x - 80, y + 110),
        "tongue_end_l": (x - 50 + step, y + 70),
        "tongue_end_r": (x - 40 + step, y + 82),
    }
    if camera == "right":
        return {name: (639 - px // 2, py // 2) for name, (px, py) in found.items()}
    return found


def picture(camera: str, row: int, at: Mapping[str, tuple[int, int]]) -> Image:
    """Return the picture of a camera: black, and a square of 5 × 5 for each body part."""
    width, height = SIZES[camera]
    image = np.zeros((height, width, 3), np.uint8)
    for name, (x, y) in at.items():
        image[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] = LEVELS[name]
    return image


def write_camera(
    session: Path,
    camera: str,
    frames: int = 12,
    nose: tuple[int, int] | None = None,
    without: Sequence[str] = (),
    rate: int | None = None,
) -> Path:
    """Write a camera's raw video; return it."""
    folder = session / "raw_video_data"
    folder.mkdir(parents=True, exist_ok=True)

    def draw(row: int) -> Image:
        there = places(camera, row, nose)
        return picture(
            camera, row, {n: p for n, p in there.items() if n not in without}
        )

    return write_film(
        folder / f"_iblrig_{camera}Camera.raw.mp4",
        draw,
        frames,
        rate=rate or RATES[camera],
        crf="0",
        preset="ultrafast",
    )


@dataclass
class LevelFinder:
    """A network that finds body parts by how bright they are."""

    parts: tuple[str, ...]
    gain: int = 1
    off: float = 0.0
    sha256: str = "levels"
    threshold: float = 0.5
    provider: str = "test"
    sizes: set[tuple[int, ...]] = field(default_factory=set)
    calls: int = 0

    @property
    def skeleton(self) -> Skeleton:
        return Skeleton(self.parts)

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        self.calls += len(images)
        return [self._pose(image) for image in images]

    def _pose(self, image: Image) -> Pose:
        self.sizes.add(image.shape[:2])
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        points = np.zeros((1, len(self.parts), 2), np.float32)
        sure = np.full((1, len(self.parts)), 0.05, np.float32)
        for place, name in enumerate(self.parts):
            level, slack = self.gain * LEVELS[name], 3 * self.gain
            found = cv2.moments(cv2.inRange(grey, level - slack, level + slack), True)
            if found["m00"] >= 4:
                x, y = found["m10"] / found["m00"], found["m01"] / found["m00"]
                points[0, place] = x + self.off, y + self.off
                sure[0, place] = 0.99
        return Pose(self.skeleton, points, sure)


@dataclass
class Finders:
    """The networks of IBL's pipeline, as finders; `eyes` and `paws` are ensembles."""

    eyes: int = 1
    paws: int = 1

    def __post_init__(self) -> None:
        def several(
            parts: tuple[str, ...], count: int, gain: int = 1
        ) -> list[LevelFinder]:
            off = np.linspace(-0.5, 0.5, count) if count > 1 else [0.0]
            return [LevelFinder(parts, gain, float(each)) for each in off]

        self.all = {
            "roi_detect-*": [LevelFinder(ROI)],
            "nose_tip-*": [LevelFinder(("nose_tip",))],
            "eye-mic-*": several(PUPIL, self.eyes, gain=4),
            "paw2-mic-*": several(PAWS, self.paws),
            "tongue-mic-*": [LevelFinder(TONGUE)],
            "tail-mic-*": [LevelFinder(("tail_start",))],
        }

    def matching(self, pattern: str) -> Sequence[LevelFinder]:
        return self.all.get(pattern, [])
