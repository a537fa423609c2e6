"""The visits that a person saw in a real video are the visits that the program lists."""

import csv
from pathlib import Path

import pytest

from recording.run_folder import RunFolder
from utils.VideoAnalyzer import main

HERE = Path(__file__).parent
VIDEO = HERE.parents[1] / "shared/data/openfield/videos/m3v1mp4.mp4"
TOLERANCE = 2  # frames


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
    settings = str(HERE / "golden/m3v1mp4_visits.ini")
    for name in ("one", "two"):
        output = str(tmp_path / name)
        words = [
            "--settings",
            settings,
            "--video",
            str(VIDEO),
            "--fast",
            "--output",
            output,
        ]
        assert main([*words, "--no-experiment", "--no-labels"]) == 0
    with (HERE / "golden/m3v1mp4_visits.csv").open(encoding="utf-8") as file:
        seen = [
            (int(r["enter_frame"]), int(r["leave_frame"])) for r in csv.DictReader(file)
        ]
    found = visits_of(RunFolder(tmp_path / "one"))
    assert len(found) == len(seen), found
    for ours, theirs in zip(found, seen, strict=True):
        assert ours == pytest.approx(theirs, abs=TOLERANCE), (found, seen)
    for name in ("top.csv", "triggers.csv", "events.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (
            tmp_path / "two" / name
        ).read_bytes()
