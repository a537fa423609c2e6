"""Behaviours of two animals on simulated encounters: F1 of a trained classifier of pairs.

    python benchmarks/pair_behaviours.py [--quick] [--small FOLDER] [--noise PX] [--json FILE]

Three simulated animals follow, attack, approach and avoid one another by rules that differ from
encounter to encounter. A classifier is trained from the poses and acts of some encounters, and
tested on others, through the trigger with THRESHOLD = 0.5, for each actor and target. Following,
attacking and approaching are one behaviour here, pursuing: near the other animal the simulation
gives them the same speed. The truth is what the actor does at the middle of the classifier's
window: also while it stands at the other's side, or flees from an animal that is behind another.
F1 is of frames on which the trigger is true or false. `--small` writes a classifier of few
trees, such as models/arena_pairs, into a new folder and tests that.
"""

import sys
import tempfile
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from time import thread_time

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.support.pair_options import pair_parser, write_results
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.plugins.trigger import BehaviourName, TriggerContext, pair_name
from deeplabstream.pose.behaviour.classifier import (
    PairClassifier,
    directed_pairs,
    open_model,
)
from deeplabstream.pose.behaviour.pair_features import (
    pose_of_pair,
    scale_of_pair,
    usual_of_pair,
)
from deeplabstream.pose.behaviour.pose_features import FeatureSet
from deeplabstream.simulation.arena import ARENA_SKELETON, Arena
from deeplabstream.simulation.social_walk import VERBS, SocialRule
from deeplabstream.training.behaviour_classifier import (
    BehaviourInterval,
    Examples,
    examples,
    fit,
    joined,
    write_classifier,
)
from experiments.triggers.behaviour import PairBehaviour

ANIMALS = ("anna", "bob", "cara")
RATE = 30.0
NOISE_PX = 2.0
"""Standard deviation of each coordinate, unless --noise is given; a mouse has 97 px."""
RULES = 4
"""Number of rules of an encounter."""
WINDOW_S = 0.5
SMALL_EXAMPLES, SMALL_TREES = 4000, 8
"""Of `--small`."""
CHAIN = ("snout", "leftear", "tailbase")
NONE = "none"
LABELS = {
    "follows": "pursues",
    "attacks": "pursues",
    "approaches": "pursues",
    "avoids": "avoids",
}
BEHAVIOURS = ("pursues", "avoids")
SKELETON = Skeleton(ARENA_SKELETON.bodyparts, ARENA_SKELETON.edges, ANIMALS)
FEATURES = FeatureSet(
    usual_of_pair(SKELETON.bodyparts, CHAIN),
    WINDOW_S,
    rate=20.0,
    max_gap_s=0.2,
    of_pair=True,
    scale=scale_of_pair(CHAIN),
)


class Encounter:
    """Poses and acts of three animals for a while."""

    def __init__(self, seed: int, seconds: float, noise: float) -> None:
        rng = np.random.default_rng(seed)
        every = [
            SocialRule(actor, verb, target)
            for actor, target in permutations((1, 2, 3), 2)
            for verb in VERBS
        ]
        rules = tuple(every[n] for n in rng.choice(len(every), RULES, replace=False))
        self.arena = Arena((480, 640), seed, shelter=False, animals=3, social=rules)
        self.times = np.arange(0, seconds, 1 / RATE)
        self.poses = []
        for time_s in self.times.tolist():
            points = self.arena.truth(time_s)
            points = points + noise * rng.normal(0, 1, points.shape)
            sure = np.ones(points.shape[:2], np.float32)
            self.poses.append(Pose(SKELETON, points.astype(np.float32), sure))

    def behaviour(self, actor: int, target: int, time_s: float) -> str:
        """Return what an animal does to another at a time."""
        act = self.arena.acts(time_s)[actor]
        return LABELS[act.behaviour] if act.target == target + 1 else NONE

    def intervals(self, actor: int, target: int) -> Iterator[BehaviourInterval]:
        """Yield the behaviours of a pair, one after the other."""
        acts = [self.behaviour(actor, target, time_s) for time_s in self.times.tolist()]
        edges = [0, *(np.flatnonzero(np.array(acts[1:]) != np.array(acts[:-1])) + 1)]
        for first, last in zip(edges, [*edges[1:], len(acts)], strict=True):
            start_s = float(self.times[first])
            yield BehaviourInterval(start_s, float(last) / RATE, acts[first])

    def examples(self) -> Iterator[Examples]:
        """Yield the examples of each directed pair."""
        for actor, target in permutations(range(len(ANIMALS)), 2):
            poses = [pose_of_pair(pose, actor, target) for pose in self.poses]
            intervals = list(self.intervals(actor, target))
            yield examples(
                zip(self.times.tolist(), poses, strict=True), intervals, FEATURES
            )


