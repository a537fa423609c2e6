"""Time that points in space add to the loop: the loop with and without [Space], side by side.

    python benchmarks/space_loop.py              10,000 moments of given poses, 2,000 with network
    python benchmarks/space_loop.py --quick      300 of given poses, 60 with network
    python benchmarks/space_loop.py --json FILE

Three simulated cameras of 640×480 at 30/s. Both loops get the same frames one after the other, in
changing order, and have network, triggers on the image, measures, experiment and a simulated
output. One also has [Space] with a calibration, its monitor of turned cameras, and a trigger on a
height, on which its experiment decides. The time is that from the three frames of a moment to the
last record of them, by the clock; the first moments, which teach the period, do not count. Given
poses are those of the body with noise of 1 px, so that the network's own variation hides nothing.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from deeplabstream.core.clock import ManualClock
    from deeplabstream.core.frame import Frame, Image
    from deeplabstream.core.pose import Pose
    from deeplabstream.engine.loop import Loop
    from deeplabstream.pose.estimator import PoseEstimator

CAMERAS = ("left", "right", "front")
RATE, LEARNED, DRAWN = 30, 30, 180
FIRST = 60
"""First frame of the walk that is drawn: soon before a rear."""
AIM_P50_MS, AIM_P999_MS = 0.5, 3.0

RIG = (
    "[Pose Estimation]\nMODEL = space_arena\n"
    + "".join(
        f"[Camera {name}]\nKIND = SimulatedSpaceCamera\nVIEW = {name}\n"
        f"[Trigger at_{name}]\nKIND = InsideRegion\nBODYPARTS = nose\n"
        f"REGION = circle 320 240 100\nCAMERA = {name}\n"
        for name in CAMERAS
    )
    + "[Output laser]\nKIND = SimulatedOutput\n"
    "[Experiment]\nEXP_NAME = light\n"
    "[Experiment light]\nKIND = Conditional\nOUTPUT = laser\nTRIGGER = {trigger}\n"
)
SPACE = (
    "[Space]\nCALIBRATION = models/space_arena/calibration.toml\n"
    "[Trigger rearing]\nKIND = AboveHeight\nBODYPARTS = nose\nHEIGHT_MM = 40\n"
)
RIGS = {
    "without": RIG.format(trigger="at_left"),
    "with space": RIG.format(trigger="rearing") + SPACE,
}


@dataclass
class GivenPoses:
    """Estimator that returns the poses of the present moment."""

    network: "PoseEstimator"
    poses: "Sequence[Pose]" = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

    def estimate(
        self, images: "Sequence[Image]", cameras: Sequence[str] = ()
    ) -> "list[Pose]":
        """Return the given poses, one for each image."""
        return list(self.poses)


def opened_loop(
    text: str, network: "PoseEstimator", clock: "ManualClock", resources: ExitStack
) -> "Loop":
    """Return the loop of a rig as the engine makes it, with its experiment running."""
    from deeplabstream.analysis.live_measures import measuring
    from deeplabstream.engine.loop import Loop
    from deeplabstream.engine.output_bank import opened
    from deeplabstream.engine.pose_filtering import pose_filter_of
    from deeplabstream.engine.space_tracking import space_tracker_of
    from deeplabstream.pose.per_camera import thresholds_of
    from deeplabstream.settings.loading import parse

    settings, thresholds = parse(text, ROOT), thresholds_of(network)
    bank = resources.enter_context(opened(settings.outputs, clock, lambda entry: None))
    loop = Loop(
        network,
        settings.experiment,
        settings.deciding_camera,
        clock,
        lambda entry: None,
        0,
        pose_filter=pose_filter_of(settings, thresholds, {}),
        measuring=measuring(settings, network.skeleton, thresholds),
        space=space_tracker_of(settings),
    )
    loop.begin(settings.new_experiments(), settings.new_triggers(), bank)
    return loop


def moments(count: int) -> "Iterator[tuple[int, list[Frame], list[Pose]]]":
    """Yield time, frames and noisy poses of each moment; images repeat after `DRAWN`."""
    from deeplabstream.core.frame import Frame
    from deeplabstream.core.pose import Pose
    from deeplabstream.simulation.space_arena import (
        BODY,
        BodyWalk,
        CameraPainter,
        simulated_camera,
    )

    walk, rng = BodyWalk(0), np.random.default_rng(0)
    cameras = {name: simulated_camera(name) for name in CAMERAS}
    painters = {name: CameraPainter(camera) for name, camera in cameras.items()}
    drawn = []
    for number in range(DRAWN):
        body = walk.at((FIRST + number) / RATE)
        images = {name: np.empty(cameras[name].size, np.uint8) for name in CAMERAS}
        for name, image in images.items():
            painters[name].paint(image, body, number)
        drawn.append((body, images))
    for number in range(1, count + 1):
        time_ns = number * 10**9 // RATE
        body, images = drawn[number % DRAWN]
        frames = [
            Frame(name, number, time_ns, time_ns, images[name]) for name in CAMERAS
        ]
        poses = []
        for camera in cameras.values():
            pixels = camera.project(body.points)
            pixels += rng.normal(0, 1, pixels.shape)
            sure = np.full((1, len(pixels)), 0.9, np.float32)
            poses.append(Pose(BODY, pixels[None].astype(np.float32), sure))
        yield time_ns, frames, poses


def measured(count: int, with_network: bool) -> dict[str, Any]:
    """Return the times of both loops for the same moments, and what space adds."""
    from deeplabstream.core.clock import ManualClock
    from deeplabstream.pose.model.model_opening import open_estimator

    clock, network = ManualClock(), open_estimator(ROOT / "models" / "space_arena")
    given = GivenPoses(network)
    used: Any = network if with_network else given
    times: dict[str, list[int]] = {name: [] for name in RIGS}
    answers = {"rearing": 0}
    with ExitStack() as resources:
        loops = {
            name: opened_loop(text, used, clock, resources)
            for name, text in RIGS.items()
        }
        for number, (time_ns, frames, poses) in enumerate(moments(count + LEARNED)):
            clock.set(time_ns)
            given.poses = poses
            order = list(loops)[:: 1 if number % 2 else -1]
            for name in order:
                began_ns = perf_counter_ns()
                steps = loops[name].process_batch(frames)
                took_ns = perf_counter_ns() - began_ns
                if number >= LEARNED:
                    times[name].append(took_ns)
                answers["rearing"] += any(
                    step.space_triggers.get("rearing") for step in steps
                )
        for loop in loops.values():
            loop.end()
    rows = {
        name: {
            "p50_ms": float(np.median(taken)) / 1e6,
            "p999_ms": float(np.percentile(taken, 99.9)) / 1e6,
            "max_ms": max(taken) / 1e6,
        }
        for name, taken in times.items()
    }
    added = {
        key: rows["with space"][key] - rows["without"][key]
        for key in ("p50_ms", "p999_ms")
    }
    return {
        "moments": count,
        "rearing_moments": answers["rearing"],
        **rows,
        "added": added,
    }


def main(argv: list[str] | None = None) -> int:
    """Return 1 when the body never reared: then nothing was decided in space."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few moments")
    parser.add_argument("--moments", type=int, default=10_000, help="of given poses")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    options = parser.parse_args(argv)
    count = 300 if options.quick else options.moments
    found = {}
    print("poses    moments  loop without  with space    added  (ms, p50 / p99.9)")
    for label, share in (("given", 1), ("network", 5)):
        row = found[label] = measured(count // share, label == "network")
        cells = [
            f"{row[name]['p50_ms']:.2f} / {row[name]['p999_ms']:.2f}"
            for name in (*RIGS, "added")
        ]
        print(f"{label:8} {row['moments']:7}  " + "   ".join(cells), flush=True)
    print(f"aims for what is added: {AIM_P50_MS:g} / {AIM_P999_MS:g}")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    return int(not all(row["rearing_moments"] for row in found.values()))


if __name__ == "__main__":
    sys.exit(main())
