"""A video of several scenes, and an analysed run of it."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from deeplabstream.core.frame import ImageFormat
from deeplabstream.recording.run_folder import RunFacts, RunFolder
from deeplabstream.recording.video_writer import VideoWriter

FORM = ImageFormat((48, 64), 25.0)


def film(path: Path) -> Path:
    """Write 60 frames: five scenes of 12, a bright block in another place in each."""
    with VideoWriter(path, FORM) as video:
        for frame in range(60):
            image = np.full(FORM.shape, 30, np.uint8)
            left = 12 * (frame // 12)
            image[10:40, left : left + 12] = 220
            video.write(image, frame, frame * 40_000_000, frame * 40_000_000 + 1)
    return path


def analysed(tmp_path: Path) -> RunFolder:
    """Make a run as VideoAnalyzer does: its only video has the poses drawn on it."""
    video = film(tmp_path / "scenes.mkv")
    facts = RunFacts(0, {"top": FORM}, more={"video": str(video)})
    run = RunFolder.create_at(tmp_path / "run", datetime.now(UTC), "", facts)
    film(run.path / "top.labelled.mkv")
    return run
