"""What triggers cost per frame: each kind, 1, 10 and 100 together, and what comes before."""

import argparse
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.core.pose import Pose, Skeleton, Thresholds
from deeplabstream.engine.behaviour_classifiers import open_classifiers
from deeplabstream.engine.loop import TriggerEvaluator
from deeplabstream.engine.pose_filtering import PoseFilter, pose_filter_of
from deeplabstream.settings.loading import parse

AIM_US = 100.0
"""For 10 triggers, all together."""
SKELETON = Skeleton(("snout", "leftear", "rightear", "neck", "spine", "tailbase"))
BODY = np.array([(30, 0), (18, -9), (18, 9), (12, 0), (-5, 0), (-25, 0)])
RIG = "[Camera top]\nKIND = SimulatedCamera\n"
BEHAVIOURS = Path(__file__).resolve().parents[1] / "models" / "arena_behaviours"
KINDS = {
    "InsideRegion": "BODYPARTS = snout\nREGION = circle 320 240 100",
    "InsideRegion, polygon": "KIND = InsideRegion\nBODYPARTS = snout\n"
    "REGION = polygon 100 100 300 90 350 200 250 350 80 300",
    "InsideRegion, margins": "KIND = InsideRegion\nBODYPARTS = snout, tailbase\n"
    "REGION = rectangle 200 150 200 150\nENTER_MARGIN = 5\nEXIT_MARGIN = 5",
    "OutsideRegion": "BODYPARTS = snout\nREGION = ring 320 240 50 150",
    "HeadDirection": "BODYPARTS = leftear, rightear, snout\nPOINT = 600, 240",
    "EgoHeadDirection": "BODYPARTS = tailbase, neck, snout",
    "Speed": "BODYPARTS = spine\nSPEED = 80",
    "MovingTowards": "BODYPARTS = spine\nPOINT = 600, 240",
    "Freezing": "BODYPARTS = snout, neck, tailbase",
    "LineCrossing": "BODYPARTS = spine\nLINE = 320, 0, 320, 480",
}


def settings_of(sections: list[str], tracking: str = "") -> str:
    """Return settings with these triggers."""
    triggers = [f"[Trigger t{n}]\n{words}\n" for n, words in enumerate(sections)]
    return RIG + tracking + "".join(triggers)


def words_of(name: str) -> str:
    """Return the section of a trigger."""
    words = KINDS[name]
    return words if words.startswith("KIND") else f"KIND = {name}\n{words}"


def poses(count: int) -> list[Pose]:
    """Return the poses of an animal that runs in circles, with a pixel of noise."""
    noise = np.random.default_rng(0).normal(0, 1, (count, len(BODY), 2))
    turn = np.arange(count) / 50
    axis = np.column_stack([-np.sin(turn), np.cos(turn)])
    side = np.column_stack([-axis[:, 1], axis[:, 0]])
    centre = (320, 240) + 120 * np.column_stack([np.cos(turn), np.sin(turn)])
    body = BODY[None, :, :1] * axis[:, None] + BODY[None, :, 1:] * side[:, None]
    points = (centre[:, None] + body + noise).astype(np.float32)
    sure = np.ones((1, len(BODY)), np.float32)
    return [Pose(SKELETON, each[None], sure) for each in points]


def cost_us(text: str, frames: list[Pose], repeats: int) -> dict[str, float]:
    """Return µs per frame: of `seeing`, and median and 99 % of asking all triggers."""
    settings = parse(text, Path())
    best: dict[str, float] = {}
    for _ in range(repeats):
        seeing = pose_filter_of(
            settings, Thresholds(0.5), open_classifiers(settings, SKELETON)
        )
        asking = TriggerEvaluator("top", 0.5, lambda kind, text: None)
        asking.begin(settings.new_triggers())
        for what, us in _timed(seeing, asking, frames).items():
            best[what] = min(best.get(what, np.inf), us)
    return best


def _timed(
    seeing: PoseFilter, asking: TriggerEvaluator, frames: list[Pose]
) -> dict[str, float]:
    seen_ns, asked_ns = [], []
    now: Callable[[], int] = perf_counter_ns
    for index, pose in enumerate(frames):
        time_s = index / 100
        start = now()
        sight = seeing.filter("top", pose, time_s)
        middle = now()
        asking.evaluate({}, "top", sight, time_s, too_old=False)
        asking.recent_answers(time_s)
        end = now()
        seen_ns.append(middle - start)
        asked_ns.append(end - middle)
    return {
        "seeing": float(np.median(seen_ns)) / 1e3,
        "median": float(np.median(asked_ns)) / 1e3,
        "p99": float(np.percentile(asked_ns, 99)) / 1e3,
    }


def main(argv: list[str]) -> int:
    """Return 0 when ten triggers cost no more than the aim, 1 when they do."""
    parser = argparse.ArgumentParser(prog="triggers.py", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer frames")
    parser.add_argument("--json", type=Path, help="write everything there")
    options = parser.parse_args(argv)
    frames, repeats = poses(300 if options.quick else 3000), 2 if options.quick else 5
    results: dict[str, dict[str, float]] = {}
    print(f"µs per frame, the best of {repeats} rounds of {len(frames)} frames")
    print(f"{'':34}  median     p99")
    every = [words_of(name) for name in KINDS]
    cases = {f"one {name}": [words_of(name)] for name in KINDS}
    cases |= {f"{n} of all kinds": (every * 10)[:n] for n in (1, 10, 100)}
    for name, sections in cases.items():
        results[name] = cost_us(settings_of(sections), frames, repeats)
        print(f"{name:34} {results[name]['median']:7.1f} {results[name]['p99']:7.1f}")
    gate = "[Tracking]\nMAX_SPEED = 3000\nHOLD_MS = 50\nBONES = snout - neck 5 40\n"
    before = {
        "before triggers: threshold": "",
        "before triggers: [Tracking]": gate,
        "before triggers: [Classifier]": f"[Classifier a]\nFOLDER = {BEHAVIOURS.as_posix()}\n",
    }
    for name, words in before.items():
        results[name] = cost_us(settings_of([], words), frames, repeats)
        print(f"{name:34} {results[name]['seeing']:7.1f}")
    ten = results["10 of all kinds"]["median"]
    print(f"10 triggers: {ten:.0f} µs, {ten / AIM_US:.0%} of the {AIM_US:.0f} aimed at")
    if options.json:
        about = {"python": platform.python_version(), "machine": platform.machine()}
        words = json.dumps({"about": about, "microseconds": results}, indent=2)
        options.json.write_text(words + "\n", encoding="utf-8")
    return int(ten > AIM_US)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
