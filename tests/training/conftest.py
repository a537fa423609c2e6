import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

# Threads that wait by spinning slow each other down where other programs run too.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

HEADER = (
    "scorer,me,me,me,me\nbodyparts,leftear,leftear,rightear,rightear\ncoords,x,y,x,y\n"
)


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pictures of a dark and a bright dot on grey, and where they are."""
    folder = tmp_path_factory.mktemp("labelled")
    rng = np.random.default_rng(0)
    rows = []
    for index in range(8):
        picture = np.full((96, 128, 3), 120, np.uint8)
        dark, bright = rng.uniform([15, 15], [113, 81], (2, 2)).round(1)
        for (x, y), level in ((dark, 10), (bright, 245)):
            centre = (round(x * 16), round(y * 16))
            cv2.circle(picture, centre, 6 * 16, (level,) * 3, -1, cv2.LINE_AA, 4)
        clip = folder / f"clip{index // 4}"
        clip.mkdir(exist_ok=True)
        name = f"clip{index // 4}/img{index:02}.png"
        cv2.imwrite(str(folder / name), picture)
        rows.append(f"{name},{dark[0]},{dark[1]},{bright[0]},{bright[1]}")
    (folder / "CollectedData.csv").write_text(
        HEADER + "\n".join(rows), encoding="utf-8"
    )
    return folder


def draw(picture: np.ndarray, nose: np.ndarray, rump: np.ndarray) -> None:
    """Draw an animal: a grey bar with a bright and a dark end."""
    ends = [tuple(int(v) for v in np.rint(end * 16)) for end in (nose, rump)]
    cv2.line(picture, ends[0], ends[1], (80,) * 3, 4, cv2.LINE_AA, 4)
    cv2.circle(picture, ends[0], 4 * 16, (250,) * 3, -1, cv2.LINE_AA, 4)
    cv2.circle(picture, ends[1], 4 * 16, (5,) * 3, -1, cv2.LINE_AA, 4)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen pictures of two animals side by side, and where they are."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    rows = []
    for index in range(16):
        picture = np.full((64, 96, 3), 150, np.uint8)
        cells: list[object] = [f"img{index:02}.png"]
        for middle in ((28, 32), (68, 32)):
            angle = rng.uniform(0, 2 * np.pi)
            along = 13 * np.array([np.cos(angle), np.sin(angle)])
            at = np.array(middle) + rng.uniform(-5, 5, 2)
            ends = np.round([at + along, at - along], 2)
            draw(picture, *ends)
            cells += ends.ravel().tolist()
        cv2.imwrite(str(folder / str(cells[0])), picture)
        rows.append(cells)
    header = [
        ["scorer", *["me"] * 8],
        ["individuals", *["one"] * 4, *["two"] * 4],
        ["bodyparts", *["nose", "nose", "rump", "rump"] * 2],
        ["coords", *["x", "y"] * 4],
    ]
    with (folder / "CollectedData.csv").open("w", newline="") as lines:
        csv.writer(lines).writerows([*header, *rows])
    return folder
