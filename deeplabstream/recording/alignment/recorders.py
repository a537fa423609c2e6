"""Recorders: Open Ephys, SpikeGLX, NWB, pyPhotometry and the Lab Streaming Layer.

Each reader returns the edges of one line. `line` of the options names it; where only one
line has edges, it need not be named.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.files.foreign_files import parse_json, read_bytes, read_json
from deeplabstream.files.hdf5 import open_hdf5, whole
from deeplabstream.files.numpy_files import read_array
from deeplabstream.files.paths import paths_below
from deeplabstream.recording.alignment.recording_data import (
    RecordedLine,
    RecorderOptions,
    level_edges,
)
from deeplabstream.recording.alignment.sync_signals import Edges, Floats, joined

IMEC_SYNC_BIT = 6
_SPIKEGLX = {
    "nidq": ("ni", "snsMnMaXaDw"),
    "imec": ("im", "snsApLfSy"),
    "obx": ("ob", "snsXaDwSy"),
}
"""File types of SpikeGLX: prefix of their keys, and key with the numbers of channels."""
_MOST_NAMED = 20
_LEAST_REGULAR = 0.8
"""Share of regular steps between the times of a line that was sampled."""
_PIECE = 2_000_000
"""Samples that are read at once."""


def chosen_line(lines: Mapping[str, Any], option: str) -> str:
    """Return the line that an option names; ValueError: there is none, or several fit."""
    names = ", ".join([*lines][:_MOST_NAMED]) + (
        " …" if len(lines) > _MOST_NAMED else ""
    )
    if not option:
        if len(lines) == 1:
            return next(iter(lines))
        raise ValueError(f"which line? Give --line: {names or 'none has edges'}")
    ends = [name for name in lines if name == option or name.endswith(f"/{option}")]
    if len(ends) != 1 and option not in lines:
        raise ValueError(f"line {option}: expected one of {names or 'none'}")
    return option if option in lines else ends[0]


def read_open_ephys(path: Path, options: RecorderOptions) -> RecordedLine:
    """Read TTL events of Open Ephys' binary format, versions 0.5 and later.

    The folder is of a recording, or one above; each recording is a part, also one without
    edges. Lines are named `NODE.STREAM/NUMBER`; the number alone is enough where it is the
    only one.
    """
    folder = path.parent if path.is_file() else path
    found = sorted(
        paths_below(folder, "structure.oebin"), key=lambda file: _natural(str(file))
    )
    if not found:
        raise ValueError("there is no structure.oebin below it")
    nodes = {
        part for file in found for part in file.parts if part.startswith("Record Node")
    }
    if len(nodes) > 1:
        names = ", ".join(sorted(nodes))
        raise ValueError(f"it has several recorders; name the folder of one: {names}")
    parts = [dict(_open_ephys_lines(file)) for file in found]
    lines = list(dict.fromkeys(name for part in parts for name in part))
    line = chosen_line(dict.fromkeys(lines), options.line)
    without = Edges(np.empty(0), np.empty(0, bool)), (-np.inf, np.inf), 0.0
    kept = [part.get(line, without) for part in parts]
    spans = tuple(span for _, span, _ in kept)
    rate = max(rate for _, _, rate in kept)
    edges = joined([edges for edges, _, _ in kept])
    return RecordedLine(path, "open-ephys", f"line {line}", edges, spans, 1 / rate)


def _open_ephys_lines(
    file: Path,
) -> Iterator[tuple[str, tuple[Edges, tuple[float, float], float]]]:
    """Yield name, edges, span and rate of each line of one recording."""
    facts = read_json(file)
    streams = {_folder_name(stream): stream for stream in facts["continuous"]}
    for events in facts["events"]:
        folder = file.parent / "events" / _folder_name(events)
        states = folder / "states.npy"
        if not states.is_file():  # before version 0.6
            states = folder / "channel_states.npy"
        if not states.is_file() or "TTL" not in folder.name:
            continue

        source = Path(_folder_name(events)).parts[0]
        stream = streams.get(source, {})
        rate = _checked_rate(stream.get("sample_rate") or events["sample_rate"])
        is_new = (folder / "sample_numbers.npy").is_file()

        # States are line numbers: positive for a rising edge, negative for a falling one.
        levels = _column(states, "iu").astype(np.int64)
        times = _open_ephys_times(folder, rate, is_new)
        if len(times) != len(levels):
            raise ValueError(f"{folder.name}: times and states differ in number")
        span = _open_ephys_span(
            file.parent / "continuous" / source, rate, is_new, times
        )

        for number in np.unique(np.abs(levels)):
            own = np.abs(levels) == number
            edges = Edges(times[own], levels[own] > 0, np.zeros(own.sum(), np.int64))
            yield f"{source}/{number}", (edges, span, rate)


def _folder_name(described: Mapping[str, Any]) -> str:
    return str(described["folder_name"]).strip("/")


def _column(file: Path, kinds: str = "iuf") -> NDArray[Any]:
    """Return a column of numbers; ValueError: it is none, of these kinds of NumPy types."""
    column = read_array(file)
    if column.ndim != 1 or column.dtype.kind not in kinds:
        raise ValueError(f"{file.name} is not a column of numbers")
    return column


def _open_ephys_times(folder: Path, rate: float, is_new: bool) -> Floats:
    """Return the times of a folder: in seconds since 0.6, else from sample numbers."""
    times = _column(folder / "timestamps.npy")
    if is_new and len(times) and np.all(times >= 0):
        return times.astype(np.float64)
    samples = _column(folder / "sample_numbers.npy") if is_new else times
    return samples.astype(np.float64) / rate


def _open_ephys_span(
    folder: Path, rate: float, is_new: bool, events: Floats
) -> tuple[float, float]:
    """Return the first and the last time of a stream's samples."""
    if not (folder / "timestamps.npy").is_file():
        return (-np.inf, np.inf)
    times = _open_ephys_times(folder, rate, is_new)
    if not len(times):
        return (-np.inf, np.inf)
    first, last = float(times[0]), float(times[-1])
    inside = not len(events) or (first - 1 <= events.min() and events.max() <= last + 1)
    return (first, last + 1 / rate) if inside else (-np.inf, np.inf)


