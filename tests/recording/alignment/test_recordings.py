"""Recordings of other programs are read as they document, or refused in a sentence."""

from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.recording.alignment.recordings import (
    RecordingOptions,
    kind_of,
    read_recording,
)

TIMES = [0.5, 0.75, 1.5, 2.25]
LEVELS = [True, False, True, False]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("time_s,level\n0.5,1\n0.75,0\n1.5,1\n2.25,0\n", {}),
        ("line;timestamp (ms);state\n3;500;1\n3;750;-1\n3;1500;1\n3;2250;-1\n", {"unit": "ms"}),
        ("0.5\t1\n0.75\t0\n1.5\t1\n2.25\t0\n", {}),
        ("a,b,level\n1,0.5,high\n1,0.75,low\n\n1,1.5,high\n1,2.25,low", {"line": "b"}),
        ("sample\n15000\n22500\n45000\n67500\n", {"rate": 30000.0, "both_edges": True}),
        ("\ufefftime,level\n0.5,1\n0.6,1\n0.75,0\n1.5,1\n2.25,0\n", {}),
    ],
)  # fmt: skip
def test_a_csv_of_edges_is_read(
    tmp_path: Path, text: str, options: dict[str, object]
) -> None:
    path = tmp_path / "edges.csv"
    path.write_text(text, "utf-8")
    found = read_recording(path, "", RecordingOptions(**options))  # type: ignore[arg-type]
    np.testing.assert_allclose(found.edges.times_s, TIMES)
    assert found.edges.rising.tolist() == LEVELS
    assert found.edges.parts.tolist() == [0] * 4


def test_a_clock_that_goes_back_begins_a_new_part(tmp_path: Path) -> None:
    path = tmp_path / "edges.txt"
    path.write_text("1\n2\n3\n0.5\n1.5\n", "utf-8")
    found = read_recording(path)
    assert found.edges.parts.tolist() == [0, 0, 0, 1, 1]
    assert found.edges.rising.all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("time\n", "has no edges"),
        ("time,level\n1,1\nx,0\n", "row 2, column 1: a time is missing"),
        ("time,level\n1,1\n2,maybe\n", "row 2, column 2: 'maybe': expected a level"),
        ("time,level\n1,1\n2\n", "row 2, column 2: '': expected a level"),
        ("1\nnan\n", "times that are no numbers"),
    ],
)
def test_a_damaged_csv_is_refused_in_a_sentence(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "edges.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(DeviceError, match=said):
        read_recording(path)


def test_a_recording_of_no_known_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="Give --kind"):
        kind_of(Path("recording.xyz"))
    with pytest.raises(DeviceError, match="does not exist"):
        read_recording(tmp_path / "none.csv")
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(DeviceError, match="can't be read as csv"):
        read_recording(tmp_path / "picture.csv")
