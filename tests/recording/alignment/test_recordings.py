"""Recordings of other programs are read as they document, or refused in a sentence."""

import json
import struct
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.core.errors import DeviceError
from deeplabstream.recording.alignment.recording_data import RecordingOptions
from deeplabstream.recording.alignment.recordings import (
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


RATE = 1000.0
TRUE_S = np.array([0.5, 0.55, 2.0, 2.05, 3.25, 3.3])
RISING = [True, False] * 3
SAMPLES = 5000


def levels() -> NDArray[np.bool_]:
    """Samples of a line; its edges are half-way between two of them."""
    at = (np.arange(SAMPLES) + 0.5) / RATE
    return np.searchsorted(TRUE_S, at) % 2 == 1


def check(
    path: Path, kind: str = "", within_s: float = 0.5 / RATE, **options: object
) -> None:
    found = read_recording(path, kind, RecordingOptions(**options))  # type: ignore[arg-type]
    assert np.abs(found.edges.times_s - TRUE_S).max() <= within_s + 1e-9
    assert found.edges.rising.tolist() == RISING


def open_ephys(folder: Path, parts: int = 1, is_new: bool = True) -> Path:
    states = np.where(RISING, 3, -3).astype(np.int16)
    source = "Acquisition_Board-100.Rhythm Data"
    for part in range(1, parts + 1):
        recording = folder / "Record Node 101/experiment1" / f"recording{part}"
        events = recording / "events" / source / "TTL"
        stream = recording / "continuous" / source
        for each in (events, stream):
            each.mkdir(parents=True)
        numbers = np.round(TRUE_S * RATE).astype(np.int64)
        if is_new:
            np.save(events / "states.npy", states)
            np.save(events / "sample_numbers.npy", numbers)
            np.save(events / "timestamps.npy", TRUE_S)
            np.save(stream / "timestamps.npy", np.arange(SAMPLES) / RATE)
            np.save(stream / "sample_numbers.npy", np.arange(SAMPLES))
        else:
            np.save(events / "channel_states.npy", states)
            np.save(events / "timestamps.npy", numbers)
            np.save(stream / "timestamps.npy", np.arange(SAMPLES))
        facts = {
            "GUI version": "0.6.7" if is_new else "0.5.5",
            "continuous": [{"folder_name": f"{source}/", "sample_rate": RATE}],
            "events": [{"folder_name": f"{source}/TTL/", "sample_rate": RATE}],
        }
        (recording / "structure.oebin").write_text(json.dumps(facts), "utf-8")
    return folder


@pytest.mark.parametrize("is_new", [True, False])
def test_open_ephys_binary_format(tmp_path: Path, is_new: bool) -> None:
    folder = open_ephys(tmp_path / "session", is_new=is_new)
    check(folder)
    check(folder, line="3")
    found = read_recording(folder)
    assert found.resolution_s == 1 / RATE
    assert found.spans_s[0] == pytest.approx((0.0, SAMPLES / RATE))
    with pytest.raises(
        DeviceError, match="line 4: expected one of Acquisition_Board-100"
    ):
        read_recording(folder, "", RecordingOptions(line="4"))


def test_each_recording_of_open_ephys_is_a_part(tmp_path: Path) -> None:
    found = read_recording(open_ephys(tmp_path / "session", parts=2))
    assert found.edges.parts.tolist() == [0] * 6 + [1] * 6
    assert len(found.spans_s) == 2


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


def spikeglx(folder: Path, kind: str, line: int) -> Path:
    counts = {"nidq": "0,0,1,1", "imec": "3,0,1"}[kind]
    channels = sum(map(int, counts.split(",")))
    data = np.zeros((SAMPLES, channels), np.int16)
    data[:, -1] = levels().astype(np.int16) << line
    data[:, -2] = levels() * 20_000
    path = folder / f"mouse_g0_t0.{kind}.bin"
    data.tofile(path)
    prefix, names = ("ni", "snsMnMaXaDw") if kind == "nidq" else ("im", "snsApLfSy")
    text = f"typeThis={kind}\nnSavedChans={channels}\n{prefix}SampRate={RATE}\n{names}={counts}\n"
    path.with_suffix(".meta").write_text(text + "niAiRangeMax=5\n", "utf-8")
    return path


def test_digital_words_of_spikeglx(tmp_path: Path) -> None:
    nidq = spikeglx(tmp_path, "nidq", 0)
    check(nidq)
    check(nidq.with_suffix(".meta"))
    check(nidq, line="XA0")
    check(spikeglx(tmp_path, "imec", 6))
    check(spikeglx(tmp_path, "nidq", 5), line="5")
    with pytest.raises(DeviceError, match="line 17 is not in the file"):
        read_recording(nidq, "", RecordingOptions(line="17"))
    with pytest.raises(DeviceError, match="line 7 has no edges"):
        read_recording(nidq, "", RecordingOptions(line="7"))
    nidq.with_suffix(".meta").write_text("typeThis=nidq\n", "utf-8")
    with pytest.raises(DeviceError, match="nSavedChans is missing"):
        read_recording(nidq)


@pytest.mark.parametrize(
    ("version", "mode"), [("0.3.1", "1 colour"), ("1.1.0", "2EX_2EM_pulsed")]
)
def test_digital_inputs_of_pyphotometry(
    tmp_path: Path, version: str, mode: str
) -> None:
    pulsed = 2 if version > "1" else 1
    data = np.full((SAMPLES, 2 * pulsed), 1000, np.uint16) << 1
    data[:, pulsed] |= levels()  # input 2
    facts = {"version": version, "mode": mode, "sampling_rate": RATE,
             "n_analog_signals": 2, "n_digital_signals": 2}  # fmt: skip
    header = json.dumps(facts).encode()
    path = tmp_path / "mouse.ppd"
    path.write_bytes(len(header).to_bytes(2, "little") + header + data.tobytes())
    check(path)
    check(path, line="2")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DeviceError, match="can't be read as pyphotometry"):
        read_recording(path)


