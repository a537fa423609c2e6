"""Points in space of simulated cameras: error, rears found, a lost view, a turned camera, time.

    python benchmarks/space.py              10 minutes of a body before three cameras
    python benchmarks/space.py --network    with images and the shipped network
    python benchmarks/space.py --quick      20 s, without a network
    python benchmarks/space.py --turned     only the turned camera and the false alarms
    python benchmarks/space.py --json FILE

Three cameras of 640×480 at 30/s. Positions are those of the body with noise of 1 px, or found
by the network in painted images. Rears are moments with the nose above 40 mm; the first frames,
from which the cameras' period is learned, do not count. The time is CPU time of matching and
triangulation, for a whole moment.

A camera is turned by 0.5° after 30 s or after 90 s, each camera with several seeds. False alarms
are counted in 24 hours of three cameras that stay, 20 points in each second, with normal noise
and with Student's noise of 3 degrees of freedom that lasts for a second in half of its variance.
"""

import argparse
import json
import sys
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

CAMERAS = ("left", "right", "front")
RATE = 30
HEIGHT_MM = 40.0
LEARNED = 5
"""Moments at the start that do not count."""
AIM_MM, AIM_F1, AIM_P50_MS, AIM_P999_MS = 2.0, 0.98, 0.5, 3.0

TURNED_DEG, AIM_NAMED_S = 0.5, 10.0
BLOCK_MOMENTS = 4
"""Moments of each simulated second in which false alarms are counted."""

Floats = NDArray[np.float64]


class Views:
    """What the cameras see: the truth with noise, or what the network finds."""

    def __init__(self, noise_px: float, with_network: bool, seed: int = 0) -> None:
        from deeplabstream.pose.model.model_opening import open_estimator
        from deeplabstream.simulation.space_arena import (
            BODY,
            BodyWalk,
            CameraPainter,
            simulated_camera,
        )

        self.skeleton = BODY
        self.walk = BodyWalk(seed)
        self.cameras = {name: simulated_camera(name) for name in CAMERAS}
        self._noise_px = noise_px
        self._rng = np.random.default_rng(seed)
        self._network = open_estimator("models/space_arena") if with_network else None
        self._painters = {
            name: CameraPainter(camera) for name, camera in self.cameras.items()
        }

    def poses(self, time_s: float, number: int) -> dict[str, Any]:
        """Return the pose of each camera; below the network's threshold it is NaN."""
        from deeplabstream.core.pose import Pose

        body = self.walk.at(time_s)
        if self._network is not None:
            images = []
            for name in CAMERAS:
                image = np.empty(self.cameras[name].size, np.uint8)
                self._painters[name].paint(image, body, number)
                images.append(image)
            found = self._network.estimate(images, CAMERAS)
            seen = [pose.seen(self._network.threshold) for pose in found]
            return dict(zip(CAMERAS, seen, strict=True))

        poses = {}
        for name, camera in self.cameras.items():
            pixels = camera.project(body.points)
            pixels += self._rng.normal(0, self._noise_px, pixels.shape)
            sure = np.full((1, len(pixels)), 0.9, np.float32)
            poses[name] = Pose(self.skeleton, pixels[None].astype(np.float32), sure)
        return poses


