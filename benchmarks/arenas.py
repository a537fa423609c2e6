"""48 flies in wells of one camera: every frame decided, each fly in its well, at which cost.

Flies are found by background subtraction (`MODEL = background`), in the order of the frames, as
in a live rig. Each well has a trigger, an experiment and an output of its own; poses, answers
and edges are recorded. Positions are compared with those of an independent threshold script,
which sees the whole video first. In the first frames every other well is emptied: its fly is
hidden by a part of another frame; nothing may be found there. Time is processor time of one
thread per frame: of the detector, and of the whole loop with it and the record, without decoding.

Aims: every frame decided; each position that is found in its arena; 99 % of the positions that
both find within 2 px of the script's; nothing found in an emptied well.

    python benchmarks/arenas.py --json it.json
    python benchmarks/arenas.py --simulated --frames 300
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.support.fly_wells import (
    FlyWells,
    Places,
    emptied,
    recorded,
    simulated,
    threshold_script,
)
from deeplabstream.core.frame import Frame, Image, ImageFormat
from deeplabstream.core.pose import Pose
from deeplabstream.core.regions import Circle
from deeplabstream.engine.network_loading import network_ready_message, open_network
from deeplabstream.engine.replay.video_replay import new_folder, replay
from deeplabstream.pose.estimator import EstimatorWrapper, PoseEstimator
from deeplabstream.recording.run_writer import RunWriter
from deeplabstream.settings.loading import Settings, parse

NEAR_PX, SHARE_NEAR = 2.0, 0.99
EMPTIED_FRAMES = 450
"""Frames in which wells are emptied."""
RIG = """\
[Pose Estimation]
MODEL = background
[Camera top]
KIND = SimulatedWells
[Arenas]
{arenas}
[Trigger middle]
KIND = InsideRegion
BODYPARTS = centre
REGION = circle 0 0 {radius}
[Experiment]
EXP_NAME = place
[Experiment place]
KIND = Conditional
TRIGGER = middle
OUTPUT = light
MAX_ON_S = 30
REST_S = 0
TRIALS = 1000000
"""
OF_ARENA = """\
[Output light.{name}]
KIND = SimulatedOutput
"""


class Timed(EstimatorWrapper):
    """An estimator, and the processor time of each of its calls."""

    def __init__(self, estimator: PoseEstimator) -> None:
        self.estimator = estimator
        self.taken_s: list[float] = []

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return the estimator's poses."""
        began_s = time.thread_time()
        poses = self.estimator.estimate(images, cameras)
        self.taken_s.append(time.thread_time() - began_s)
        return poses


def rig_of(wells: FlyWells) -> Settings:
    """Return the settings: in each arena, light while the fly is in the middle."""
    return parse(rig_text(wells), Path())


def rig_text(wells: FlyWells) -> str:
    """Return the text of the settings."""
    empty = parse(
        f"[Camera top]\nKIND = SimulatedWells\n[Arenas]\n{wells.arenas}", Path()
    )
    radii = [it.r for it in empty.arenas.values() if isinstance(it, Circle)]
    text = RIG.format(arenas=wells.arenas, radius=min(radii) / 2)
    return text + "".join(OF_ARENA.format(name=name) for name in empty.arenas)


def decided(
    wells: FlyWells, rig: Settings, folder: Path
) -> tuple[Places, int, dict[str, float]]:
    """Return the positions, the number of frames that were decided, and times in ms."""
    timed = Timed(open_network(rig))
    form = ImageFormat(wells.shape, wells.rate)
    run = new_folder(rig, folder, form, network_ready_message(timed, rig), {})
    decoding_s = 0.0

    def frames() -> Iterator[Frame]:
        nonlocal decoding_s
        began_s = time.thread_time()
        for index, image in enumerate(wells.images()):
            decoding_s += time.thread_time() - began_s
            time_ns = round(index * 1e9 / wells.rate)
            yield Frame("top", index, time_ns, time_ns, image)
            began_s = time.thread_time()

    places, count, loop_s = [], 0, list[float]()
    with RunWriter(run, 0) as writer:
        began_s, decoded_s = time.thread_time(), 0.0
        for step in replay(rig, frames(), timed, writer):
            now_s = time.thread_time()
            loop_s.append(now_s - began_s - (decoding_s - decoded_s))
            began_s, decoded_s = now_s, decoding_s
            places.append(step.pose.points[:, 0])
            count += all(answer is not None for answer in step.triggers.values())
    taken_ms = {
        f"{name}_{what}_ms": 1e3 * float(value)
        for name, taken_s in (("detector", timed.taken_s), ("loop", loop_s))
        for what, value in (
            ("mean", np.mean(taken_s)),
            ("p99", np.percentile(taken_s, 99)),
        )
    }
    return np.array(places, np.float64), count, taken_ms


