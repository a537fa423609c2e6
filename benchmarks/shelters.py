"""Whether four animals keep their names through a shelter, distinct ones and ones alike.

Simulated mice walk through each other and into a shelter, found as in `identity.py`. Their
appearance is not drawn: each has a mean vector of eight features in grey levels, such as the
brightness of bands on its back. A view adds noise of 12 grey levels that grows as less of the
body is clear, an error of 8 grey levels that lasts about 2 s (light, posture), and in one of 50
views the appearance of another animal. Distinct animals differ by 90 grey levels in at least
half of the features; animals alike by about 7 in each. With `--images` the appearance is read
from images, of mice with four coats or of black ones.

A walk lasts 2 min; 20 s are enough for which pairs are said to be alike. That is looked at each
half second after the names, and stated of the moment 10 s after them.
All figures begin when all have their first names. Found: detections of one
animal alone. Asserted: found, and neither ambiguous nor a stray; an animal that is hidden, in
the shelter or not detected, is neither found nor asserted, known or not. Renamed: the first name
that was asserted within 2 s after an animal came out of the shelter is right; animals that went
in again within 2 s are not counted. No aim is checked.

The second table says why animals that were found were not asserted: a stray; fewer than two
points, as in a door; no view of enough of the body, because others are upon it or one is hidden
beside it; or a view that was not decisive yet.

Every tenth walk prints the figures of all so far, and the JSON file has those of all: an
interruption loses nothing.

    python benchmarks/shelters.py --quick --json it.json
    python benchmarks/shelters.py --seconds 20 --frames 12000
    python benchmarks/shelters.py --seconds 20 --frames 48000 --images --only distinct
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.core.regions import parse_region
from deeplabstream.pose.tracking.appearance_model import AppearanceModel, line_points
from deeplabstream.pose.tracking.detections import ClearView, Detections
from deeplabstream.pose.tracking.identity_evidence import Array, Mask
from deeplabstream.pose.tracking.identity_tracker import IdentityTracker
from deeplabstream.pose.tracking.shelters import Shelter
from deeplabstream.simulation.arena import ARENA_SKELETON, Arena
from tests.pose.crowd import THRESHOLD, Crowd, skeleton

ANIMALS, SHAPE, RATE = 4, (480, 640), 30
IMAGE_SHAPE = 240, 320, 3
WALK = 120 * RATE
"""Frames of a walk: about a lap, which then repeats."""
SHOWN = 10
"""Walks after which the figures so far are printed."""
SAID_S = 10.0
"""Time after the first names at which those who look alike should be known."""
LOOKED_S = 0.5
"""Interval at which it is looked at who is said to look alike; samples take as long."""
INSIDE_S, RENAMED_S = 0.5, 2.0
BANDS = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0],
        [0, 0, 1, 1, 1, 1, 0, 0],
        [1, 0, 1, 0, 1, 0, 1, 0],
    ]
)
"""(animal, feature): which band is white; two animals differ in four."""
CONTRAST, NOISE, LASTING, LASTS_S, ALIKE = 90.0, 12.0, 8.0, 2.0, 5.0
MISTAKEN = 0.02
"""Share of views that show another animal."""
POINTS = 15
"""Points along the body that are clear where no other animal is near."""


class DrawnFeatures(AppearanceModel):
    """The usual model on features that are drawn at random, not read from an image."""

    def __init__(self, alike: bool, seed: int) -> None:
        super().__init__(ANIMALS)
        self._random = np.random.default_rng(seed)
        shape = BANDS.shape
        self._true: Array = CONTRAST * BANDS
        if alike:
            self._true = self._random.normal(0, ALIKE, shape)
        self._lasting = self._random.normal(0, LASTING, shape)
        self._keeps = np.exp(-1 / (LASTS_S * RATE))
        self._rows: Array = np.zeros((0, 0, 2))
        self._whose: Sequence[int] = ()

    def show(self, pose: Pose, whose: Sequence[int]) -> None:
        """Take the animals of the next frame; `whose` each row of the pose is."""
        self._rows, self._whose = pose.points.astype(np.float64), whose
        new = self._random.normal(0, LASTING, self._lasting.shape)
        self._lasting *= self._keeps
        self._lasting += np.sqrt(1 - self._keeps**2) * new

    def view(self, image: Image, points: Array, seen: Mask, clear: Array) -> Array:
        """Return noisy features of the animal at these points; of two found as one, a mean."""
        del image, seen
        same = [np.array_equal(points, row, equal_nan=True) for row in self._rows]
        return self._draw(same.index(True), len(clear))

    def line_colours(self, image: Image, body: Array, clear: Mask) -> Array:
        """Return the same features as lines of one channel, for parts."""
        del image
        lines = [line_points(row, ARENA_SKELETON) for row in self._rows]
        same = [np.array_equal(body, line, equal_nan=True) for line in lines]
        return self._draw(same.index(True), int(clear.sum()))[:, None]

    def _draw(self, row: int, points: int) -> Array:
        """Return features (feature,) of a row of the pose, of which this many points are clear."""
        owner = self._whose[row]
        if self._random.random() < MISTAKEN:
            owner = int(self._random.integers(ANIMALS))
        shown = self._true + self._lasting
        mean = shown.mean(axis=0) if owner < 0 else shown[owner]
        noise = NOISE * np.sqrt(POINTS / max(1, points))
        return np.asarray(mean + self._random.normal(0, noise, mean.shape))


KINDS = {"distinct": False, "alike": True}
"""Kinds of animals: whether they look alike."""
REASONS = "stray", "few points", "no view", "undecided"
"""Why an animal was found but not asserted."""


@dataclass
class Watched(IdentityTracker):
    """A tracker that keeps why it did not assert the animals of the last frame."""

    reasons: dict[int, str] = field(init=False, default_factory=dict)
    """One of `REASONS`, by row of the pose that the network gave."""

    def _clear_views(
        self, image: Image, of: dict[int, int], detected: Detections, time_s: float
    ) -> dict[int, ClearView]:
        views = super()._clear_views(image, of, detected, time_s)
        few = detected.seen.sum(axis=1) < 2
        for detection, row in enumerate(detected.rows):
            if detection not in of.values():
                reason = "stray"
            elif few[detection]:
                reason = "few points"
            else:
                reason = "undecided" if detection in views else "no view"
            self.reasons[row] = reason
        return views


@dataclass
class Counts:
    """Counts over animals and frames, once all had their names."""

    frames: int = 0
    found: int = 0
    """Animals that were found, each in each frame."""
    asserted: int = 0
    right: int = 0
    """Asserted under their own name."""
    why: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    """Found and not asserted, by reason."""
    exits: int = 0
    """How often an animal came out of the shelter, and stayed outside for 2 s."""
    renamed: int = 0
    """After how many of these its first asserted name came within 2 s, and was right."""
    said_alike: int = 0
    """Pairs that were said to look alike `SAID_S` after the names."""
    undecided: int = 0
    """Pairs of which it was said that they may look alike."""
    unlearned: int = 0
    """Animals of which it was said then that their appearance is not known yet."""
    walks: int = 0
    """Walks that were long enough for that."""
    walks_alike: int = 0
    """Those of them in which a pair was said to look alike at any time."""

    def add(self, stated: dict[int, bool | None]) -> None:
        """Add a frame: for each animal found whether its name was right; None: not asserted."""
        self.frames += 1
        self.found += len(stated)
        self.asserted += sum(right is not None for right in stated.values())
        self.right += sum(right is True for right in stated.values())

    def add_walk(self, other: "Counts") -> None:
        """Add the counts of another walk."""
        for name, count in vars(other).items():
            if name != "why":
                setattr(self, name, getattr(self, name) + count)
        for reason, count in other.why.items():
            self.why[reason] += count


class Exits:
    """Times at which animals came out of the shelter, and their first names afterwards."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._inside_since_s: dict[int, float] = {}
        self._out_since_s: dict[int, float] = {}
        self._first: dict[int, bool] = {}

    def add(self, time_s: float, visible: Mask, stated: dict[int, bool | None]) -> None:
        """Add a frame: which animals are not in the shelter; `stated`: see `Counts.add`."""
        for animal in range(ANIMALS):
            if not visible[animal]:
                self._inside_since_s.setdefault(animal, time_s)
                self._out_since_s.pop(animal, None)
                continue
            if time_s - self._inside_since_s.pop(animal, time_s) >= INSIDE_S:
                self._out_since_s[animal] = time_s
                self._first.pop(animal, None)
            if animal not in self._out_since_s:
                continue

            right = stated.get(animal)
            if right is not None:
                self._first.setdefault(animal, right)
            if time_s - self._out_since_s[animal] >= RENAMED_S:
                del self._out_since_s[animal]
                self._counts.exits += 1
                self._counts.renamed += self._first.pop(animal, False)


