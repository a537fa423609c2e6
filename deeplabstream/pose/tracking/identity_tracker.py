"""Identity tracker of several animals, also when they meet, hide and reappear.

A network gives animals in no order. Motion (`motion_model`) and assignment keep them
apart. Where a second assignment fits nearly as well, the identity is ambiguous until
the animals look different enough (`appearance_model`). Animals that looked like each
other all the time were exchanged, and are exchanged back; where motion was unambiguous,
their looks have to outweigh it.

Words of `Pose.identity`: empty: known. `doubt1`: ambiguous with all others of the same
number. `stray`: too far from the last position. In the frame in which an ambiguity
ends: `exchanged`: its points had another name since the ambiguity began (or, without
one, for some frames); `believed`: not resolved, but BELIEVE_AFTER_S are over;
`swapped`: a user exchanged the names; `confirmed`: a user confirmed them. Both may
follow another word: `doubt1+swapped`.
"""

from dataclasses import dataclass, field
from itertools import combinations
from math import dist
from typing import Literal

import numpy as np

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.numerics.assignment import assign
from deeplabstream.pose.tracking.appearance_model import ENOUGH, AppearanceModel
from deeplabstream.pose.tracking.detections import Detections, detections
from deeplabstream.pose.tracking.identity_ambiguity import IdentityAmbiguities
from deeplabstream.pose.tracking.motion_model import NEVER, Array, MotionModel

MARGIN = 10.0
"""Twice the log likelihood by which another assignment must be worse: odds of 150 to 1."""
FITS = 6.0
"""Twice the usual mean squared distance of points, in standard deviations."""
HIDDEN_S = 0.15
"""Seconds without a visible point, a length beside another animal, after which an
animal may reappear on another side."""
UPON = 0.3
"""The same at this many lengths: at once."""
COVERS = 0.6
"""Lengths between the centres of two animals at which one may cover the other."""
HALF = 0.5
"""Share of an animal that has to be clear of all others for its first name; afterwards
all of it."""
TOLD = 8.0
"""Difference of appearance that resolves identity, in squared standard deviations; animals
whose appearance differs less from each other's are alike: it never resolves theirs."""
NAMED_S = 1.5
"""Seconds of unambiguous motion after which animals that are never clear are named; as
many more for each clear view, as then there will be others."""
VIEWS = 5
"""Clear frames before appearance decides; twice as many without an ambiguity."""

