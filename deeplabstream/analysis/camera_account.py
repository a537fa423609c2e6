"""Camera account: frames, latency and lost tracking of one camera, from a run's tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.recording.recorded_frames import video_frames
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.table_reader import camera_table

if TYPE_CHECKING:
    from pandas import DataFrame

INTERVALS = (
    ("exposed", "arrived"),
    ("arrived", "posed"),
    ("posed", "decided"),
    ("exposed", "decided"),
    ("exposed", "written"),
)
"""Latencies: from one time of an analysed frame to another."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Statistics of a duration, in ms."""

    camera: str
    what: str
    """`exposed to decided`; of a device that reports it, `exposed to acted, OUTPUT`."""
    count: int
    p50: float
    p95: float
    p99: float
    longest: float


@dataclass(frozen=True, slots=True)
class Losses:
    """Frames on which a trigger of the experiment was unknown."""

    camera: str
    frames: int
    analysed: int
    times: int
    """Losses: successive frames count once."""
    total_s: float
    longest_s: float


def counted_frames(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """Yield the frame accounts of each camera, as in `run.json`.

    Where a run was not closed, its rows are counted: `span` is `tables`, and what the device
    lost is not known.
    """
    facts = folder.facts
    yield from facts.get("accounting") or ()
    named = {account["camera"] for account in facts.get("accounting") or ()}
    for camera in facts["cameras"]:
        if camera in named:
            continue
        recorded = len(video_frames(folder, camera))
        analysed = delivered = None
        path = folder.table_path(camera)
        if path.exists() and facts.get("skeleton"):
            cells = [row[0] for row in camera_table(path, None).select("analysed")]
            delivered, analysed = len(cells), cells.count("1")
        yield {
            "camera": camera,
            "span": "tables",
            "delivered": delivered,
            "analysed": analysed,
            "skipped": None if delivered is None else delivered - (analysed or 0),
            "recorded": recorded,
        }


def latencies(
    camera: str, rows: "DataFrame", acted: Mapping[str, Sequence[tuple[int, int]]]
) -> Iterator[Latency]:
    """Yield the latencies of the analysed frames of a camera.

    Parameters
    ----------
    camera : str
        The camera.
    rows : pandas.DataFrame
        `RecordedFrames.rows`.
    acted : mapping of str to sequence of (int, int)
        By output, time of exposure and time at which the device acted, ns.
    """
    analysed = rows[rows["analysed"]]
    times = {
        name: analysed[f"{name}_ns"].fillna(0).to_numpy(np.int64)
        for name in ("exposed", "arrived", "posed", "decided", "written")
    }
    for first, last in INTERVALS:
        timed = times[last] > 0
        took = times[last][timed] - times[first][timed]
        if len(took):
            yield _latency(camera, f"{first} to {last}", took)
    for output, pairs in acted.items():
        took = np.array([last - first for first, last in pairs], np.int64)
        yield _latency(camera, f"exposed to acted, {output}", took)


def _latency(camera: str, what: str, took_ns: NDArray[np.int64]) -> Latency:
    ms = took_ns / 1e6
    p50, p95, p99 = np.percentile(ms, (50, 95, 99)).tolist()
    return Latency(camera, what, len(ms), p50, p95, p99, float(ms.max()))


def acted_times(
    events: Sequence[Mapping[str, str]], camera: str
) -> dict[str, list[tuple[int, int]]]:
    """Return, by output, the times of exposure and of the reported switching, ns."""
    found: dict[str, list[tuple[int, int]]] = {}
    for row in events:
        if row["kind"] != "ack" or row["camera"] != camera:
            continue
        if row["exposed_ns"] and row.get("acted_ns"):
            pair = int(row["exposed_ns"]), int(row["acted_ns"])
            found.setdefault(row["name"], []).append(pair)
    return found


def losses(camera: str, rows: "DataFrame") -> Losses:
    """Return how often and how long a trigger of the experiment was unknown."""
    analysed = rows[rows["analysed"]]
    lost = (analysed["lost"].fillna(0) == 1).to_numpy(bool)
    edges = np.diff(np.concatenate([[False], lost, [False]]).astype(np.int8))
    starts, ends = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
    times_s = analysed["time_s"].to_numpy(np.float64)
    last = np.minimum(ends, len(times_s) - 1)
    took_s = times_s[last] - times_s[starts] if len(starts) else np.zeros(0)
    return Losses(
        camera, int(lost.sum()), len(lost), len(starts), float(took_s.sum()),
        float(took_s.max(initial=0.0)),
    )  # fmt: skip