@dataclass(frozen=True, slots=True)
class Case:
    """One walk."""

    alike: bool
    seed: int
    frames: int
    images: bool = False
    """Whether the appearance is read from images."""


def walk(case: Case) -> Counts:
    """Return the counts of one walk."""
    alike, seed, counts = case.alike, case.seed, Counts()
    shape = IMAGE_SHAPE if case.images else SHAPE
    arena = Arena(shape, seed, animals=ANIMALS, alike=alike)
    left, top, right, bottom = arena.roof or (0, 0, 0, 0)
    nest = parse_region(f"rectangle {left} {top} {right - left} {bottom - top}")
    crowd = Crowd(arena, seed, rate=RATE, draws=case.images)
    features = None if case.images else DrawnFeatures(alike, seed)
    tracker = Watched(
        skeleton(ANIMALS), THRESHOLD, appearance=features, shelters=[Shelter(1, nest)]
    )
    names: dict[int, int] = {}
    exits, named_s, said = Exits(counts), 0.0, False
    looked_s, ever_alike = 0.0, False
    for time_s, image, raw, whose in crowd.frames(case.frames):
        if features is not None:
            features.show(raw, whose)
        pose = tracker.update(image, raw, time_s)
        stated = _stated(pose, raw, whose)
        if not names and len(stated) == ANIMALS and None not in stated.values():
            names = {owner: row for owner, row in stated.items() if row is not None}
            named_s = time_s
        if not names:
            continue
        visible = np.isfinite(arena.truth(time_s)[..., 0]).any(axis=1)
        verdicts = {
            owner: None if row is None else row == names[owner]
            for owner, row in stated.items()
        }
        counts.add(verdicts)
        for row, owner in enumerate(whose):
            if owner >= 0 and verdicts[owner] is None:
                counts.why[tracker.reasons[row]] += 1
        exits.add(time_s, visible, verdicts)
        if time_s - looked_s >= LOOKED_S:
            looked_s = time_s
            ever_alike |= bool(tracker.distinctness.alike)
        if not said and time_s - named_s >= SAID_S:
            said = True
            counts.walks += 1
            counts.said_alike += len(tracker.distinctness.alike)
            counts.undecided += len(tracker.distinctness.undecided)
            counts.unlearned += len(tracker.distinctness.unlearned)
    counts.walks_alike += said and ever_alike
    return counts


