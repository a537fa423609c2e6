"""Exposure pulses of a run: each camera's frames matched to numbered pulses, and the skew.

`CAMERA.pulses.csv` has a row for each pulse and each frame; `run.json` the summary.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.recording.alignment.pulse_matching import (
    EARLY_S,
    NO_PULSE,
    REFUSED,
    PulseMatching,
    PulseTrain,
    match_pulses,
)
from deeplabstream.recording.camera_skew import percentiles_ms, skew_ms
from deeplabstream.recording.cell_formats import text_cell
from deeplabstream.recording.recorded_frames import video_frames
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.run_json import validate_facts
from deeplabstream.recording.run_schema import MATCHES
from deeplabstream.recording.table_reader import camera_table, pulses_table

Ints = NDArray[np.int64]
SILENT_S = 2.0
_SILENT_PERIODS = 4
"""Pulses between frames more periods apart than this are not counted as single losses."""
NAMED = 100
"""Most lost pulses listed in `run.json`; the table has all."""
_SMOOTH_S = 5.0


@dataclass(frozen=True, slots=True)
class PulsePart:
    """Frames and pulses of one part, until the pulse numbers restart."""

    number: int
    train: PulseTrain
    frames: Ints
    """Count of each frame, (frame,)."""
    exposed_ns: Ints
    """Recorded time of each frame since Start Stream, (frame,)."""
    matching: PulseMatching
    begins: Ints
    """Counts of the frames before which nothing was listed since the last recording."""


@dataclass(frozen=True, slots=True)
class CameraPulses:
    """A camera and the input that numbers its exposures."""

    camera: str
    input: str
    parts: tuple[PulsePart, ...]
    unlisted: int
    """Frames that arrived but are in no table, so that their pulses appear lost."""


def pulse_settings(folder: RunFolder) -> dict[str, dict[str, Any]]:
    """Return the inputs of numbered pulses as `run.json` has them, by name."""
    facts, _ = validate_facts(folder.facts)
    return dict(facts.get("pulse_inputs") or {})


def match_run(
    folder: RunFolder,
    most_delay_ms: float | None = None,
    done: Callable[[], object] = lambda: None,
) -> list[CameraPulses]:
    """Match the frames of all cameras whose exposures have numbered pulses.

    Parameters
    ----------
    folder : RunFolder
        The run.
    most_delay_ms : float, optional
        Longest possible delay, instead of those of the settings.
    done : callable
        Called after each step, also within a camera.

    Returns
    -------
    list of CameraPulses
        Empty: the run has no pulses.
    """
    settings = pulse_settings(folder)
    if not settings:
        return []

    trains = _trains(folder)
    done()
    start_ns = int(folder.facts["start_ns"])
    matched = []
    for name, keys in settings.items():
        parts = trains.get(name, [])
        for camera in keys.get("cameras", ()):
            counts, exposed_ns, begins = _frames(folder, camera, start_ns)
            done()
            if not parts or not len(counts):
                continue
            most_s = (most_delay_ms or float(keys["most_delay_ms"])) / 1e3
            generated = bool(keys.get("generates"))

            # A board that was reset counts from 0 again: each part of the pulses has the
            # frames from its first pulse to that of the next part.
            starts_ns = [(times[0] - EARLY_S) * 1e9 for _, times in parts]
            edges = [0, *np.searchsorted(exposed_ns, starts_ns[1:]), len(counts)]

            made = []
            for number, (numbers, times_s) in enumerate(parts):
                own = slice(edges[number], edges[number + 1])
                train = PulseTrain(numbers, times_s, generated)
                found = match_pulses(train, counts[own], exposed_ns[own] / 1e9, most_s)
                made.append(
                    PulsePart(
                        number, train, counts[own], exposed_ns[own], found, begins
                    )
                )
                done()
            matched.append(
                CameraPulses(camera, name, tuple(made), _unlisted(folder, camera))
            )
    return matched


def write_matches(
    folder: RunFolder,
    matched: Sequence[CameraPulses],
    done: Callable[[], object] = lambda: None,
) -> None:
    """Write `CAMERA.pulses.csv` of each camera; a table of an earlier matching is replaced.

    `done` is called after each table.
    """
    for camera in {pulses.camera: None for pulses in matched}:
        lines = [",".join(MATCHES.names)]
        for pulses in matched:
            if pulses.camera == camera:
                name = text_cell(pulses.input)
                lines += [
                    f"{name},{row}" for part in pulses.parts for row in _lines(part)
                ]
        with atomic_file(folder.matches_path(camera)) as path:
            path.write_text("\n".join(lines) + "\n", "utf-8", newline="\n")
        done()


def pulse_facts(
    folder: RunFolder, matched: Sequence[CameraPulses]
) -> dict[str, list[dict[str, Any]]]:
    """Return the summary as `run.json` holds it."""
    return {
        "cameras": [_summary(pulses) for pulses in matched],
        "skew": [*_frame_skews(matched), *_pulse_skews(folder)],
    }


def pulse_sentences(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the summary, one sentence per camera and per pair of cameras."""
    for camera in facts["cameras"]:
        delay = camera["delay_ms"]
        text = (
            f"[Camera {camera['camera']}] {camera['matched']} of {camera['frames']} frames have a "
            f"pulse of {camera['input']}; {camera['lost']} pulses have no frame, "
            f"{camera['no_pulse']} frames no pulse; {camera['refused']} frames are refused"
        )
        if camera["unplaced"]:
            text += f"; {camera['unplaced']} more pulses have no frame, which ones is not certain"
        if camera["silent"]:
            text += f"; {camera['silent']} pulses while no frames came, or between two recordings"
        if delay:
            text += f". Delay {delay['p50']:g} ms (p95 {delay['p95']:g})"
        if camera["unlisted"]:
            text += (
                f". {camera['unlisted']} frames arrived but are in no table: as many losses are "
                "not the camera's"
            )
        for why in camera["why"]:
            text += f". Refused: {why}"
        if camera["lost"]:
            first = ", ".join(map(str, camera["lost_pulses"][:10]))
            text += f". Lost: pulse {first}{' …' if camera['lost'] > 10 else ''}"
        yield text
    for skew in facts["skew"]:
        ms = skew["ms"]
        yield (
            f"{' and '.join(skew['cameras'])}: exposures of the same pulse {ms['p50']:g} ms "
            f"apart (p95 {ms['p95']:g}, max {ms['max']:g}), by {skew['by']}, "
            f"{skew['pulses']} pulses"
        )