def read_spikeglx(path: Path, options: RecorderOptions) -> RecordedLine:
    """Read a bit of a digital word of SpikeGLX, or an analogue channel `XA0`.

    Lines are numbers of bits, of a NIDQ file in the digital words, else in the sync word: by
    default 6 of an imec or OneBox file, where the sync input is. `XD3` is a bit of the digital
    words, `XA0` an analogue channel, of a NIDQ or OneBox file.
    """
    binary, described = path.with_suffix(".bin"), path.with_suffix(".meta")
    rows = described.read_text("utf-8").splitlines()
    meta = dict(row.split("=", 1) for row in rows if "=" in row)
    saved, kind = int(meta["nSavedChans"]), meta["typeThis"]
    prefix, key = _SPIKEGLX.get(kind, _SPIKEGLX["imec"])
    rate = _checked_rate(meta[f"{prefix}SampRate"])

    # `snsMnMaXaDw = 0,0,1,1`: channels by kind, in the order in which they are saved.
    counts = [int(n) for n in meta[key].split(",")]
    names = re.findall("[A-Z][a-z]", key)
    agree = sum(counts) == saved and len(counts) == len(names)
    if not agree or min(counts) < 0 or not saved:
        raise ValueError("the counts of channels in .meta do not agree")

    # The size is that of the file, not of .meta, which a crash leaves without it.
    samples = binary.stat().st_size // (2 * saved)
    if samples == 0:
        raise ValueError(f"{binary.name} is empty")

    line = options.line or ("0" if kind == "nidq" else str(IMEC_SYNC_BIT))
    found = re.fullmatch(r"(XA|XD|)(\d+)", line)
    if found is None:
        raise ValueError(
            f"line {line}: expected the number of a bit, or XA0 or XD0 of a NIDQ or OneBox file"
        )
    part = {"XA": "Xa", "XD": "Dw", "": names[-1]}[found[1]]
    number = int(found[2])
    place = number if part == "Xa" else number // 16
    if part not in names or place >= counts[names.index(part)]:
        raise ValueError(f"line {line} is not in the file")

    # One column of an interleaved file: by pieces, so that memory holds no other column.
    first = sum(counts[: names.index(part)]) + place
    data = np.memmap(binary, np.int16, "r", shape=(samples, saved))
    pieces = [data[at : at + _PIECE, first].copy() for at in range(0, samples, _PIECE)]
    column = np.concatenate(pieces)

    if part == "Xa":
        volts = column * (float(meta[f"{prefix}AiRangeMax"]) / 32768)
        high = _above(volts, options.threshold)
    else:
        high = (column.view(np.uint16) >> (number % 16) & 1).astype(bool)
    edges = level_edges(high, 0.0, rate)
    return RecordedLine(
        path, "spikeglx", f"line {line}", edges, ((0.0, samples / rate),), 1 / rate
    )


