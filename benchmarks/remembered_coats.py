"""Whether animals get the right names by the coats of another day, and whether alike ones get none.

Two kinds of simulated days. Coats alone: the grey levels along a body in the light of two days,
which differs in brightness, colour and offset, and from animal to animal by its place; coats
change by up to 10 %, and get dirty. Frames: simulated mice are tracked on a first day, and on
later days in other light, from other places. A name counts where an animal is not ambiguous.

    python benchmarks/remembered_coats.py --quick --json it.json
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.numerics.share_interval import wilson_interval
from deeplabstream.pose.tracking.identity_tracker import (
    IdentitySettings,
    IdentityTracker,
)
from deeplabstream.pose.tracking.remembered_coats import RememberedCoats
from deeplabstream.simulation.arena import Arena
from deeplabstream.simulation.mouse import COATS
from tests.pose.crowd import THRESHOLD, Crowd, owner_of, skeleton

Floats = NDArray[np.float64]
Random = np.random.Generator
SETS: dict[str, Callable[[Random], Any]] = {
    "black and white": lambda random: COATS[:2],
    "4 coats": lambda random: COATS,
    "any 4 colours": lambda random: random.uniform(30, 220, (4, 3)),
    "30 levels apart": lambda random: [(122, 120, 118), (150, 148, 146)],
    "4 alike": lambda random: np.array(COATS[0]) + random.normal(0, 6, (4, 3)),
}
"""Coats of animals, BGR, by their description."""
FADED = 0.1
"""Largest change of a coat itself, as a share."""
_QUARTILES = np.array([-8.0, 0.0, 8.0])[None, :, None]


def light(change: float, random: Random) -> Callable[[Floats], Floats]:
    """Return how features look in the light of a day that differs by `change` at most."""
    gain = random.uniform(1 - change, 1 + change)
    tint = np.tile(random.uniform(1 - 0.3 * change, 1 + 0.3 * change, 3), 3)
    offset = 60 * change * random.uniform(-1, 1)

    def seen(features: Floats) -> Floats:
        place = random.uniform(1 - 0.3 * change, 1 + 0.3 * change, (len(features), 1))
        noise = random.normal(0, 1.5, features.shape)
        return np.asarray(
            (features * gain * tint * place + offset + noise).clip(0, 255)
        )

    return seen


def coats_alone(name: str, change: float, days: int, seed: int) -> dict[str, Any]:
    """Return how many animals got right, wrong and no names on other days."""
    random = np.random.default_rng(seed)
    counts: Counter[str] = Counter()
    for _ in range(days):
        coats = np.asarray(SETS[name](random), np.float64)
        features = (coats[:, None] + _QUARTILES).reshape(len(coats), -1)
        memory = RememberedCoats(light(change, random)(features))
        faded = random.uniform(1 - FADED, 1 + FADED, (len(coats), 1))
        later = features * faded + random.normal(0, 4, (len(coats), 1))
        order = random.permutation(len(coats))
        found = memory.recognise(light(change, random)(later)[order])
        for row, named in enumerate(found.names):
            sure = found.apart[named].sum() == len(coats) - 1
            right = order[row] == named
            counts["right" if right else "wrong"] += bool(sure)
            counts["unknown"] += not sure
    return {"coats": name, "light": change, **_shares(counts)}


def frames(alike: bool, days: int, count: int, seed: int) -> dict[str, Any]:
    """Return how many animals of tracked mice got right, wrong and no names."""
    random = np.random.default_rng(seed)
    animals = 2 if alike else 3
    first = IdentityTracker(skeleton(animals), THRESHOLD)
    owners = _names(first, seed, alike, count, lambda image: image)
    coats = [coat.features for coat in first.coats_now()]
    counts: Counter[str] = Counter()
    for day in range(1, days + 1):
        rules = IdentitySettings(first="tags")
        memory = RememberedCoats(coats)
        later = IdentityTracker(skeleton(animals), THRESHOLD, rules, coats=memory)
        bgr = random.uniform(0.85, 1.1) * random.uniform(0.97, 1.03, 3)
        slope = np.linspace(1, random.uniform(0.85, 1.0), 640)[None, :, None]

        def changed(image: Image, bgr: Floats = bgr, slope: Floats = slope) -> Image:
            return np.asarray((image * bgr * slope).clip(0, 255), np.uint8)

        given = _names(later, seed + day, alike, count, changed)
        for animal in range(animals):
            found = {owner for name, owner in given if name == animal}
            expected = {owner for name, owner in owners if name == animal}
            if not found:
                counts["unknown"] += 1
            else:
                counts["right" if found == expected else "wrong"] += 1
    kind = f"{animals} mice, {'alike' if alike else 'different'}"
    return {"coats": kind, "light": "frames", **_shares(counts)}


def _names(
    tracker: IdentityTracker,
    seed: int,
    alike: bool,
    count: int,
    light: Callable[[Image], Image],
) -> set[tuple[int, int]]:
    """Return names and the mice that had them while they were not ambiguous."""
    animals = len(tracker.skeleton.animals)
    arena = Arena((480, 640, 3), seed, shelter=False, animals=animals, alike=alike)
    found = set()
    for time_s, image, pose, whose in Crowd(arena, seed).frames(count):
        named = tracker.update(light(image), pose, time_s)
        for name, points in enumerate(named.points):
            owner = owner_of(points, pose, whose)
            if owner >= 0 and not named.identity[name]:
                found.add((name, owner))
    return found


def _shares(counts: Counter[str]) -> dict[str, Any]:
    asserted = counts["right"] + counts["wrong"]
    row: dict[str, Any] = {name: counts[name] for name in ("right", "wrong", "unknown")}
    row["asserted"] = asserted / counts.total()
    row["least_right"] = (
        wilson_interval(counts["right"], asserted)[0] if asserted else None
    )
    return row


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each kind of day."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few days, no frames")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(argv)
    days = 50 if options.quick else 2000

    print(
        "coats                light     asserted   wrong of asserted   right, at least"
    )
    rows = []
    for change in (0.1, 0.25):
        rows += [coats_alone(name, change, days, seed=1) for name in SETS]
    for row in rows:
        _print(row)
    for alike in () if options.quick else (False, True):
        rows.append(frames(alike, days=10, count=500, seed=3))
        _print(rows[-1])
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2), "utf-8")
    return 0


def _print(row: dict[str, Any]) -> None:
    change = row["light"] if isinstance(row["light"], str) else f"±{row['light']:.0%}"
    of = f"{row['wrong']} of {row['right'] + row['wrong']}"
    least = "-" if row["least_right"] is None else f"{row['least_right']:.4f}"
    print(
        f"{row['coats']:<20} {change:<9} {row['asserted']:>8.1%} {of:>19} {least:>17}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
