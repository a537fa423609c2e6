"""Whether animals get the right names by their traits on another day, and alike ones none.

Traits alone: what is seen on two days of coats, of tail marks and of bodies. The light differs in
brightness, colour and offset, and from animal to animal by its place; coats and each mark change
by up to 10 %, or as the light does, marks lie up to 2 % of the body's length elsewhere, and each
animal grows by up to 6 %; noise is that of the median of ten views in frames. Frames: simulated
mice are tracked on a first day, and on later days in other light, from other places, with other
contrast of the marks; on the first day, a user confirms names as often as they become ambiguous.
For lengths alone frames are black. A name counts where an animal is not ambiguous.

    python benchmarks/remembered_animals.py --quick --json it.json
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.numerics.share_interval import wilson_interval
from deeplabstream.pose.tracking.identity_evidence import Traits
from deeplabstream.pose.tracking.identity_tracker import (
    IdentitySettings,
    IdentityTracker,
)
from deeplabstream.pose.tracking.remembered_animals import RememberedAnimals
from deeplabstream.pose.tracking.tail_marks import LENGTH, SEGMENTS
from deeplabstream.simulation.arena import Arena
from deeplabstream.simulation.mouse import COATS
from tests.pose.crowd import THRESHOLD, Crowd, owner_of, skeleton

Floats = NDArray[np.float64]
Random = np.random.Generator
Light = Callable[[Floats], Floats]
Days = Callable[[str, float, Random], tuple[list[Traits], list[Traits]]]
"""Returns the traits of animals on two days: by their description, and the change."""
COAT_SETS: dict[str, Callable[[Random], Any]] = {
    "black and white": lambda random: COATS[:2],
    "4 coats": lambda random: COATS,
    "any 4 colours": lambda random: random.uniform(30, 220, (4, 3)),
    "30 levels apart": lambda random: [(122, 120, 118), (150, 148, 146)],
    "4 alike": lambda random: np.array(COATS[0]) + random.normal(0, 6, (4, 3)),
}
"""Coats of animals, BGR, by their description."""
BAND_SETS: dict[str, Callable[[Random], list[list[float]]]] = {
    "no band and one": lambda random: [[], [0.14]],
    "0 to 3 bands": lambda random: [_bands(count) for count in range(4)],
    "a band at 4 places": lambda random: [[0.1], [0.27], [0.44], [0.61]],
    "bands 5 % apart": lambda random: [[0.14], [0.19]],
    "4 with 2 bands": lambda random: [_bands(2)] * 4,
    "4 without bands": lambda random: [[]] * 4,
}
"""Places of bands on tails, in lengths of the body behind its end, by their description."""
LENGTH_SETS: dict[str, Sequence[float]] = {
    "lengths 1, 1.1": (1.0, 1.1),
    "lengths 1, 1.2": (1.0, 1.2),
    "lengths 1, 1.3": (1.0, 1.3),
    "lengths 1, 1.2, 1.44": (1.0, 1.2, 1.44),
    "4 of one length": (1.0,) * 4,
}
"""Lengths of animals in the earlier run, by their description."""
FADED = 0.1
"""Largest change of a coat itself, as a share."""
GROWTH = 0.06
"""Largest growth of one animal between two days."""
LENGTH_NOISE = 0.015
"""Standard deviation of the length of an animal between two runs, by its posture."""
MARK_NOISE = 0.04
"""Standard deviation of the contrast of a segment, of the median of ten views."""
FIRST_DAY = 4000
"""Most frames of the first day; it ends when the traits of all animals are known."""
MOVED = 0.02
"""Largest displacement of the end of the body, in lengths of it."""
_QUARTILES = np.array([-8.0, 0.0, 8.0])[None, :, None]
_FLOOR, _SKIN, _INK = (164, 173, 176), (138, 132, 178), (30, 28, 30)
_BAND, _EDGE = 0.093, 0.75
"""Length of a band; share of the tail's own colour in a pixel of it."""


