"""Recordings of other programs, written as each format documents it."""

import json
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 1000.0
"""Samples per second of every recorder."""


@dataclass(frozen=True)
class Line:
    """Edges of a TTL line, rising and falling in turn, and the number of samples."""

    times_s: NDArray[np.float64]
    samples: int = 5000

    @property
    def rising(self) -> NDArray[np.bool_]:
        return np.arange(len(self.times_s)) % 2 == 0

    @property
    def levels(self) -> NDArray[np.bool_]:
        """Level at each sample; edges are half-way between two of them."""
        at = (np.arange(self.samples) + 0.5) / RATE
        return np.searchsorted(self.times_s, at) % 2 == 1


LINE = Line(np.array([0.5, 0.55, 2.0, 2.05, 3.25, 3.3]))


def open_ephys(
    folder: Path, parts: int = 1, is_new: bool = True, line: Line = LINE
) -> Path:
    """Write a session of Open Ephys' binary format, on TTL line 3; return its folder."""
    states = np.where(line.rising, 3, -3).astype(np.int16)
    source = "Acquisition_Board-100.Rhythm Data"
    for part in range(1, parts + 1):
        recording = folder / "Record Node 101/experiment1" / f"recording{part}"
        events = recording / "events" / source / "TTL"
        stream = recording / "continuous" / source
        for each in (events, stream):
            each.mkdir(parents=True)
        numbers = np.round(line.times_s * RATE).astype(np.int64)
        if is_new:
            np.save(events / "states.npy", states)
            np.save(events / "sample_numbers.npy", numbers)
            np.save(events / "timestamps.npy", line.times_s)
            np.save(stream / "timestamps.npy", np.arange(line.samples) / RATE)
            np.save(stream / "sample_numbers.npy", np.arange(line.samples))
        else:
            np.save(events / "channel_states.npy", states)
            np.save(events / "timestamps.npy", numbers)
            np.save(stream / "timestamps.npy", np.arange(line.samples))
        facts = {
            "GUI version": "0.6.7" if is_new else "0.5.5",
            "continuous": [{"folder_name": f"{source}/", "sample_rate": RATE}],
            "events": [{"folder_name": f"{source}/TTL/", "sample_rate": RATE}],
        }
        (recording / "structure.oebin").write_text(json.dumps(facts), "utf-8")
    return folder


def spikeglx(folder: Path, kind: str, bit: int, line: Line = LINE) -> Path:
    """Write a `.bin` and its `.meta`, `kind` nidq, imec or obx; return the `.bin`.

    The line is a bit of the last word, and 20,000 (bit 5) in the channel before; of a OneBox
    also in its first channel.
    """
    counts = {"nidq": "0,0,1,1", "imec": "3,0,1", "obx": "2,1,1"}[kind]
    channels = sum(map(int, counts.split(",")))
    data = np.zeros((line.samples, channels), np.int16)
    data[:, -1] = line.levels.astype(np.int16) << bit
    data[:, -2] = line.levels * 20_000
    if kind == "obx":
        data[:, 0] = line.levels * 20_000
    path = folder / f"mouse_g0_t0.{kind}.bin"
    data.tofile(path)
    prefix, names = {
        "nidq": ("ni", "snsMnMaXaDw"),
        "imec": ("im", "snsApLfSy"),
        "obx": ("ob", "snsXaDwSy"),
    }[kind]
    text = f"typeThis={kind}\nnSavedChans={channels}\n{prefix}SampRate={RATE}\n{names}={counts}\n"
    path.with_suffix(".meta").write_text(text + f"{prefix}AiRangeMax=5\n", "utf-8")
    return path


def pyphotometry(path: Path, version: str, mode: str, line: Line = LINE) -> Path:
    """Write a `.ppd` with the line on digital input 2."""
    pulsed = 2 if version > "1" else 1
    data = np.full((line.samples, 2 * pulsed), 1000, np.uint16) << 1
    data[:, pulsed] |= line.levels
    facts = {"version": version, "mode": mode, "sampling_rate": RATE,
             "n_analog_signals": 2, "n_digital_signals": 2}  # fmt: skip
    header = json.dumps(facts).encode()
    path.write_bytes(len(header).to_bytes(2, "little") + header + data.tobytes())
    return path


def nwb(path: Path, line: Line = LINE) -> Path:
    """Write the line as a TimeSeries `sync`, an IntervalSeries `ttl` and epochs."""
    import pynwb

    start = datetime(2026, 11, 21, tzinfo=UTC)
    file = pynwb.NWBFile(
        session_description="a session", identifier="1", session_start_time=start
    )
    levels, values = line.levels.astype(float), np.where(line.rising, 1, -1)
    file.add_acquisition(
        pynwb.TimeSeries(name="sync", data=levels, unit="V", rate=RATE)
    )
    file.add_acquisition(
        pynwb.misc.IntervalSeries(
            name="ttl", data=values.astype(np.int8), timestamps=line.times_s
        )
    )
    for on, off in zip(line.times_s[::2], line.times_s[1::2], strict=True):
        file.add_epoch(start_time=on, stop_time=off)
    with pynwb.NWBHDF5IO(path, "w") as writer:
        writer.write(file)
    return path


def xdf(
    path: Path,
    line: Line = LINE,
    names: tuple[str, str] = ("DeepLabStream", "aux"),
    marker_format: str = "string",
) -> Path:
    """Write a stream of markers, and one `aux` of samples, chunk by chunk.

    Markers are texts `laser 1`, or numbers 1 and 0 of the format `int32`.
    """
    header = "<info><name>{}</name><type>x</type><channel_count>1</channel_count>"
    header += (
        "<nominal_srate>{}</nominal_srate><channel_format>{}</channel_format></info>"
    )
    ids = [struct.pack("<I", number) for number in (1, 2)]
    markers = b"".join(
        b"\x08"
        + struct.pack("<d", at)
        + (
            b"\x01\x07" + f"laser {high:d}".encode()
            if marker_format == "string"
            else struct.pack("<i", int(high))
        )
        for at, high in zip(line.times_s, line.rising, strict=True)
    )
    values = b"".join(
        b"\x08" + struct.pack("<d", n / RATE) + struct.pack("<f", float(high))
        for n, high in enumerate(line.levels)
    )
    content = b"XDF:" + xdf_chunk(1, b"<info><version>1.0</version></info>")
    for number, (name, rate, form) in enumerate(
        [(names[0], 0, marker_format), (names[1], RATE, "float32")]
    ):
        content += xdf_chunk(2, ids[number] + header.format(name, rate, form).encode())
    content += xdf_chunk(3, ids[0] + b"\x01" + bytes([len(line.times_s)]) + markers)
    count = struct.pack("<I", line.samples)
    content += xdf_chunk(3, ids[1] + b"\x04" + count + values)
    path.write_bytes(content)
    return path


def xdf_chunk(tag: int, content: bytes) -> bytes:
    """Return a chunk with its length."""
    body = struct.pack("<H", tag) + content
    return b"\x04" + struct.pack("<I", len(body)) + body
