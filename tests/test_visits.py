"""The visits that a person saw in a real video are the visits that the program lists."""

import csv
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest

from deeplabstream.analysis.analyse import analyse as results_of
from deeplabstream.recording.run_folder import RunFolder
from utils.VideoAnalyzer import main

HERE = Path(__file__).parent
VIDEO = HERE.parents[1] / "shared/data/openfield/videos/m3v1mp4.mp4"
TOLERANCE = 2  # frames
SECOND_LOOK = 600  # frames that are analysed twice: one visit is among them


def analyse(video: Path, output: Path) -> None:
    """Run the program on a video."""
    words = ["--settings", str(HERE / "golden/m3v1mp4_visits.ini"), "--fast"]
    words += ["--video", str(video), "--output", str(output)]
    assert main([*words, "--no-experiment", "--no-labels"]) == 0


def cut(video: Path, beginning: Path, frames: int) -> None:
    """Copy the first frames of a video, as they are."""
    with av.open(str(video)) as whole, av.open(str(beginning), "w") as part:
        stream = part.add_stream_from_template(whole.streams.video[0])
        for packet in islice(whole.demux(video=0), frames):
            packet.stream = stream
            part.mux(packet)


def visits_of(folder: RunFolder) -> list[tuple[int, int]]:
    """Return (first frame inside, first frame outside) of each visit in triggers.csv."""
    visits: list[tuple[int, int]] = []
    entered = None
    with folder.triggers_path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["answer"] == "1" and entered is None:
                entered = int(row["frame"])
            elif row["answer"] == "0" and entered is not None:
                visits.append((entered, int(row["frame"])))
                entered = None
    return visits


@pytest.mark.timeout(600)
@pytest.mark.skipif(
    not VIDEO.exists(), reason="the lab's video is not on this computer"
)
def test_the_visits_to_the_corner_are_those_that_a_person_saw(tmp_path: Path) -> None:
    analyse(VIDEO, tmp_path / "whole")
    with (HERE / "golden/m3v1mp4_visits.csv").open(encoding="utf-8") as file:
        seen = [
            (int(r["enter_frame"]), int(r["leave_frame"])) for r in csv.DictReader(file)
        ]
    found = visits_of(RunFolder(tmp_path / "whole"))
    assert len(found) == len(seen), found
    for ours, theirs in zip(found, seen, strict=True):
        assert ours == pytest.approx(theirs, abs=TOLERANCE), (found, seen)
    results = results_of(tmp_path / "whole")
    run, visits = results.data, results.visits["animal1", "corner"]
    frames = np.searchsorted(run.t, visits.spans - 1e-6)
    np.testing.assert_allclose(frames, seen, atol=TOLERANCE)
    assert results.value("region_entries", "corner") == len(seen)
    inside_s = (frames[:, 1] - frames[:, 0]).sum() / 30
    assert results.value("region_time", "corner") == pytest.approx(inside_s, abs=0.01)
    beginning = tmp_path / "beginning.mp4"
    cut(VIDEO, beginning, SECOND_LOOK)
    analyse(beginning, tmp_path / "again")
    for name in ("top.csv", "triggers.csv"):
        whole = (tmp_path / "whole" / name).read_bytes().splitlines()
        again = (tmp_path / "again" / name).read_bytes().splitlines()
        assert len(again) > {"top.csv": SECOND_LOOK - 20, "triggers.csv": 3}[name]
        assert whole[: len(again)] == again