def train(
    seeds: range, seconds: float, noise: float, into: Path, small: bool
) -> PairClassifier:
    """Return a classifier that was trained on encounters; `small`: a file of some 100 kB."""
    data = joined(
        [each for seed in seeds for each in Encounter(seed, seconds, noise).examples()]
    )
    about: dict[str, object] = {"encounters": len(seeds)}
    if small:
        drawn = np.random.default_rng(0).choice(
            len(data), min(len(data), SMALL_EXAMPLES), replace=False
        )
        data = Examples(
            data.numbers[drawn], data.behaviours[drawn], data.times_s[drawn]
        )
    about["learned from"] = len(data)
    model = fit(data, SMALL_TREES) if small else fit(data)
    classes = [str(name) for name in model.classes_]
    trial = data.numbers[:1000]
    folder = write_classifier(model, classes, FEATURES, into, about, trial)
    names = {
        pair: {name: BehaviourName(name, pair_name(*pair)).key for name in classes}
        for pair in directed_pairs(ANIMALS)
    }
    return PairClassifier(open_model(folder), names)


def test(
    classifier: PairClassifier, seeds: range, seconds: float, noise: float
) -> dict[str, dict[str, float]]:
    """Return counts and figures of each behaviour on encounters, and the time per frame."""
    counts = {
        behaviour: np.zeros(4, int) for behaviour in BEHAVIOURS
    }  # hits, wrong, missed, unknown
    frames, spent_s = 0, 0.0
    for seed in seeds:
        encounter = Encounter(seed, seconds, noise)
        classifier.reset()
        triggers = {
            (behaviour, actor, target): PairBehaviour(
                behaviour=behaviour, actor=ANIMALS[actor], target=ANIMALS[target]
            )
            for behaviour in BEHAVIOURS
            for actor, target in permutations(range(len(ANIMALS)), 2)
        }
        for time_s, pose in zip(encounter.times.tolist(), encounter.poses, strict=True):
            began_s = thread_time()
            behaviours = classifier.classify(pose, time_s)
            spent_s += thread_time() - began_s
            frames += 1
            context = TriggerContext(behaviours=behaviours, pose=pose)
            if time_s < WINDOW_S:
                continue
            for (behaviour, actor, target), trigger in triggers.items():
                answer = trigger.answer(context, time_s)
                middle_s = time_s - WINDOW_S / 2
                truth = encounter.behaviour(actor, target, middle_s) == behaviour
                counts[behaviour] += (
                    bool(answer) and truth,
                    bool(answer) and not truth,
                    answer is False and truth,
                    answer is None,
                )
    report: dict[str, dict[str, float]] = {}
    for behaviour, (hits, wrong, missed, unknown) in counts.items():
        report[behaviour] = {
            "frames": int(hits + missed),
            "precision": hits / max(1, hits + wrong),
            "recall": hits / max(1, hits + missed),
            "f1": 2 * hits / max(1, 2 * hits + wrong + missed),
            "unknown": int(unknown),
        }
    report["time"] = {"ms_per_frame": 1e3 * spent_s / max(1, frames)}
    return report


def main(argv: list[str]) -> int:
    """Print F1 of each behaviour."""
    parser = pair_parser(
        "pair_behaviours.py", "behaviours of two animals", NOISE_PX, "PX"
    )
    parser.add_argument(
        "--small",
        type=Path,
        metavar="FOLDER",
        help="write a small classifier into this new folder, and test that",
    )
    options = parser.parse_args(argv)
    count, seconds = (2, 30.0) if options.quick else (12, 60.0)
    print(f"trained on {count} encounters of {seconds:g} s, tested on {count} others")
    with tempfile.TemporaryDirectory() as folder:
        path, is_small = options.small or Path(folder) / "pairs", bool(options.small)
        classifier = train(range(count), seconds, options.noise, path, is_small)
        report = test(classifier, range(1000, 1000 + count), seconds, options.noise)
    for behaviour in BEHAVIOURS:
        of = report[behaviour]
        print(
            f"{behaviour}: F1 {of['f1']:.2f} (precision {of['precision']:.2f}, recall "
            f"{of['recall']:.2f}), {of['frames']} frames"
        )
    print(
        f"{report['time']['ms_per_frame']:.2f} ms of CPU time per frame for "
        f"{len(ANIMALS) * (len(ANIMALS) - 1)} pairs"
    )
    write_results(options.json, "behaviours", report)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
