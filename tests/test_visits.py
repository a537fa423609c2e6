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
RATE = 30
BESIDE = 30
"""Frames before and after visits that are analysed with them."""
Visits = list[tuple[int, int]]
"""First frame inside and first frame outside of each visit."""

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        not VIDEO.exists(), reason="the lab's video is not on this computer"
    ),
]


def analyse(video: Path, output: Path) -> Visits:
    """Run the program on a video; return the visits that it found."""
    words = ["--settings", str(HERE / "golden/m3v1mp4_visits.ini"), "--fast"]
    words += ["--video", str(video), "--output", str(output)]
    assert main([*words, "--no-experiment", "--no-labels"]) == 0
    return visits_of(RunFolder(output))


def seen_visits() -> Visits:
    """Return the visits that the person saw."""
    with (HERE / "golden/m3v1mp4_visits.csv").open(encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return [(int(row["enter_frame"]), int(row["leave_frame"])) for row in rows]


def parts() -> list[tuple[int, int, Visits]]:
    """Return the first frame, the last one and the visits of each part that has some."""
    found: list[tuple[int, int, Visits]] = []
    for enter, leave in seen_visits():
        first, own = enter - BESIDE, Visits()
        if found and first <= found[-1][1]:
            first, _, own = found.pop()
        found.append((first, leave + BESIDE, [*own, (enter, leave)]))
    return found


def written(folder: Path, first: int, last: int) -> Path:
    """Write a part of the video without loss: its key frames need those before them."""
    path = folder / f"{first}.mkv"
    with av.open(str(VIDEO)) as whole, av.open(str(path), "w") as part:
        stream = part.add_stream("ffv1", rate=RATE)
        stream.width, stream.height = 640, 480
        for frame in islice(whole.decode(video=0), first, last + 1):
            image = av.VideoFrame.from_ndarray(frame.to_ndarray(), frame.format.name)
            part.mux(stream.encode(image))
        part.mux(stream.encode(None))
    return path


def cut(path: Path, frames: int) -> Path:
    """Copy the first frames of the video, as they are."""
    with av.open(str(VIDEO)) as whole, av.open(str(path), "w") as part:
        stream = part.add_stream_from_template(whole.streams.video[0])
        for packet in islice(whole.demux(video=0), frames):
            packet.stream = stream
            part.mux(packet)
    return path


def assert_seen(found: Visits, seen: Visits) -> None:
    assert len(found) == len(seen), found
    for ours, theirs in zip(found, seen, strict=True):
        assert ours == pytest.approx(theirs, abs=TOLERANCE), (found, seen)


def visits_of(folder: RunFolder) -> Visits:
    """Return the visits in triggers.csv."""
    visits: Visits = []
    entered = None
    with folder.triggers_path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["answer"] == "1" and entered is None:
                entered = int(row["frame"])
            elif row["answer"] == "0" and entered is not None:
                visits.append((entered, int(row["frame"])))
                entered = None
    return visits


def assert_measured(folder: Path, seen: Visits) -> None:
    """Check the visits among the results of a run."""
    results = results_of(folder)
    run, visits = results.data, results.visits["animal1", "corner"]
    frames = np.searchsorted(run.t, visits.spans - 1e-6)
    np.testing.assert_allclose(frames, seen, atol=TOLERANCE)
    assert results.value("region_entries", "corner") == len(seen)
    inside_s = (frames[:, 1] - frames[:, 0]).sum() / RATE
    assert results.value("region_time", "corner") == pytest.approx(inside_s, abs=0.01)


def test_the_visits_to_the_corner_are_those_that_a_person_saw(tmp_path: Path) -> None:
    """In the parts of the video with visits; the part that is read twice is the same."""
    for number, (first, last, seen) in enumerate(parts()):
        video = written(tmp_path, first, last)
        seen = [(enter - first, leave - first) for enter, leave in seen]
        assert_seen(analyse(video, tmp_path / f"{number}"), seen)
        assert_measured(tmp_path / f"{number}", seen)
    again = tmp_path / "again"
    analyse(video, again)
    for name in ("top.csv", "triggers.csv"):
        once = (tmp_path / f"{number}" / name).read_bytes()
        assert (
            once.count(b"\n") > {"top.csv": last - first - 20, "triggers.csv": 2}[name]
        )
        assert once == (again / name).read_bytes()


@pytest.mark.long
def test_there_are_no_other_visits_in_the_whole_video(tmp_path: Path) -> None:
    seen = seen_visits()
    assert_seen(analyse(VIDEO, tmp_path / "whole"), seen)
    assert_measured(tmp_path / "whole", seen)
    _, last, _ = parts()[0]
    analyse(cut(tmp_path / "beginning.mp4", last), tmp_path / "again")
    for name in ("top.csv", "triggers.csv"):
        whole = (tmp_path / "whole" / name).read_bytes().splitlines()
        again = (tmp_path / "again" / name).read_bytes().splitlines()
        assert len(again) > {"top.csv": last - 20, "triggers.csv": 3}[name]
        assert whole[: len(again)] == again