def circles(rig: Settings) -> dict[str, Circle]:
    """Return the arenas."""
    arenas = rig.arenas.items()
    return {name: region for name, region in arenas if isinstance(region, Circle)}


def found_in_emptied(wells: FlyWells, rig: Settings, script: Places) -> tuple[int, int]:
    """Return how many wells were emptied, and how many flies were found in them."""
    empty, without = emptied(wells, script, EMPTIED_FRAMES)
    estimator = open_network(rig)
    poses = [estimator.estimate([image], ["top"])[0] for image in empty.images()]
    found = np.isfinite([pose.points[without, 0, 0] for pose in poses])
    return len(without), int(found.sum())


def compared(
    wells: FlyWells, rig: Settings, found: Places, script: Places
) -> dict[str, float]:
    """Return shares of positions: found, in their arenas, near those of the script."""
    arenas = circles(rig)
    known = np.isfinite(found[..., 0])
    inside = [
        region.contains(found[known[:, arena], arena])
        for arena, region in enumerate(arenas.values())
    ]
    both = known & np.isfinite(script[..., 0])
    away = np.linalg.norm(found - script, axis=-1)[both]
    shares = {
        "found": known.mean(),
        "in_own_arena": np.concatenate(inside).mean(),
        "script_found": np.isfinite(script[..., 0]).mean(),
        "near_script": (away < NEAR_PX).mean(),
        "median_px": np.median(away),
    }
    if wells.truth is not None:
        errors = np.linalg.norm(found - wells.truth, axis=-1)[known]
        shares |= {"median_error_px": np.median(errors), "most_error_px": errors.max()}
    return {name: float(share) for name, share in shares.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures; 1: an aim was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulated", action="store_true", help="not the recording")
    parser.add_argument("--frames", type=int, default=0, help="frames; 0: all")
    parser.add_argument(
        "--quick", action="store_true", help="60 small simulated frames"
    )
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args(argv)

    wells = None
    if options.quick:
        wells = simulated(60, (240, 320))
    elif not options.simulated:
        wells = recorded(options.frames)
    wells = wells or simulated(options.frames)

    import cv2

    # so that the processor time of one thread is that of the whole detector
    cv2.setNumThreads(1)
    rig = rig_of(wells)
    with tempfile.TemporaryDirectory() as folder:
        found, known, taken_ms = decided(wells, rig, Path(folder) / "run")
    script = threshold_script(wells, circles(rig))
    shares = compared(wells, rig, found, script)
    without, ghosts = found_in_emptied(wells, rig, script)
    figures: dict[str, Any] = {
        "wells": wells.name,
        "arenas": len(rig.arenas),
        "frames": wells.frames,
        "decided": len(found),
        "all_triggers_known": known,
        **shares,
        "emptied": without,
        "found_in_emptied": ghosts,
        **taken_ms,
    }

    print(f"{figures['arenas']} arenas, {wells.name}, {wells.frames} frames")
    print(f"decided                    {len(found)} frames")
    print(f"found                      {shares['found']:.3%} of positions")
    print(f"in their own arena         {shares['in_own_arena']:.3%} of those found")
    print(f"the script found           {shares['script_found']:.3%}")
    print(f"within {NEAR_PX:g} px of the script  {shares['near_script']:.3%} of both")
    print(f"distance to the script     {shares['median_px']:.2f} px (median)")
    if wells.truth is not None:
        print(
            f"error                      {shares['median_error_px']:.2f} px (median), "
            f"{shares['most_error_px']:.2f} px (largest)"
        )
    print(f"found in {without} emptied wells  {ghosts} times")
    for name in ("detector", "loop"):
        mean, p99 = taken_ms[f"{name}_mean_ms"], taken_ms[f"{name}_p99_ms"]
        print(
            f"{name:<27}{mean:.1f} ms (mean), {p99:.1f} ms (p99) of one core per frame"
        )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1), "utf-8")

    good = len(found) == wells.frames and shares["in_own_arena"] == 1 and not ghosts
    return 0 if good and shares["near_script"] >= SHARE_NEAR else 1


if __name__ == "__main__":
    sys.exit(main())