def test_series_and_intervals_of_nwb(tmp_path: Path) -> None:
    pynwb = pytest.importorskip("pynwb")
    start = datetime(2026, 11, 21, tzinfo=UTC)
    file = pynwb.NWBFile(
        session_description="a session", identifier="1", session_start_time=start
    )
    file.add_acquisition(
        pynwb.TimeSeries(name="sync", data=levels().astype(float), unit="V", rate=RATE)
    )
    file.add_acquisition(
        pynwb.misc.IntervalSeries(
            name="ttl", data=np.where(RISING, 1, -1).astype(np.int8), timestamps=TRUE_S
        )
    )
    for on, off in zip(TRUE_S[::2], TRUE_S[1::2], strict=True):
        file.add_epoch(start_time=on, stop_time=off)
    path = tmp_path / "session.nwb"
    with pynwb.NWBHDF5IO(path, "w") as writer:
        writer.write(file)
    check(path, line="sync")
    check(path, line="acquisition/ttl", within_s=0)
    check(path, line="epochs", within_s=0)
    with pytest.raises(DeviceError, match="which line"):
        read_recording(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DeviceError):
        read_recording(path)


def xdf_chunk(tag: int, content: bytes) -> bytes:
    body = struct.pack("<H", tag) + content
    return b"\x04" + struct.pack("<I", len(body)) + body


def test_streams_of_xdf(tmp_path: Path) -> None:
    """Chunks as the format's specification describes them."""
    header = "<info><name>{}</name><type>x</type><channel_count>1</channel_count>"
    header += (
        "<nominal_srate>{}</nominal_srate><channel_format>{}</channel_format></info>"
    )
    ids = [struct.pack("<I", number) for number in (1, 2)]
    markers = b"".join(
        b"\x08"
        + struct.pack("<d", at)
        + b"\x01"
        + bytes([7])
        + f"laser {int(high)}".encode()
        for at, high in zip(TRUE_S, RISING, strict=True)
    )
    values = b"".join(
        b"\x08" + struct.pack("<d", n / RATE) + struct.pack("<f", float(high))
        for n, high in enumerate(levels())
    )
    content = b"XDF:" + xdf_chunk(1, b"<info><version>1.0</version></info>")
    for number, (name, rate, form) in enumerate(
        [("DeepLabStream", 0, "string"), ("aux", RATE, "float32")]
    ):
        content += xdf_chunk(2, ids[number] + header.format(name, rate, form).encode())
    content += xdf_chunk(3, ids[0] + b"\x01" + bytes([len(TRUE_S)]) + markers)
    content += xdf_chunk(3, ids[1] + b"\x04" + struct.pack("<I", SAMPLES) + values)
    path = tmp_path / "session.xdf"
    path.write_bytes(content)
    check(path, line="laser", within_s=0)
    check(path, line="aux", within_s=0.6 / RATE)
    with pytest.raises(DeviceError, match="which line"):
        read_recording(path)
    path.write_bytes(b"nothing")
    with pytest.raises(DeviceError):
        read_recording(path)
