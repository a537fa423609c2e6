"""Recordings of other programs are read as they document, or refused in a sentence."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.core.errors import DeviceError
from deeplabstream.recording.alignment.recording_data import RecorderOptions
from deeplabstream.recording.alignment.recordings import (
    kind_of,
    read_recording,
)
from deeplabstream.recording.alignment.sync_signals import random_pulses
from tests.recording.alignment.recording_files import (
    LINE,
    RATE,
    nwb,
    open_ephys,
    pyphotometry,
    spikeglx,
    xdf,
)

TIMES = [0.5, 0.75, 1.5, 2.25]
LEVELS = [True, False, True, False]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("time_s,level\n0.5,1\n0.75,0\n1.5,1\n2.25,0\n", {}),
        ("line;timestamp (ms);state\n3;500;1\n3;750;-1\n3;1500;1\n3;2250;-1\n", {"unit": "ms"}),
        ("0,5\t1\n0,75\t0\n1,5\t1\n2,25\t0\n", {}),
        ("500, 1\n750, 0\n1500, 1\n2250, 0\n", {"unit": "ms"}),
        ("500000000,1\n750000000,0\n1500000000,1\n2250000000,0\n", {"unit": "ns"}),
        ("15000,1\n22500,0\n45000,1\n67500,0\n", {"rate": 30000.0}),
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
    found = read_recording(path, "", RecorderOptions(**options))  # type: ignore[arg-type]
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
        ("1,25\n2,5\n", "1,25 in its first row may be one number or two cells"),
        ("1,0\n2,1\n3,0\n", "1,0 in its first row may be one number or two cells"),
        ("1,25,1\n2,5,0\n", "1,25 in its first row may be one number or two cells"),
        ("1\n2,5\n", "line 2 has 2 cells and the first row 1"),
        ("time,level\n1,25,1\n2,5,0\n", "line 2 has 3 cells and the first row 2"),
        ('"1,25"\n"2,5"\n', "a time is missing"),
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


def check(
    path: Path, kind: str = "", within_s: float = 0.5 / RATE, **options: object
) -> None:
    found = read_recording(path, kind, RecorderOptions(**options))  # type: ignore[arg-type]
    assert np.abs(found.edges.times_s - LINE.times_s).max() <= within_s + 1e-9
    assert found.edges.rising.tolist() == LINE.rising.tolist()


@pytest.mark.parametrize("is_new", [True, False])
def test_open_ephys_binary_format(tmp_path: Path, is_new: bool) -> None:
    folder = open_ephys(tmp_path / "session", is_new=is_new)
    check(folder)
    check(folder, line="3")
    found = read_recording(folder)
    assert found.resolution_s == 1 / RATE
    assert found.spans_s[0] == pytest.approx((0.0, LINE.samples / RATE))
    with pytest.raises(
        DeviceError, match="line 4: expected one of Acquisition_Board-100"
    ):
        read_recording(folder, "", RecorderOptions(line="4"))


@pytest.mark.parametrize(
    ("states", "said"),
    [
        (np.array([np.nan] * 6), "states.npy is not a column of numbers"),
        (np.array([[3], [-3]] * 3, np.int16), "states.npy is not a column of numbers"),
    ],
)
def test_states_that_are_no_column_of_numbers_are_refused(
    tmp_path: Path, states: NDArray[np.generic], said: str
) -> None:
    folder = open_ephys(tmp_path / "session")
    np.save(next(folder.rglob("states.npy")), states)
    with pytest.raises(DeviceError, match=said):
        read_recording(folder)


def test_each_recording_of_open_ephys_is_a_part(tmp_path: Path) -> None:
    found = read_recording(open_ephys(tmp_path / "session", parts=2))
    assert found.edges.parts.tolist() == [0] * 6 + [1] * 6
    assert len(found.spans_s) == 2


def test_a_recording_of_open_ephys_without_edges_is_a_part(tmp_path: Path) -> None:
    folder = open_ephys(tmp_path / "session", parts=3)
    for recording in (1, 2):
        for file in folder.rglob(f"recording{recording}/events/*/TTL/*.npy"):
            np.save(file, np.load(file)[:0])
    found = read_recording(folder)
    assert found.edges.parts.tolist() == [2] * 6
    assert len(found.spans_s) == 3
    assert found.spans_s[2] == pytest.approx((0.0, LINE.samples / RATE))


def test_a_damaged_open_ephys_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DeviceError, match=r"no structure\.oebin"):
        read_recording(tmp_path / "empty")
    folder = open_ephys(tmp_path / "session")
    states = next(folder.rglob("states.npy"))
    np.save(states, np.array([3, -3], np.int16))
    with pytest.raises(DeviceError, match="differ in number"):
        read_recording(folder)
    next(folder.rglob("structure.oebin")).write_text("{}", "utf-8")
    with pytest.raises(DeviceError, match="continuous is missing"):
        read_recording(folder)


def test_digital_words_of_spikeglx(tmp_path: Path) -> None:
    nidq = spikeglx(tmp_path, "nidq", 0)
    check(nidq)
    check(nidq.with_suffix(".meta"))
    check(nidq, line="XA0")
    check(spikeglx(tmp_path, "imec", 6))
    check(spikeglx(tmp_path, "nidq", 5), line="5")
    check(spikeglx(tmp_path, "nidq", 5), line="XD5")
    onebox = spikeglx(tmp_path, "obx", 6)
    check(onebox)
    for line in ("XD5", "XA0"):
        check(onebox, line=line)
    for line in ("XA2", "XD16", "16"):
        with pytest.raises(DeviceError, match=f"line {line} is not in the file"):
            read_recording(onebox, "", RecorderOptions(line=line))
    imec = spikeglx(tmp_path, "imec", 6)
    with pytest.raises(DeviceError, match="line XA0 is not in the file"):
        read_recording(imec, "", RecorderOptions(line="XA0"))
    with pytest.raises(DeviceError, match="line 17 is not in the file"):
        read_recording(nidq, "", RecorderOptions(line="17"))
    with pytest.raises(DeviceError, match="line 7 has no edges"):
        read_recording(nidq, "", RecorderOptions(line="7"))
    nidq.with_suffix(".meta").write_text("typeThis=nidq\n", "utf-8")
    with pytest.raises(DeviceError, match="nSavedChans is missing"):
        read_recording(nidq)


@pytest.mark.parametrize(
    ("version", "mode"), [("0.3.1", "1 colour"), ("1.1.0", "2EX_2EM_pulsed")]
)
def test_digital_inputs_of_pyphotometry(
    tmp_path: Path, version: str, mode: str
) -> None:
    path = pyphotometry(tmp_path / "mouse.ppd", version, mode)
    check(path)
    check(path, line="2")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DeviceError, match="can't be read as pyphotometry"):
        read_recording(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_analog_signals", 1e999), ("n_digital_signals", 3), ("sampling_rate", 0)],
)
def test_impossible_numbers_in_a_ppd_are_refused(
    tmp_path: Path, name: str, value: float
) -> None:
    path = pyphotometry(tmp_path / "mouse.ppd", "1.1.0", "2EX_2EM_pulsed")
    content = path.read_bytes()
    size = int.from_bytes(content[:2], "little") + 2
    header = json.dumps(json.loads(content[2:size]) | {name: value}).encode()
    path.write_bytes(len(header).to_bytes(2, "little") + header + content[size:])
    with pytest.raises(DeviceError, match="is not possible"):
        read_recording(path)


def test_series_and_intervals_of_nwb(tmp_path: Path) -> None:
    pytest.importorskip("pynwb")
    path = nwb(tmp_path / "session.nwb")
    check(path, line="sync")
    check(path, line="acquisition/ttl", within_s=0)
    check(path, line="epochs", within_s=0)
    with pytest.raises(DeviceError, match="which line"):
        read_recording(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DeviceError):
        read_recording(path)


def test_streams_of_xdf(tmp_path: Path) -> None:
    path = xdf(tmp_path / "session.xdf")
    check(path, line="laser", within_s=0)
    check(path, line="aux", within_s=0.6 / RATE)
    with pytest.raises(DeviceError, match="which line"):
        read_recording(path)
    both = xdf(tmp_path / "both.xdf", names=("aux", "aux"))
    check(both, line="laser", within_s=0)
    check(both, line="aux (stream 2)", within_s=0.6 / RATE)
    with pytest.raises(DeviceError, match=r"aux \(stream 1\)/laser, aux \(stream 2\)"):
        read_recording(both)
    path.write_bytes(path.read_bytes().replace(b"</info>", b"<info/>"))
    with pytest.raises(DeviceError, match=r"it is damaged \(ParseError"):
        read_recording(path)
    path.write_bytes(b"nothing")
    with pytest.raises(DeviceError):
        read_recording(path)


def test_a_time_series_of_changes_has_edges_at_its_own_times(tmp_path: Path) -> None:
    """As Trodes and Spyglass write digital lines: a value at each change, no rate."""
    pynwb = pytest.importorskip("pynwb")
    file = pynwb.NWBFile(
        session_description="changes",
        identifier="1",
        session_start_time=datetime(2026, 11, 21, tzinfo=UTC),
    )
    pulses = random_pulses(3, 60.0)
    for name, times, high in (
        ("random", pulses.times_s, pulses.rising),
        ("square", np.arange(40) * 0.5 + 3, np.arange(40) % 2 == 0),
    ):
        # The state before the first change is recorded too.
        file.add_acquisition(
            pynwb.TimeSeries(
                name=name,
                data=np.r_[0, high].astype(np.int8),
                timestamps=np.r_[0.0, times],
                unit="-1",
            )
        )
    path = tmp_path / "trodes.nwb"
    with pynwb.NWBHDF5IO(path, "w") as writer:
        writer.write(file)

    found = read_recording(path, "", RecorderOptions(line="random"))
    assert found.edges.times_s.tolist() == pulses.times_s.tolist()
    assert found.edges.rising.tolist() == pulses.rising.tolist()
    assert found.resolution_s == 0
    found = read_recording(path, "", RecorderOptions(line="square"))
    assert found.edges.times_s.tolist() == (np.arange(40) * 0.5 + 3).tolist()


def test_a_time_series_of_samples_with_times_is_sampled(tmp_path: Path) -> None:
    pynwb = pytest.importorskip("pynwb")
    file = pynwb.NWBFile(
        session_description="samples",
        identifier="1",
        session_start_time=datetime(2026, 11, 21, tzinfo=UTC),
    )
    times = np.arange(LINE.samples) / RATE
    times[LINE.samples // 2 :] += 3.0  # a pause
    levels = LINE.levels.astype(float)
    series = pynwb.TimeSeries(name="sync", data=levels, timestamps=times, unit="V")
    file.add_acquisition(series)
    path = tmp_path / "sampled.nwb"
    with pynwb.NWBHDF5IO(path, "w") as writer:
        writer.write(file)
    found = read_recording(path)
    assert found.resolution_s == pytest.approx(1 / RATE)
    changes = np.flatnonzero(np.diff(LINE.levels)) + 1
    np.testing.assert_allclose(found.edges.times_s, times[changes] - 0.5 / RATE)


def test_integer_markers_of_xdf_have_edges_at_their_own_times(tmp_path: Path) -> None:
    path = xdf(tmp_path / "session.xdf", marker_format="int32")
    check(path, line="DeepLabStream", within_s=0)
    assert read_recording(path, "", RecorderOptions("DeepLabStream")).resolution_s == 0
