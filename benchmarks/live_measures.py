"""What measures so far cost per frame, beside the whole loop without network and without them."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.triggers import SKELETON, poses
from deeplabstream.analysis.live_measures import LiveMeasures, measuring
from deeplabstream.core.clock import ManualClock
from deeplabstream.core.frame import Frame, Image
from deeplabstream.core.pose import Pose, Skeleton, Thresholds
from deeplabstream.engine.loop import Loop
from deeplabstream.engine.output_bank import opened
from deeplabstream.engine.pose_filtering import pose_filter_of
from deeplabstream.engine.pulse_timer import catch_up
from deeplabstream.settings.loading import parse
from deeplabstream.simulation.virtual_output import virtual_outputs

RIG = """
[Camera top]
KIND = SimulatedCamera
MM_PER_PIXEL = 0.5
[Experiment]
EXP_NAME = Conditional
[Experiment Conditional]
TRIGGER = left
OUTPUT = light
[Output light]
KIND = SimulatedOutput
[Trigger left]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 0 0 320 480
[Trigger right]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 320 0 320 480
"""
NO_FRAME: Image = np.zeros((1, 1), np.uint8)


@dataclass
class KnownPoses:
    """An estimator that takes no time."""

    pose: Pose
    skeleton: Skeleton = SKELETON
    threshold: float = 0.5
    provider: str = "known poses"
    sha256: str = ""

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        """Return the pose."""
        return [self.pose]


def loop_us(frames: Sequence[Pose], make: Callable[[], LiveMeasures] | None) -> float:
    """Return the median time of the loop for a frame, in µs."""
    settings, clock = parse(RIG, Path()), ManualClock()
    network, took_ns = KnownPoses(frames[0]), []
    with opened(virtual_outputs(settings.outputs), clock, lambda entry: None) as bank:
        loop = Loop(
            network,
            settings.experiment,
            "top",
            clock,
            lambda entry: None,
            0,
            pose_filter=pose_filter_of(settings, Thresholds(0.5)),
            measuring=make,
        )
        loop.begin(settings.new_experiment(), settings.new_triggers(), bank)
        for index, pose in enumerate(frames):
            time_ns = index * 10_000_000
            catch_up(bank, clock, time_ns)
            network.pose = pose
            start_ns = perf_counter_ns()
            loop.step(Frame("top", index, time_ns, time_ns, NO_FRAME))
            took_ns.append(perf_counter_ns() - start_ns)
    return float(np.median(took_ns)) / 1e3


def main(argv: list[str]) -> int:
    """Print the cost; one animal, two regions, mobility."""
    parser = argparse.ArgumentParser(prog="live_measures.py", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer frames")
    options = parser.parse_args(argv)
    frames, rounds = poses(300 if options.quick else 3000), 2 if options.quick else 7
    make = measuring(parse(RIG, Path()), SKELETON, Thresholds(0.5))
    without = min(loop_us(frames, None) for _ in range(rounds))
    with_them = min(loop_us(frames, make) for _ in range(rounds))
    more = with_them - without
    print(f"median of {len(frames)} frames, the best of {rounds} rounds")
    print(f"loop without network and without measures {without:7.1f} µs per frame")
    print(f"loop without network, with measures       {with_them:7.1f} µs per frame")
    print(f"measures                                  {more:7.1f} µs per frame")
    print(f"ratio: {more / without:.2f} of that loop")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
