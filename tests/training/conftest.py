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