def read_pyphotometry(path: Path, options: RecorderOptions) -> RecordedLine:
    """Read a digital input of a .ppd file of pyPhotometry; its lines are 1 and 2."""
    content = read_bytes(path)
    size = int.from_bytes(content[:2], "little")
    facts = parse_json(content[2 : 2 + size])
    body = content[2 + size :]
    data = np.frombuffer(body[: len(body) // 2 * 2], "<u2")
    version = tuple(int(n) for n in re.findall(r"\d+", str(facts["version"]))[:2])
    analogue, digital = 2, 2
    if version >= (1, 0):
        analogue = _checked_count(facts, "n_analog_signals", len(data))
        digital = _checked_count(facts, "n_digital_signals", analogue)
    pulsed = 2 if version >= (1, 1) and "pulsed" in facts["mode"] else 1
    rate, bits = _checked_rate(facts["sampling_rate"]), (data & 1) == 1
    lines = {str(n + 1): bits[pulsed * n :: pulsed * analogue] for n in range(digital)}
    if not options.line:
        lines = {name: high for name, high in lines.items() if np.any(high != high[:1])}
    line = chosen_line(lines, options.line)
    edges = level_edges(lines[line], 0.0, rate)
    span = (0.0, len(lines[line]) / rate)
    return RecordedLine(
        path, "pyphotometry", f"digital input {line}", edges, (span,), 1 / rate
    )


def read_nwb(path: Path, options: RecorderOptions) -> RecordedLine:
    """Read a TimeSeries, an IntervalSeries or a table of intervals of an NWB file.

    Lines are named by their place, such as `acquisition/sync`.
    """
    with open_hdf5(path) as file:
        found: dict[str, Any] = {}

        def visit(name: str, item: Any) -> None:
            fields: Any = getattr(item, "keys", tuple)()
            if (
                "timestamps" in fields
                or "start_time" in fields
                or ("data" in fields and "starting_time" in fields)
            ):
                found[name] = item

        file.visititems(visit)
        item = found[chosen_line(found, options.line)]
        name = item.name.strip("/")
        if "start_time" in item:
            starts, stops = whole(item["start_time"]), whole(item["stop_time"])
            times = np.concatenate([starts, stops]).astype(np.float64)
            rising = np.repeat([True, False], [len(starts), len(stops)])
            order = np.argsort(times, kind="stable")
            return RecordedLine(path, "nwb", name, Edges(times[order], rising[order]))
        values = whole(item["data"]) if "data" in item else None
        if "starting_time" in item and values is not None:
            start = float(item["starting_time"][()])
            rate = _checked_rate(item["starting_time"].attrs["rate"])
            edges = level_edges(_above(values, options.threshold), start, rate)
            span = (start, start + len(values) / rate)
            return RecordedLine(path, "nwb", name, edges, (span,), 1 / rate)
        times = whole(item["timestamps"]).astype(np.float64)
        kind = item.attrs.get("neurodata_type", "")
        if values is None or not np.issubdtype(values.dtype, np.number):
            return RecordedLine(
                path, "nwb", name, Edges(times, np.ones(len(times), bool))
            )
        if kind == "IntervalSeries":
            return RecordedLine(path, "nwb", name, Edges(times, values > 0))
        high = _above(values, options.threshold)
        if _is_sampled(times, high):
            return _sampled(path, "nwb", name, times, high)
        return RecordedLine(path, "nwb", name, _changes(times, high))


def read_xdf(path: Path, options: RecorderOptions) -> RecordedLine:
    """Read a stream of an XDF file of LabRecorder, on LSL's clock.

    A stream of numbers is a line of `--threshold`; of nominal rate 0, its values are
    changes of the line at their own times. In a stream of texts, such as that of
    `LslEvents`, lines are named `STREAM/OUTPUT`, and a text is `OUTPUT LEVEL`. Streams of
    one name are `NAME (stream ID)`.
    """
    import pyxdf

    with path.open("rb") as file:
        begin = file.read(4)
    if begin != b"XDF:" and begin[:2] != b"\x1f\x8b":
        raise ValueError("it does not begin as an XDF file")
    logging.getLogger("pyxdf").setLevel(logging.ERROR)
    try:
        streams, _ = pyxdf.load_xdf(path, dejitter_timestamps=False, verbose=False)
        lines = dict(_xdf_lines(streams, options.threshold))
    except OSError:
        raise
    except Exception as error:  # a damaged file can raise almost any exception
        raise ValueError(f"it is damaged ({type(error).__name__}: {error})") from error
    line = chosen_line(lines, options.line)
    times, high, is_sampled = lines[line]
    if is_sampled:
        return _sampled(path, "xdf", line, times, high)
    return RecordedLine(path, "xdf", line, _changes(times, high))


def _xdf_lines(
    streams: Iterable[Mapping[str, Any]], threshold: float
) -> Iterator[tuple[str, tuple[Floats, NDArray[np.bool_], bool]]]:
    """Yield the name of each line, its times, its levels, and whether they are sampled."""
    filled = [stream for stream in streams if len(stream["time_stamps"])]
    counts = Counter(stream["info"]["name"][0] for stream in filled)
    for stream in filled:
        name = stream["info"]["name"][0]
        if counts[name] > 1:
            name = f"{name} (stream {stream['info']['stream_id']})"
        times = np.asarray(stream["time_stamps"], np.float64)
        if stream["info"]["channel_format"][0] != "string":
            values = np.asarray(stream["time_series"], np.float64)
            has_rate = float(stream["info"]["nominal_srate"][0]) > 0
            for channel in range(values.shape[1]):
                label = f"{name}/{channel}" if values.shape[1] > 1 else f"{name}"
                high = _above(values[:, channel], threshold)
                yield label, (times, high, has_rate)
            continue
        texts = [str(row[0]).rpartition(" ") for row in stream["time_series"]]
        for output in dict.fromkeys(text[0] for text in texts if _is_number(text[2])):
            own = [
                n
                for n, text in enumerate(texts)
                if text[0] == output and _is_number(text[2])
            ]
            high = np.array([float(texts[n][2]) > 0 for n in own])
            yield f"{name}/{output}", (times[own], high, False)


def _is_sampled(times: Floats, high: NDArray[np.bool_]) -> bool:
    """Return whether a line was sampled at a rate; False: its values are changes.

    Times of changes may be regular too: then nearly every value differs from the one before.
    """
    steps = np.diff(times)
    if not len(steps) or 2 * int(np.diff(high).sum()) > len(steps):
        return False
    regular = np.abs(steps - np.median(steps)) <= np.median(steps) / 2
    return bool(regular.mean() >= _LEAST_REGULAR)


def _changes(times: Floats, high: NDArray[np.bool_]) -> Edges:
    """Return the edges of a line that was recorded at its changes.

    Edges are at their own times. A line that is low at first has no edge there.
    """
    if len(times) != len(high):
        raise ValueError(f"its {len(high)} values have {len(times)} times")
    changed = np.concatenate([high[:1], np.diff(high)])
    return Edges(times[changed], high[changed])


def _sampled(
    path: Path, kind: str, line: str, times: Floats, high: NDArray[np.bool_]
) -> RecordedLine:
    """Return the edges of a line whose samples have individual times."""
    steps = np.diff(times)
    if len(times) < 2 or len(times) != len(high):
        raise ValueError(f"{line}: its {len(high)} samples have {len(times)} times")
    step = float(np.median(steps))
    changes = np.flatnonzero(np.diff(high)) + 1
    edges = Edges(times[changes] - step / 2, high[changes], np.empty(0, np.int64))
    goes_on = bool(np.all(steps > 0))
    spans = ((float(times[0]), float(times[-1])),) if goes_on else ()
    return RecordedLine(path, kind, line, edges, spans, step)


def _above(values: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Return where values are above the threshold, or half-way where it is NaN."""
    if values.ndim != 1:
        raise ValueError("the line has several channels; only one can be read")
    if np.isnan(threshold):
        threshold = (float(values.min()) + float(values.max())) / 2
    return np.asarray(values > threshold, bool)


def _checked_rate(value: Any) -> float:
    """Return samples per second; ValueError: it is not a positive number."""
    rate = float(value)
    if not 0 < rate < 1e12:
        raise ValueError(f"a sampling rate of {value} is not possible")
    return rate


def _checked_count(facts: Mapping[str, Any], name: str, most: int) -> int:
    """Return a count of signals; ValueError: it is none, or larger than `most`."""
    count = facts[name]
    if not isinstance(count, int) or not 1 <= count <= most:
        raise ValueError(f"{name} = {count} is not possible")
    return count


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


def _natural(text: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in texts by size."""
    parts = re.findall(r"\d+|\D+", text)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