def _trains(folder: RunFolder) -> dict[str, list[tuple[Ints, NDArray[np.float64]]]]:
    """Return numbers and times of each input's pulses, a new part where numbers restart."""
    start_ns = int(folder.facts["start_ns"])
    rows: dict[str, list[tuple[int, int, int]]] = {}
    columns = "input", "pulse", "acted_ns", "device_us"
    for name, *cells in pulses_table(folder.pulses_path).select(*columns):
        pulse, acted_ns, device_us = map(int, cells)
        rows.setdefault(name, []).append((pulse, acted_ns - start_ns, device_us))

    # Numbers only rise until the board is reset.
    trains = {}
    for name, found in rows.items():
        table = np.array(found, np.int64)
        begins = np.flatnonzero(np.diff(table[:, 0]) <= 0) + 1
        trains[name] = [
            (part[:, 0], _smooth_times(part[:, 1], part[:, 2]))
            for part in np.split(table, begins)
        ]
    return trains


def _smooth_times(acted_ns: Ints, device_us: Ints) -> NDArray[np.float64]:
    """Return the pulses' times in seconds, by the device's clock.

    The difference of the clocks was estimated while the pulses were reported; its median
    over some seconds is used.
    """
    # The estimate of the offset jumps by the jitter of the reports; pulses do not.
    own_s = device_us / 1e6
    behind_s = acted_ns / 1e9 - own_s
    groups = np.split(
        np.arange(len(own_s)),
        np.flatnonzero(np.diff((own_s - own_s[0]) // _SMOOTH_S)) + 1,
    )
    at = [float(np.median(own_s[group])) for group in groups]
    level = [float(np.median(behind_s[group])) for group in groups]
    return np.asarray(own_s + np.interp(own_s, at, level))


def _frames(folder: RunFolder, camera: str, start_ns: int) -> tuple[Ints, Ints, Ints]:
    """Return count and time of all frames in the tables of a camera, in order.

    And the counts of the first frames of recordings that follow the last frame of another,
    with no frame listed in between.
    """
    # Frames that were analysed and recorded are in both tables.
    listed = video_frames(folder, camera)
    found = dict(
        zip(
            listed["frame"].astype(np.int64).tolist(),
            listed["exposed_ns"].astype(np.int64).tolist(),
            strict=True,
        )
    )
    path = folder.table_path(camera)
    if path.exists():
        for frame, exposed in camera_table(path, None).select("frame", "exposed_ns"):
            found[int(frame)] = int(exposed)

    table = np.array(sorted(found.items()), np.int64).reshape(-1, 2)

    # Between two recordings the camera may deliver frames that no table lists, so its
    # count jumps without a loss.
    videos = [
        account["files"][0]
        for account in folder.facts.get("accounting") or ()
        if (account["camera"], account["span"]) == (camera, "recording")
        and account.get("files")
    ]
    first = listed[listed["video"].isin(videos)].groupby("video")["frame"].min()
    begins = np.sort(first.to_numpy(np.int64))
    before = np.searchsorted(table[:, 0], begins) - 1
    follows = (before >= 0) & np.isin(table[before, 0], listed["frame"].to_numpy(int))
    return table[:, 0], table[:, 1] - start_ns, begins[follows]


def _unlisted(folder: RunFolder, camera: str) -> int:
    """Return the number of frames that arrived but are in no table; analysis lists all."""
    accounts = [
        account
        for account in folder.facts.get("accounting") or ()
        if account["camera"] == camera
    ]
    analysed = [account for account in accounts if account["span"] == "analysis"]
    key = "unlisted" if analysed else "recording_losses"
    return sum(account[key] or 0 for account in analysed or accounts)


def _lines(part: PulsePart) -> list[str]:
    """Return the rows of a part in the order of their times."""
    pulses = part.matching.pulses
    times = dict(
        zip(part.train.numbers.tolist(), part.train.times_s.tolist(), strict=True)
    )
    rows = []
    triples = zip(
        pulses.tolist(), part.frames.tolist(), part.exposed_ns.tolist(), strict=True
    )
    for pulse, frame, exposed_ns in triples:
        second = exposed_ns / 1e9
        begun = times.get(pulse)
        own = f"{part.number},{pulse if pulse >= 0 else ''},{frame}"
        if begun is None:
            pair = ","
        else:
            delay = f"{1e3 * (second - begun):.4f}"
            pair = f"{begun:.6f},{delay}"
        state = {NO_PULSE: "no pulse", REFUSED: "refused"}.get(pulse, "matched")
        rows.append((second if begun is None else begun, f"{own},{pair},{state}"))
    for pulse, state in _without_frame(part):
        begun = times.get(pulse)
        cell = "" if begun is None else f"{begun:.6f}"
        at = float(np.interp(pulse, part.train.numbers, part.train.times_s))
        rows.append((at, f"{part.number},{pulse},,{cell},,{state}"))
    rows.sort(key=lambda row: row[0])
    return [line for _, line in rows]


def _without_frame(part: PulsePart) -> Iterator[tuple[int, str]]:
    """Yield the pulses between the first and last matched one that have no frame."""
    pulses = part.matching.pulses
    known = pulses[pulses >= 0]
    if not len(known):
        return
    silent = _silent(part)
    lost = set(part.matching.lost.tolist())
    for pulse in np.setdiff1d(np.arange(known[0], known[-1]), known).tolist():
        yield (
            pulse,
            "silent" if pulse in silent else "lost" if pulse in lost else "refused",
        )


def _silent(part: PulsePart) -> set[int]:
    """Return the lost pulses between frames far apart in time, or of two recordings."""
    matched = part.matching.pulses >= 0
    pulses, times = part.matching.pulses[matched], part.exposed_ns[matched]
    limit_s = max(SILENT_S, _SILENT_PERIODS * part.matching.period_s)  # not NaN
    numbers: set[int] = set()
    apart = np.diff(times) > limit_s * 1e9
    before = np.searchsorted(part.frames[matched], part.begins) - 1
    apart[before[(before >= 0) & (before < len(apart))]] = True
    for at in np.flatnonzero(apart):
        numbers.update(range(int(pulses[at]) + 1, int(pulses[at + 1])))
    return numbers


def _summary(camera: CameraPulses) -> dict[str, Any]:
    pulses = np.concatenate([part.matching.pulses for part in camera.parts])

    # Pulses while no frames came at all are no losses of the camera: counted apart.
    lost, silent = [], 0
    for part in camera.parts:
        quiet = _silent(part)
        own = [n for n in part.matching.lost.tolist() if n not in quiet]
        lost += own
        silent += len(quiet)

    delays_ms = np.concatenate([_delays_ms(part) for part in camera.parts])
    stretches = [s for part in camera.parts for s in part.matching.stretches]
    period_s = float(
        np.nanmedian([p.matching.period_s for p in camera.parts] or [np.nan])
    )
    return {
        "camera": camera.camera,
        "input": camera.input,
        "frames": len(pulses),
        "matched": int((pulses >= 0).sum()),
        "no_pulse": int((pulses == NO_PULSE).sum()),
        "refused": int((pulses == REFUSED).sum()),
        "lost": len(lost),
        "lost_pulses": lost[:NAMED],
        "unplaced": sum(part.matching.unplaced for part in camera.parts),
        "silent": silent,
        "unlisted": camera.unlisted,
        "untimed": sum(
            int(np.diff(part.train.numbers).sum()) - len(part.train.numbers) + 1
            for part in camera.parts
        ),
        "period_ms": None if np.isnan(period_s) else round(1e3 * period_s, 6),
        "delay_ms": percentiles_ms(delays_ms) if len(delays_ms) else None,
        "how": sorted({s.how for s in stretches if s.how}),
        "why": sorted({s.why for s in stretches if s.why}),
    }


def _delays_ms(part: PulsePart) -> NDArray[np.float64]:
    """Return the delays of the frames whose pulses have times."""
    timed = np.isin(part.matching.pulses, part.train.numbers)
    place = np.searchsorted(part.train.numbers, part.matching.pulses[timed])
    return np.asarray(part.exposed_ns[timed] / 1e6 - part.train.times_s[place] * 1e3)


def _frame_skews(matched: Sequence[CameraPulses]) -> Iterator[dict[str, Any]]:
    """Yield, for each two cameras of an input, the time between their frames of a pulse."""
    for one, other in combinations(matched, 2):
        if one.input != other.input:
            continue
        apart = []
        for mine, theirs in zip(one.parts, other.parts, strict=True):
            times, other_times = _by_pulse(mine), _by_pulse(theirs)
            both = sorted(times.keys() & other_times.keys())
            later_ns = [other_times[pulse] - times[pulse] for pulse in both]
            apart.append(np.array(later_ns, np.int64))
        later_ms = np.concatenate(apart) / 1e6
        if len(later_ms):
            yield {
                "cameras": [one.camera, other.camera],
                "by": "times of frames",
                "pulses": len(later_ms),
                "later_ms": round(float(np.median(later_ms)), 4),
                "ms": percentiles_ms(np.abs(later_ms)),
            }


def _by_pulse(part: PulsePart) -> dict[int, int]:
    """Return the times of the frames by the numbers of their pulses."""
    times = zip(part.matching.pulses.tolist(), part.exposed_ns.tolist(), strict=True)
    return {pulse: exposed_ns for pulse, exposed_ns in times if pulse >= 0}


def _pulse_skews(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """Yield, for each two cameras counted by one board, the time between their exposures."""
    counted = {
        name: keys
        for name, keys in pulse_settings(folder).items()
        if not keys.get("generates") and len(keys.get("cameras", ())) == 1
    }
    times: dict[str, list[int]] = {name: [] for name in counted}
    for name, device_us in pulses_table(folder.pulses_path).select(
        "input", "device_us"
    ):
        if name in times:
            times[name].append(int(device_us) * 1000)
    for one, other in combinations(counted, 2):
        if counted[one].get("port") != counted[other].get("port"):
            continue
        pair = [np.sort(np.array(times[name], np.int64)) for name in (one, other)]
        if ms := skew_ms(*pair):
            yield {
                "cameras": [counted[name]["cameras"][0] for name in (one, other)],
                "by": "exposure pulses",
                "pulses": min(map(len, pair)),
                "ms": ms,
            }