def _bands(count: int) -> list[float]:
    """Return the places of bands as simulated mice have them."""
    return [(13.5 + 18 * band) / 97 for band in range(count)]


def light(change: float, random: Random) -> Light:
    """Return how features look in the light of a day that differs by `change` at most."""
    gain = random.uniform(1 - change, 1 + change)
    tint = random.uniform(1 - 0.3 * change, 1 + 0.3 * change, 3)
    offset = 60 * change * random.uniform(-1, 1)

    def seen(features: Floats) -> Floats:
        colours = np.tile(tint, features.shape[1] // 3)
        place = random.uniform(1 - 0.3 * change, 1 + 0.3 * change, (len(features), 1))
        return np.asarray((features * gain * colours * place + offset).clip(0, 255))

    return seen


def seen_coats(features: Floats, by: Light, random: Random) -> list[Traits]:
    """Return the traits of coats (animal, feature) on a day."""
    noisy = by(features) + random.normal(0, 1.5, features.shape)
    return [Traits(tuple(coat)) for coat in noisy.clip(0, 255).tolist()]


def coat_days(
    name: str, change: float, random: Random
) -> tuple[list[Traits], list[Traits]]:
    """Return the traits of animals with different coats on two days."""
    coats = np.asarray(COAT_SETS[name](random), np.float64)
    features = (coats[:, None] + _QUARTILES).reshape(len(coats), -1)
    first = seen_coats(features, light(change, random), random)
    faded = random.uniform(1 - FADED, 1 + FADED, (len(coats), 1))
    later = features * faded + random.normal(0, 4, (len(coats), 1))
    return first, seen_coats(later, light(change, random), random)


def seen_marks(
    places: Sequence[float], change: float, by: Light, random: Random
) -> tuple[float, ...]:
    """Return the contrast along a tail with bands on a day."""
    fine = (np.arange(8 * SEGMENTS) + 0.5) / (8 * SEGMENTS) * LENGTH
    moved = random.uniform(-MOVED, MOVED)
    tail = np.tile(np.array(_SKIN, np.float64), (len(fine), 1))
    for place in places:
        strength = random.uniform(1 - change, 1 + change)
        inked = np.abs(fine - place - moved) < _BAND / 2
        tail[inked] = np.add(_SKIN, strength * np.subtract(_INK, _SKIN)).clip(0)
    # a tail is two to five pixels wide: its pixels are also of the floor
    tail = _EDGE * tail + (1 - _EDGE) * np.array(_FLOOR)
    both = np.concatenate([np.tile(_FLOOR, len(fine)), tail.ravel()])
    floor, tail = by(both[None]).reshape(2, len(fine), 3)
    contrast = (floor - tail) / np.maximum(np.maximum(floor, tail), 1)
    means = contrast.reshape(SEGMENTS, 8, 3).mean(axis=1).ravel()
    return tuple((means + random.normal(0, MARK_NOISE, means.shape)).tolist())


def band_days(
    name: str, change: float, random: Random
) -> tuple[list[Traits], list[Traits]]:
    """Return the traits of black animals with bands on their tails on two days."""
    places = BAND_SETS[name](random)
    features = np.tile((np.array(COATS[0]) + _QUARTILES).ravel(), (len(places), 1))
    days = []
    for _ in range(2):
        by = light(change, random)
        coats = seen_coats(features, by, random)
        days.append(
            [
                Traits(it.coat, 0, seen_marks(bands, change, by, random))
                for it, bands in zip(coats, places, strict=True)
            ]
        )
    return days[0], days[1]


def length_days(
    name: str, change: float, random: Random
) -> tuple[list[Traits], list[Traits]]:
    """Return the traits of black animals of different lengths on two days."""
    lengths = 97 * np.array(LENGTH_SETS[name])
    features = np.tile((np.array(COATS[0]) + _QUARTILES).ravel(), (len(lengths), 1))
    days = []
    for grown in (0.0, GROWTH):
        coats = seen_coats(features, light(change, random), random)
        now = lengths * (1 + random.uniform(0, grown, len(lengths)))
        now *= np.exp(random.normal(0, LENGTH_NOISE, len(lengths)))
        # the camera was moved
        now *= random.uniform(1 - change, 1 + change)
        days.append(
            [
                Traits(it.coat, 0, (), length)
                for it, length in zip(coats, now.tolist(), strict=True)
            ]
        )
    return days[0], days[1]


def alone(
    of: Days,
    name: str,
    change: float,
    days: int,
    unseen: float = 0.0,
) -> dict[str, Any]:
    """Return how many animals got right, wrong and no names on other days.

    `unseen`: share of animals whose tail and length are not seen on the other day.
    """
    random = np.random.default_rng(1)
    counts: Counter[str] = Counter()
    for _ in range(days):
        first, later = of(name, change, random)
        later = [Traits(it.coat) if random.random() < unseen else it for it in later]
        order = random.permutation(len(first)).tolist()
        found = RememberedAnimals(first).recognise([later[n] for n in order])
        for row, named in enumerate(found.names):
            sure = found.apart[named].sum() == len(first) - 1
            right = order[row] == named
            counts["right" if right else "wrong"] += bool(sure)
            counts["unknown"] += not sure
    unseen_text = f", {unseen:.0%} unseen" if unseen else ""
    return {"animals": name + unseen_text, "light": change, **_shares(counts)}


@dataclass(frozen=True, eq=False)
class LongAndShort(Arena):
    """An arena whose animals differ in length."""

    lengths: tuple[float, ...] = ()

    def truth(self, time_s: float) -> NDArray[np.float32]:
        """Return the body parts, each animal's scaled from its snout on."""
        points = super().truth(time_s)
        snout = points[:, :1]
        scale = np.array(self.lengths, np.float32)[:, None, None]
        return np.asarray(snout + scale * (points - snout))


FRAMES: dict[str, dict[str, Any]] = {
    "3 coats": {"animals": 3, "alike": False},
    "2 mice, 0 and 1 band": {"animals": 2, "bands": True},
    "lengths 1, 1.25": {"animals": 2, "lengths": (1.0, 1.25)},
    "2 alike": {"animals": 2},
}
"""Simulated mice, by their description."""


def frames(
    name: str, change: float, days: int, count: int = 400, seed: int = 3
) -> dict[str, Any]:
    """Return how many animals of tracked mice got right, wrong and no names."""
    random = np.random.default_rng(seed)
    kind = FRAMES[name]
    animals = kind["animals"]
    rules = IdentitySettings(remember=True)
    first = IdentityTracker(skeleton(animals), THRESHOLD, rules)
    owners = _names(first, kind, seed, FIRST_DAY, lambda image: image, confirms=True)
    expected = {named: owner for (named, owner), _ in reversed(owners.most_common())}
    memory = RememberedAnimals(first.traits_now())
    counts: Counter[str] = Counter()
    for day in range(1, days + 1):
        rules = IdentitySettings(first="tags")
        later = IdentityTracker(skeleton(animals), THRESHOLD, rules, remembered=memory)
        bgr = random.uniform(1 - change, 1 + change) * random.uniform(
            1 - 0.3 * change, 1 + 0.3 * change, 3
        )
        slope = np.linspace(1, random.uniform(1 - 0.5 * change, 1), 640)[None, :, None]

        def changed(image: Image, bgr: Floats = bgr, slope: Floats = slope) -> Image:
            return np.asarray((image * bgr * slope).clip(0, 255), np.uint8)

        fading = random.uniform(-change, change) if kind.get("bands") else 0.0
        grown = random.uniform(1, 1 + GROWTH, animals)
        today = {**kind, "fading": fading}
        if "lengths" in kind:
            today["lengths"] = tuple(grown * kind["lengths"])
        given = _names(later, today, seed + day, count, changed)
        for animal in range(animals):
            found = {owner for named, owner in given if named == animal}
            if not found:
                counts["unknown"] += 1
            else:
                counts["right" if found == {expected[animal]} else "wrong"] += 1
    return {"animals": name, "light": change, "frames": True, **_shares(counts)}


def _names(
    tracker: IdentityTracker,
    kind: dict[str, Any],
    seed: int,
    count: int,
    light: Callable[[Image], Image],
    confirms: bool = False,
) -> Counter[tuple[int, int]]:
    """Return names and the mice that had them while they were not ambiguous.

    `confirms`: whether a user corrects and confirms names that became ambiguous.
    """
    cls = LongAndShort if "lengths" in kind else Arena
    arena = cls((480, 640, 3), seed, shelter=False, **kind)
    crowd = Crowd(arena, seed, draws="lengths" not in kind)
    given: Counter[tuple[int, int]] = Counter()
    first: list[int] = []
    for index, (time_s, image, pose, whose) in enumerate(crowd.frames(count)):
        known = tracker.traits_now() if confirms and index % 15 == 0 else ()
        if known and all(
            it.length_px and (it.marks or not crowd.draws) for it in known
        ):
            break
        named = tracker.update(light(image), pose, time_s)
        now = [owner_of(points, pose, whose) for points in named.points]
        for name, owner in enumerate(now):
            if owner >= 0 and not named.identity[name]:
                given[name, owner] += 1
        if not confirms or index % 15 or min(now) < 0:
            continue
        if not first and not any(named.identity):
            first = now
        if first and any(map(named.is_ambiguous, range(len(now)))):
            for name, owner in enumerate(first):
                if now[name] != owner:
                    other = now.index(owner)
                    tracker.apply_user_correction((name, other))
                    now[name], now[other] = now[other], now[name]
            tracker.apply_user_correction()
    return given


def _shares(counts: Counter[str]) -> dict[str, Any]:
    asserted = counts["right"] + counts["wrong"]
    row: dict[str, Any] = {name: counts[name] for name in ("right", "wrong", "unknown")}
    row["asserted"] = asserted / counts.total()
    row["least_right"] = (
        wilson_interval(counts["right"], asserted)[0] if asserted else None
    )
    return row


def measured(days: int, in_frames: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each kind of animals and day."""
    for change in (0.1, 0.25):
        for name in COAT_SETS:
            yield alone(coat_days, name, change, days)
        for name in BAND_SETS:
            yield alone(band_days, name, change, days)
        yield alone(band_days, "0 to 3 bands", change, days, unseen=0.5)
        for name in LENGTH_SETS:
            yield alone(length_days, name, change, days)
    for change in (0.1, 0.25) if in_frames else ():
        for name in FRAMES:
            yield frames(name, change, in_frames)


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each kind of day."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few days, no frames")
    parser.add_argument("--days", type=int, default=1000, help="of each kind")
    parser.add_argument("--in-frames", type=int, default=4, help="days of these")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(argv)

    print(
        "animals                    light      asserted   wrong of asserted   right, at least"
    )
    rows = []
    days, in_frames = (50, 0) if options.quick else (options.days, options.in_frames)
    for row in measured(days, in_frames):
        rows.append(row)
        _print(row)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2), "utf-8")
    return 0


def _print(row: dict[str, Any]) -> None:
    change = f"±{row['light']:.0%}" + (" frames" if "frames" in row else "")
    of = f"{row['wrong']} of {row['right'] + row['wrong']}"
    least = "-" if row["least_right"] is None else f"{row['least_right']:.4f}"
    print(
        f"{row['animals']:<26} {change:<12} {row['asserted']:>6.1%} {of:>19} {least:>17}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