def measured(views: Views, seconds: float, lost: str = "") -> dict[str, Any]:
    """Return the figures of a walk; `lost`: a camera that gives nothing in the second half."""
    from deeplabstream.engine.space_tracking import SpaceTracker
    from deeplabstream.settings.space_section import Space
    from deeplabstream.simulation.space_arena import simulated_cameras
    from experiments.triggers.space_triggers import AboveHeight

    tracker = SpaceTracker(simulated_cameras().select(CAMERAS), Space())
    trigger = AboveHeight(bodyparts=("nose",), height_mm=HEIGHT_MM)
    errors: list[Floats] = []
    times_ms, answers, truths = list[float](), list[bool | None](), list[bool]()
    decided: list[float] = []
    count = round(seconds * RATE)
    for number in range(count):
        time_ns = number * 10**9 // RATE
        poses = views.poses(time_ns / 1e9, number)
        present = [it for it in CAMERAS if it != lost or number < count // 2]
        began_s = thread_time()
        ended = [
            tracker.add(name, poses[name], number, time_ns, too_old=False)
            for name in present
        ]
        times_ms.append(1e3 * (thread_time() - began_s))

        for moment in ended:
            if moment is None:
                continue
            truth = views.walk.at(moment.pose.time_ns / 1e9).points
            answer = trigger.answer(moment.pose, moment.pose.time_ns / 1e9)
            decided.append(1e3 * (time_ns - moment.pose.time_ns) / 1e9)
            if number >= LEARNED:
                errors.append(np.linalg.norm(moment.pose.points - truth, axis=1))
                answers.append(answer)
                truths.append(bool(truth[0, 2] > HEIGHT_MM))

    found, flat = np.array(errors), np.concatenate(errors)
    known = flat[np.isfinite(flat)]
    right = sum(a is True and t for a, t in zip(answers, truths, strict=True))
    wrong = sum(a is True and not t for a, t in zip(answers, truths, strict=True))
    missed = sum(a is False and t for a, t in zip(answers, truths, strict=True))
    return {
        "moments": len(found),
        "known": float(np.isfinite(found).mean()),
        "p50_mm": float(np.median(known)),
        "p95_mm": float(np.percentile(known, 95)),
        "f1": 2 * right / max(1, 2 * right + wrong + missed),
        "rear_unknown": sum(answer is None for answer in answers) / len(answers),
        "latest_ms": max(decided),
        "p50_ms": float(np.median(times_ms)),
        "p999_ms": float(np.percentile(times_ms, 99.9)),
    }


def turned_cameras(seeds: int) -> dict[str, Any]:
    """Return after how many seconds turned cameras were named, and how many wrongly."""
    from deeplabstream.simulation.space_arena import (
        BodyWalk,
        simulated_cameras,
        turned,
    )
    from deeplabstream.space.calibration_monitor import CalibrationMonitor

    group = simulated_cameras().select(CAMERAS)
    named_s, wrong, missed = list[float](), 0, 0
    for seed in range(seeds):
        walk, rng = BodyWalk(seed), np.random.default_rng(seed)
        for name in CAMERAS:
            at_s = (30, 90)[seed % 2]
            sign = (1, -1)[seed // 2 % 2]
            monitor = CalibrationMonitor(group)
            for number in range((at_s + 30) * RATE):
                points = walk.at(number / RATE).points
                views = [
                    turned(it, sign * TURNED_DEG)
                    if it.name == name and number >= at_s * RATE
                    else it
                    for it in group.cameras
                ]
                pixels = np.stack([it.project(points) for it in views])
                pixels += rng.normal(0, 1, pixels.shape)
                if monitor.add(pixels, number * 10**9 // RATE):
                    break
            late_s = number / RATE - at_s
            if not monitor.turned:
                missed += 1
            elif monitor.turned != (name,) or late_s < 0:
                wrong += 1
            else:
                named_s.append(late_s)
    return {
        "turned": seeds * len(CAMERAS),
        "missed": missed,
        "wrong": wrong,
        "median_s": float(np.median(named_s)) if named_s else None,
        "latest_s": max(named_s, default=None),
    }


def false_alarms(hours: float, heavy: bool, seed: int = 0) -> dict[str, Any]:
    """Return how often a camera that stays was named; the monitor starts again after each."""
    from deeplabstream.simulation.space_arena import BodyWalk, simulated_cameras
    from deeplabstream.space.calibration_monitor import CalibrationMonitor

    group = simulated_cameras().select(CAMERAS)
    walk, rng = BodyWalk(seed), np.random.default_rng(seed)
    seconds = min(3600, round(3600 * hours))
    times_s = np.arange(seconds * BLOCK_MOMENTS) / BLOCK_MOMENTS
    points = np.stack([walk.at(float(it)).points for it in times_s])
    shown = np.stack([it.project(points) for it in group.cameras])
    shown = shown.reshape(len(group), seconds, BLOCK_MOMENTS, -1, 2)

    monitor, alarms = CalibrationMonitor(group), 0
    for _ in range(round(hours * 3600 / seconds)):
        # the same hour with other noise: computing the walk takes longer than all else
        if heavy:
            lasting = rng.standard_t(3, (*shown.shape[:2], 1, *shown.shape[3:]))
            noise = np.sqrt(0.5) * (lasting + rng.standard_t(3, shown.shape))
        else:
            noise = rng.normal(0, 1, shown.shape)
        blocks = (shown + noise).reshape(len(group), seconds, -1, 2)
        for first in range(0, seconds, 60):
            alarms += _alarms(monitor, blocks[:, first : first + 60])
    return {"hours": hours, "alarms": alarms}


def _alarms(monitor: Any, blocks: Floats) -> int:
    """Return the number of alarms in blocks (camera, block, point, 2), computed together."""
    from deeplabstream.space.calibration_monitor import (
        Turns,
        epipolar_errors,
        expected_errors,
        turns,
    )

    alarms = 0
    if (usual := monitor.usual) is None:
        for number in range(blocks.shape[1]):
            if monitor.add_block(blocks[:, number]):
                alarms += 1
                monitor.reset()
        return alarms

    errors, slopes = epipolar_errors(monitor.cameras, blocks)
    whole = turns(errors, slopes)
    since = turns(errors - expected_errors(slopes, usual), slopes)
    for number in range(blocks.shape[1]):
        pair = [
            Turns(it.degrees[number], it.explained[number]) for it in (whole, since)
        ]
        if monitor.add_turns(*pair):
            monitor.reset()
            return 1  # what is left of the minute was computed with the old usual turns
    return alarms


def watch(quick: bool) -> dict[str, Any]:
    """Print and return the figures of turned cameras and of false alarms."""
    row = turned_cameras(1 if quick else 8)
    print(
        f"turned by {TURNED_DEG:g}°: {row['turned']} cameras, named after "
        f"{row['median_s']} s (median), {row['latest_s']} s (latest); "
        f"{row['missed']} missed, {row['wrong']} wrong; aim: {AIM_NAMED_S:g} s",
        flush=True,
    )
    found = {"turned": row}
    for label, heavy in (("normal", False), ("heavy-tailed", True)):
        row = found[f"false alarms, {label}"] = false_alarms(
            0.05 if quick else 24, heavy
        )
        print(
            f"false alarms in {row['hours']:g} simulated hours, {label} noise: "
            f"{row['alarms']}; aim: at most 1 in 24 hours",
            flush=True,
        )
    return found


def main(argv: list[str] | None = None) -> int:
    """Return 1 when an aim of accuracy is missed."""
    parser = argparse.ArgumentParser(description="points in space of simulated cameras")
    parser.add_argument("--quick", action="store_true", help="20 s of a body")
    parser.add_argument(
        "--network", action="store_true", help="painted images, the shipped network"
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="of the body")
    parser.add_argument(
        "--turned", action="store_true", help="only turned cameras and false alarms"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    options = parser.parse_args(argv)
    seconds = 20.0 if options.quick else options.seconds

    found = watch(options.quick)
    named = found["turned"]
    fails = bool(named["missed"] or named["wrong"])
    fails |= (named["latest_s"] or 0) > AIM_NAMED_S
    if options.turned:
        if options.json is not None:
            options.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
        return int(fails)
    print(
        "views          known  error mm p50/p95     F1  unknown  waited ms  ms p50/p99.9"
    )
    for label, lost in (("three", ""), ("one is lost", "front")):
        views = Views(1.0, options.network)
        row = found[label] = measured(views, seconds, lost)
        print(
            f"{label:12} {row['known']:7.1%}  {row['p50_mm']:8.2f} / {row['p95_mm']:5.2f} "
            f"{row['f1']:7.4f} {row['rear_unknown']:8.2%} {row['latest_ms']:10.0f}  "
            f"{row['p50_ms']:.2f} / {row['p999_ms']:.2f}",
            flush=True,
        )
    print(
        f"aims: p95 at most {AIM_MM:g} mm, F1 at least {AIM_F1:g}, {AIM_P50_MS:g} and "
        f"{AIM_P999_MS:g} ms"
    )
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    whole = found["three"]
    return int(fails or whole["p95_mm"] > AIM_MM or whole["f1"] < AIM_F1)


if __name__ == "__main__":
    sys.exit(main())