def _stated(pose: Pose, raw: Pose, whose: Sequence[int]) -> dict[int, int | None]:
    """Return, for each animal that was found, its row in the pose; None: not asserted."""
    stated: dict[int, int | None] = {owner: None for owner in whose if owner >= 0}
    for row, points in enumerate(pose.points):
        if np.isnan(points).all() or pose.identity[row].startswith(("doubt", "stray")):
            continue
        same = [np.array_equal(points, other, equal_nan=True) for other in raw.points]
        owner = whose[same.index(True)]
        if owner >= 0:
            stated[owner] = row
    return stated


def measure(cases: Sequence[Case], jobs: int) -> Iterator[dict[str, Any]]:
    """Yield the figures of all walks so far, after each walk."""
    counts, walked = Counts(), 0
    with _mapped(jobs) as mapped:
        for case, more in zip(cases, mapped(walk, cases), strict=True):
            counts.add_walk(more)
            walked += case.frames
            yield {"alike": case.alike, "walked": walked, **asdict(counts)}


@contextmanager
def _mapped(jobs: int) -> Iterator[Callable[..., Any]]:
    """Yield a `map` that uses so many processes."""
    if jobs == 1:
        yield map
        return
    with get_context("spawn").Pool(jobs) as pool:
        yield pool.imap


def _print_row(row: dict[str, Any]) -> None:
    wrong = row["asserted"] - row["right"]
    pairs = row["walks"] * ANIMALS * (ANIMALS - 1) // 2
    print(
        f"{'alike' if row['alike'] else 'distinct':<9} {row['frames']:>7} "
        f"{_share(row['right'], row['asserted']):>9} "
        f"{_share(row['asserted'], row['found']):>10} "
        f"{_share(wrong, row['found']):>10} "
        f"{row['renamed']:>7} of {row['exits']:<5} {row['said_alike']} of {pairs}, "
        f"{row['undecided']} may be; ever in {row['walks_alike']} of {row['walks']} walks",
        flush=True,
    )


def _share(part: int, of: int) -> str:
    return f"{part / of:.2%}" if of else "–"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one walk of each kind")
    parser.add_argument("--frames", type=int, help="of each kind (36000, quick: 3600)")
    parser.add_argument("--seconds", type=float, default=WALK / RATE, help="of a walk")
    parser.add_argument("--first-seed", type=int, default=0, help="of the walks")
    parser.add_argument("--only", choices=KINDS, help="one kind of animals")
    parser.add_argument(
        "--images", action="store_true", help="read the appearance from images"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    asked = parser.parse_args(argv)
    frames = asked.frames or (WALK if asked.quick else 10 * WALK)
    print("          frames   right of   asserted   wrong and   renamed     pairs said")
    print(
        "          counted  asserted   of found   unsaid      within 2 s  to be alike"
    )
    rows: list[dict[str, Any]] = []
    length = round(asked.seconds * RATE)
    for alike in [KINDS[asked.only]] if asked.only else KINDS.values():
        rows.append({})
        cases = [
            Case(alike, seed, min(length, frames - begun), asked.images)
            for seed, begun in enumerate(range(0, frames, length), asked.first_seed)
        ]
        for walks, row in enumerate(measure(cases, asked.jobs), 1):
            rows[-1] = row
            if asked.json:
                text = json.dumps(rows, indent=2) + "\n"
                asked.json.write_text(text, encoding="utf-8")
            if walks % SHOWN == 0 or row["walked"] == frames:
                _print_row(row)
    print(f"\nnot asserted{''.join(f'{reason:>12}' for reason in REASONS)}")
    for row in rows:
        shares = [_share(row["why"][reason], row["found"]) for reason in REASONS]
        kind = "alike" if row["alike"] else "distinct"
        print(f"{kind:<12}{''.join(f'{share:>12}' for share in shares)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