RESTING = 3
"""Frames between two updates of appearance while all identities are known."""


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Settings of the identity tracker: order of the first names, time limit."""

    first: Literal["leftmost", "darkest"] = "leftmost"
    """Order of the first names, once all were apart for `ENOUGH` frames."""
    believe_after_s: float = 0.0
    """Seconds after which motion alone resolves an ambiguity; 0: never."""


@dataclass(slots=True)
class IdentityTracker:
    """The identity tracker of one camera. The same frames and poses give the same names."""

    skeleton: Skeleton
    """Skeleton with the names of all animals."""
    threshold: float
    rules: IdentitySettings = field(default_factory=IdentitySettings)

    _tracks: MotionModel = field(init=False)
    _looks: AppearanceModel = field(init=False)
    _doubts: IdentityAmbiguities = field(init=False)
    _corrections: dict[int, str] = field(init=False)
    """By animal: the user's correction since the last frame."""
    _views: Array = field(init=False)
    """(animal, feature): recent appearance."""
    _counts: list[int] = field(init=False)
    _margins: Array = field(init=False)
    """(animal, animal): the smallest margin of motion since they were last known."""
    _hidden: dict[tuple[int, int], tuple[int, list[float]]] = field(init=False)
    """By pair that is ambiguous only because one is not found: which one, and its last
    position (px)."""
    _unseen_since_s: list[float] = field(init=False)
    _apart_since_s: float = field(init=False)
    """Time since which all were found apart from each other, before they have names."""
    _named: bool = field(init=False)
    _frames: int = field(init=False)

    def __post_init__(self) -> None:
        animals = len(self.skeleton.animals)
        self._tracks = MotionModel(animals, len(self.skeleton.bodyparts))
        self._looks = AppearanceModel(animals)
        self._named, self._frames = False, 0
        self._doubts, self._corrections = IdentityAmbiguities(animals), {}
        self._views = np.zeros((animals, 0))
        self._counts = [0] * animals
        self._margins = np.full((animals, animals), np.inf)
        self._hidden = {}
        self._unseen_since_s = [np.inf] * animals
        self._apart_since_s = np.inf

    def update(self, image: Image, pose: Pose, time_s: float) -> Pose:
        """Update with one frame; return the pose with the animals in the order of names.

        Animals that were not found are NaN, with confidence 0. `time_s` must not go
        back.
        """
        tracks, found = self._tracks, detections(pose, self.threshold)
        tracks.measure(found.points, max(image.shape[:2]) / 12)
        tracks.advance(time_s)
        costs, misfits = tracks.costs(found.points, found.seen, found.middles)
        of = dict(assign(np.where(costs >= NEVER, np.inf, costs)))
        self._doubt_what_is_alike(costs, misfits, of, found, time_s)
        at = list(of.values())
        tracks.correct(list(of), found.points[at], found.seen[at], found.middles[at])
        views = dict[int, Array]()
        self._frames += 1
        if self._frames % RESTING == 0 or not self._named or self._doubts:
            animals = range(len(self._counts))
            hidden = [tracks.middles[n] for n in animals if n not in of]
            least = 1.0 if self._named else HALF
            views = found.clear_views(image, hidden, tracks.length, least)
        told: dict[int, str] = {}
        if not self._named:
            of = self._name(image, of, found, views, time_s)
        else:
            of = self._judge(of)
            told = self._doubts.settle(time_s, self.rules.believe_after_s)
        told |= self._corrections
        self._corrections = {}
        self._learn(of, views)
        return self._pose(found, of, told)

    def _doubt_what_is_alike(
        self,
        costs: Array,
        misfits: Array,
        of: dict[int, int],
        found: Detections,
        time_s: float,
    ) -> None:
        """Mark animals as ambiguous whose assignment has an alternative nearly as likely.

        Where the best one does not fit either, as when two are found as one, more is
        required.
        """
        said, off = costs.tolist(), misfits.tolist()
        self._unseen_since_s = [
            np.inf if animal in of else min(since_s, time_s)
            for animal, since_s in enumerate(self._unseen_since_s)
        ]
        for one, other in combinations(range(len(self._counts)), 2):
            a, b = of.get(one), of.get(other)
            if a is None and b is None:
                continue
            margin, asked = 0.0, MARGIN
            for mine, theirs, detection in ((one, other, a), (other, one, b)):
                if detection is not None:
                    margin += said[theirs][detection] - said[mine][detection]
                    asked += 3 * max(0.0, off[mine][detection] - FITS)
            least = min(margin, float(self._margins[one, other]))
            hidden = self._hides(one, other, of, found, time_s)
            if margin < asked:
                self._hidden.pop((one, other), None)
            elif hidden is not None and not self._doubts.between(one, other):
                place = self._tracks.middles[hidden].tolist()
                self._hidden[one, other] = hidden, place
            if margin < asked or hidden is not None:
                least, self._apart_since_s = 0.0, np.inf
                for each in self._doubts.begin(one, other, time_s):
                    self._counts[each] = 0
            self._margins[one, other] = self._margins[other, one] = least
        self._find_hidden(of, found)

    def _hides(
        self, one: int, other: int, of: dict[int, int], found: Detections, time_s: float
    ) -> int | None:
        """Return which of two was not visible for a while beside the other; None: neither."""
        for hidden, there in ((one, other), (other, one)):
            if hidden in of or there not in of:
                continue
            last = self._tracks.middles[hidden].tolist()
            away = dist(last, found.middles[of[there]].tolist()) / self._tracks.length
            hidden_s = time_s - self._unseen_since_s[hidden]
            if away < 1 and hidden_s >= HIDDEN_S * (away - UPON) / (1 - UPON):
                return hidden
        return None

    def _find_hidden(self, of: dict[int, int], found: Detections) -> None:
        """End the ambiguity of an animal that reappears where it was not found.

        The other one must never have come near that place: then nothing covered it.
        """
        for (one, other), (hidden, place) in list(self._hidden.items()):
            there = of.get(other if hidden == one else one)
            if there is None:
                continue
            apart = dist(place, found.middles[there].tolist()) / self._tracks.length
            moved = 0.0
            if hidden in of:
                moved = dist(place, found.middles[of[hidden]].tolist())
                moved /= self._tracks.length
            if apart < COVERS or moved > 1:
                del self._hidden[one, other]
            elif hidden in of and moved < UPON:
                del self._hidden[one, other]
                self._doubts.end(one, other)

    def _name(
        self,
        image: Image,
        of: dict[int, int],
        found: Detections,
        views: dict[int, Array],
        time_s: float,
    ) -> dict[int, int]:
        """Name the animals in the order of the rules, once all are apart.

        Either all are clear of each other, or motion alone told them apart for `NAMED_S`.
        """
        animals, length = range(len(self._counts)), self._tracks.length
        middles = self._tracks.middles.tolist()
        if not all(dist(*two) >= UPON * length for two in combinations(middles, 2)):
            self._apart_since_s, self._counts = np.inf, [0] * len(animals)
            return of
        self._apart_since_s = min(self._apart_since_s, time_s)
        if len(of) < len(animals):
            return of
        clear = min(self._counts) >= ENOUGH and set(of.values()) <= views.keys()
        waits_s = NAMED_S * (1 + min(self._counts))
        if not clear and time_s - self._apart_since_s < waits_s:
            return of
        key = [x for x, _ in middles]
        if self.rules.first == "darkest":
            now = found.clear_views(image, (), 0.0, 0.0)
            if not set(of.values()) <= now.keys():
                return of
            shades = self._views if min(self._counts) else [now[n] for n in of.values()]
            key = np.mean(shades, axis=1).tolist()
        order = sorted(animals, key=lambda animal: key[animal])
        self._named = True
        self._margins[:] = np.inf
        of = self._reorder(order, of)
        self._doubts.known(animals)
        for animal, views_had in enumerate(self._counts):
            if views_had:
                self._looks.learn(animal, self._views[animal], min(views_had, ENOUGH))
        return of

    def _judge(self, of: dict[int, int]) -> dict[int, int]:
        """Exchange animals that look like each other; resolve ambiguities by appearance."""
        learned = self._looks.learned
        if learned.sum() < 2 or max(self._counts) < VIEWS:
            return of
        differences = self._looks.differences
        for _ in self._counts:
            costs = self._looks.costs(self._views)
            costs[np.array(self._counts) < VIEWS] = 0.0
            swaps = []
            for one, other in combinations(np.flatnonzero(learned).tolist(), 2):
                told = costs[one, other] + costs[other, one]
                told -= costs[one, one] + costs[other, other]
                if differences[one, other] < TOLD:
                    continue
                seen = min(self._counts[one], self._counts[other]) >= 2 * VIEWS
                if told >= TOLD:
                    self._doubts.end(one, other)
                    if seen:
                        self._margins[[one, other], [other, one]] = np.inf
                asked = TOLD
                if not self._doubts.between(one, other):  # motion says otherwise
                    asked += float(self._margins[one, other]) if seen else np.inf
                if told <= -asked:
                    swaps.append((told, one, other))
            if not swaps:
                break
            _, one, other = min(swaps)
            of = self._exchange(one, other, of)
        return of

    def apply_user_correction(self, exchanged: tuple[int, int] | None = None) -> None:
        """Apply a correction by the user: confirm the names, or exchange two animals.

        Ambiguities of these animals end. Their learned appearance may be another
        animal's: it is kept as far as their recent appearance confirms it.
        """
        self._named = True
        animals = exchanged or self._doubts.all()
        if exchanged is not None:
            self._exchange(*exchanged, {})
        self._doubts.known(animals)
        self._corrections |= dict.fromkeys(
            animals, "swapped" if exchanged else "confirmed"
        )
        pair = list(animals)
        self._margins[np.ix_(pair, pair)] = np.inf
        if min((self._counts[n] for n in pair), default=0) < VIEWS:
            self._looks.reset(pair)
        elif len(pair) == 2:
            costs = self._looks.costs(self._views)[np.ix_(pair, pair)]
            if 2 * np.trace(costs) > costs.sum():
                self._looks.exchange(*pair)

    def _learn(self, of: dict[int, int], views: dict[int, Array]) -> None:
        """Update the appearance of animals with known identity."""
        self._remember(of, views)
        if not self._named:
            return
        learned = self._looks.learned
        for animal, detection in of.items():
            if detection not in views or self._doubts.about(animal):
                continue
            if learned[animal] and learned.sum() > 1:
                costs = self._looks.costs(views[detection][None])[0]
                if costs[animal] > costs[learned].min() + TOLD / 2:
                    continue  # it looks like another: see `_judge`
            self._looks.learn(animal, views[detection])

    def _remember(self, of: dict[int, int], views: dict[int, Array]) -> None:
        """Store the recent appearance of each animal."""
        for animal, detection in of.items():
            if detection not in views:
                continue
            seen = views[detection]
            if self._views.shape[1] != len(seen):
                self._views = np.zeros((len(self._counts), len(seen)))
                self._counts = [0] * len(self._counts)
            self._counts[animal] += 1
            share = max(1 / self._counts[animal], 0.2)
            self._views[animal] += share * (seen - self._views[animal])

    def _exchange(self, one: int, other: int, of: dict[int, int]) -> dict[int, int]:
        order = list(range(len(self._counts)))
        order[one], order[other] = other, one
        of = self._reorder(order, of)
        self._doubts.exchanged(order)
        return of

    def _reorder(self, order: list[int], of: dict[int, int]) -> dict[int, int]:
        """Reorder the animals: `order[n]` becomes the n-th; appearance stays with the names."""
        self._tracks.reorder(order)
        self._hidden.clear()
        self._views = self._views[order]
        self._counts = [self._counts[n] for n in order]
        self._margins = self._margins[order][:, order]
        self._unseen_since_s = [self._unseen_since_s[n] for n in order]
        return {n: of[old] for n, old in enumerate(order) if old in of}

    def _pose(
        self, found: Detections, of: dict[int, int], told: dict[int, str]
    ) -> Pose:
        """Return the pose in the order of the names."""
        order, words = found.in_order(of, self._doubts.words(told))
        pose, identity = found.pose, tuple(words) if len(words) > 1 else ()
        points, sure = pose.points[order], pose.confidence[order]
        return Pose(self.skeleton, points, sure, identity, pose.spread_px)
