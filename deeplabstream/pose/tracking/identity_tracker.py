"""Identity tracker: keeps the names of several animals, also when they meet, hide and reappear.

A network gives animals in no order. Linear assignment (the Hungarian method) of detections to
the predictions of a motion model keeps them apart; detections beyond the gate of an animal
(`NEVER`) are not assigned. Where a second assignment fits nearly as well, the identity is
ambiguous until the appearance of the animals differs enough (`appearance_model`). If appearance
then shows an identity switch, the names are swapped back; where motion was unambiguous, the
evidence of appearance has to outweigh it.

Flags of `Pose.identity`; empty: known. `doubt1`: ambiguous with all others of the same number.
`stray`: too far from the last position of any animal. `shelter1`: not visible, in the first
shelter; it may follow `doubt1`. In the frame in which an ambiguity ends:
`identity_ambiguity.RENAMED` (without an ambiguity: an identity switch was undone) or
`identity_ambiguity.TIMED_OUT`; `swapped`: a user swapped the names; `confirmed`: a user
confirmed them. These may follow another flag: `doubt1+swapped`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import dist
from typing import Literal

import numpy as np

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.numerics.assignment import assign
from deeplabstream.pose.tracking.appearance_model import ENOUGH, AppearanceModel
from deeplabstream.pose.tracking.appearance_samples import (
    KNOWN,
    AppearanceSamples,
    Candidates,
)
from deeplabstream.pose.tracking.detections import (
    CLEAR,
    CLEAR_TO_LEARN,
    ClearView,
    Detections,
    UsualLength,
    detections,
)
from deeplabstream.pose.tracking.distinctness import Distinctness, distinctness_of
from deeplabstream.pose.tracking.embedding_evidence import EmbeddingEvidence
from deeplabstream.pose.tracking.hidden_animals import HiddenAnimals
from deeplabstream.pose.tracking.identity_ambiguity import IdentityAmbiguities
from deeplabstream.pose.tracking.identity_evidence import IdentityEvidence, Traits
from deeplabstream.pose.tracking.line_appearance import LineAppearance
from deeplabstream.pose.tracking.motion_model import NEVER, Array, MotionModel
from deeplabstream.pose.tracking.name_assignment import (
    best_names,
    evidence_against,
    swap_costs,
)
from deeplabstream.pose.tracking.remembered_animals import (
    VIEWS_TO_REMEMBER,
    RememberedAnimals,
    WholeViews,
)
from deeplabstream.pose.tracking.shelters import Shelter, ShelterOccupancy
from deeplabstream.pose.tracking.tag_evidence import (
    AnimalTag,
    TagPlace,
    TagReaders,
    TagResult,
)
from deeplabstream.pose.tracking.trait_views import TraitViews

MARGIN = 10.0
"""Twice the log likelihood by which another assignment must be worse: odds of 150 to 1."""
COVERED = 20.0
"""The same, where one of two may cover the other one: odds of 22,000 to 1."""
WELL_FITTING = 6.0
"""Misfit up to which an assignment fits: twice the usual mean squared distance of points, in
standard deviations."""
HIDDEN_S = 0.15
"""Seconds without a visible point, a length beside another animal, after which that one may
cover it; nearer, fewer."""
OVERLAP = 0.3
"""Distance from another animal, in lengths, at which that time is 0."""
COVERING = 0.6
"""Distance between two animals' centres, in lengths, below which one may cover the other."""
FIRST_CLEAR_SHARE = 0.7
"""Share of an animal that has to be clear of all others for its first name."""
CLEAR_SHARE = 0.5
"""Share that has to be clear afterwards: more than a head, which looks different from the whole.
Appearance is learned from whole animals only."""
PART_SHARE = 0.2
"""Share from which a part is compared line by line (`LineAppearance`)."""
DISTINCT = 8.0
"""Difference of appearance that resolves identity, in squared standard deviations. Appearance
never resolves an ambiguity of animals that differ less than this."""
UNKNOWN = DISTINCT / 2
"""Difference of a view from an animal whose appearance is not known, in the same unit."""
SORTING_S = 0.25
"""Seconds after the first animal was found in which those found are sorted from left to right.
Later ones have the free names."""
NAMING_S = 1.5
"""Seconds of unambiguous motion after which animals that are never clear are named; as
many more for each clear view, as then there will be others."""
VIEWS = 5
"""Clear frames, at most, that the recent appearance is a mean of. A switch without an
ambiguity takes twice as many of each animal."""
DECISIVE = 20.0
"""Sum over views of the difference of their costs that ends an ambiguity, or shows a switch."""
MOST_OF_VIEW = 6.0
"""Largest evidence of one view of an ambiguous animal, so that four at least are decisive: what is
wrong with a view, such as an animal beside it, is often wrong with the next ones too."""

RESTING = 3
"""Frames between two updates of appearance while all identities are known."""


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Settings of the identity tracker: order of the first names, time limit."""

    first: Literal["leftmost", "darkest", "tags"] = "leftmost"
    """Order of the first names: from left to right where the animals were first found; or from
    dark to pale, once all were apart for `ENOUGH` frames; tags: each animal is ambiguous until
    its tag is read, or no other name is left for it."""
    believe_after_s: float = 0.0
    """Seconds after which motion alone resolves an ambiguity; 0: never."""
    remember: bool = False
    """Whether traits of the animals are learned, to recognise them in a later run."""


@dataclass(slots=True)
class IdentityTracker:
    """The identity tracker of one camera. The same frames and poses give the same names."""

    skeleton: Skeleton
    """Skeleton with the names of all animals."""
    threshold: float
    rules: IdentitySettings = field(default_factory=IdentitySettings)
    appearance: IdentityEvidence | None = None
    """None: a new `AppearanceModel`."""
    embeddings: EmbeddingEvidence | None = None
    """A learned appearance; None: there is none."""
    shelters: Sequence[Shelter] = ()
    """Regions of the camera in which animals are not visible."""
    tag_places: Sequence[TagPlace] = ()
    """Places of the readers of the animals' tags."""
    remembered: RememberedAnimals | None = None
    """Traits in an earlier run, by which the animals get their first names; with the rule
    `tags`."""
    recognised: tuple[int, ...] = field(default=(), init=False)
    """Animals that were recognised by these in the last frame."""
    tag_results: list[TagResult] = field(default_factory=list, init=False)
    """What the reads of the last frame have shown."""

    _motion: MotionModel = field(init=False)
    _appearance: IdentityEvidence = field(init=False)
    _ambiguities: IdentityAmbiguities = field(init=False)
    _corrections: dict[int, str] = field(init=False)
    """By animal: the user's correction since the last frame."""
    _views: Array = field(init=False)
    """(animal, feature): recent appearance."""
    _counts: list[float] = field(init=False)
    """By animal: clear views in `_views`; of a part of it, that share of a view."""
    _shown: list[int] = field(init=False)
    """By animal: frames with a clear view in `_views`."""
    _lines: LineAppearance = field(init=False)
    """Parts that are clear, compared with the same lines of each animal."""
    _usual: UsualLength = field(init=False)
    """Length of a whole body; a view shows a share of it."""
    _samples: AppearanceSamples = field(init=False)
    """Samples by which it is known which animals look alike."""
    _whole: WholeViews = field(init=False)
    """Views by which animals are recognised; of those that have had no name."""
    _traits: TraitViews | None = field(init=False)
    """Views of tails and bodies; None: nothing is remembered."""
    _margins: Array = field(init=False)
    """(animal, animal): the smallest margin of motion since they were last known."""
    _covered: HiddenAnimals = field(init=False)
    _occupancy: ShelterOccupancy = field(init=False)
    _readers: TagReaders = field(init=False)
    _unseen_since_s: list[float] = field(init=False)
    _apart_since_s: float = field(init=False)
    """Time since which all were visible apart from each other, before they have names."""
    _begun_s: float = field(init=False)
    """Time at which the first animal was found."""
    _named: bool = field(init=False)
    _frames: int = field(init=False)

    def __post_init__(self) -> None:
        animals = len(self.skeleton.animals)
        self._motion = MotionModel(animals, len(self.skeleton.bodyparts))
        self._appearance = self.appearance or AppearanceModel(animals)
        self._named, self._frames = self.rules.first == "tags", 0
        since_s = np.inf if self._named else -np.inf
        self._ambiguities = IdentityAmbiguities(animals, since_s)
        self._corrections = {}
        self._views = np.zeros((animals, 0))
        self._counts, self._shown = [0.0] * animals, [0] * animals
        self._lines = LineAppearance(animals, VIEWS)
        self._usual = UsualLength()
        self._samples = AppearanceSamples(animals, DISTINCT / 2)
        self._whole = WholeViews(animals)
        remembers = self.rules.remember or self.remembered is not None
        self._traits = TraitViews(self.skeleton) if remembers else None
        self._margins = np.full((animals, animals), np.inf)
        self._covered = HiddenAnimals()
        self._occupancy = ShelterOccupancy(animals, self.shelters)
        self._readers = TagReaders(animals, self.tag_places)
        self._unseen_since_s = [np.inf] * animals
        self._apart_since_s = self._begun_s = np.inf

    @property
    def distinctness(self) -> Distinctness:
        """Which animals their appearance does not distinguish."""
        return distinctness_of(
            self._appearance, self._samples, DISTINCT, self.embeddings, DECISIVE
        )

    def traits_now(self) -> tuple[Traits, ...]:
        """Return the traits of all animals, to remember them; empty: a coat is not known yet."""
        coats = [*map(self._appearance.coat, range(len(self._counts)))]
        if any(coat.views < VIEWS_TO_REMEMBER for coat in coats):
            return ()
        return tuple(
            Traits(
                coat.features,
                coat.views,
                *(self._traits.learned(animal) if self._traits else ()),
            )
            for animal, coat in enumerate(coats)
        )

    def update(
        self,
        image: Image,
        pose: Pose,
        time_s: float,
        reads: Sequence[AnimalTag] = (),
    ) -> Pose:
        """Update with one frame; return the pose with the animals in the order of names.

        Animals that were not found are NaN, with confidence 0. `time_s` must not go
        back. `reads`: tags that were read since the last frame.
        """
        motion, detected = self._motion, detections(pose, self.threshold)

        # Predict, then assign. A pair beyond the gate costs as much as no assignment: it
        # is not made, and does not cause wrong pairs that are just within their gates
        motion.measure(detected.points, max(image.shape[:2]) / 12)
        motion.advance(time_s)
        fit = motion.costs(detected.points, detected.seen, detected.middles)
        self._occupancy.apply_costs(
            fit.costs, fit.unassigned, detected.seen, detected.middles, motion.length
        )
        gated = fit.costs >= NEVER
        pairs = assign(np.where(gated, fit.unassigned, fit.costs))
        of = {animal: one for animal, one in pairs if not gated[animal, one]}

        # Before `correct`: the margins belong to the predictions
        self._find_ambiguities(fit.doubtful, fit.misfits, of, detected, time_s)
        self._update_occupancy(of, detected, time_s)
        self._update_hidden(of, detected, time_s)
        at, new = list(of.values()), not motion.known[list(of)].all()
        motion.correct(
            list(of),
            detected.points[at],
            detected.seen[at],
            detected.middles[at],
            fit.jumps[list(of), at],
        )
        if new:
            of = self._sort_new(of, time_s)

        self._readers.update(of, detected.points, detected.seen, time_s)
        self.tag_results = []
        # Before the names are resolved: the views of this frame decide about it, too
        views = self._clear_views(image, of, detected, time_s)
        self._update_views(of, views)
        ends: dict[int, str] = {}
        if not self._named:
            of = self._name(image, of, detected, views, time_s)
        else:
            self._embed(image, of, detected, time_s)
            of = self._resolve_by_appearance(of, time_s)
            of = self._recognise(of, views)
            for read in reads:
                of = self._name_by_tag(read, of, time_s)
            ends = self._ambiguities.resolve(time_s, self.rules.believe_after_s)
        # A correction by the user overrides the tracker's own result
        ends |= self._corrections
        self._corrections = {}

        # Last: appearance is learned for the identities assigned in this frame
        self._learn(image, of, views, detected, time_s)
        return self._named_pose(detected, of, ends)

    def _clear_views(
        self, image: Image, of: dict[int, int], detected: Detections, time_s: float
    ) -> dict[int, ClearView]:
        """Return the appearance of the detections, where they are clear of all others.

        Reading pixels costs more than all the rest. While all identities are known, every
        third frame is enough.
        """
        self._frames += 1
        needed = not self._named or self._ambiguities
        if self._frames % RESTING != 0 and not needed:
            return {}
        covering = {
            of[animal] for animal in self._covered.covering(time_s) if animal in of
        }
        share = PART_SHARE if self._named else FIRST_CLEAR_SHARE
        self._usual.update(detected.lengths())
        distance = CLEAR if self._named else CLEAR_TO_LEARN
        return detected.clear_views(
            image,
            self._appearance,
            covering,
            distance * self._motion.length,
            share,
            self._usual.px,
        )

    def _embed(
        self, image: Image, of: dict[int, int], detected: Detections, time_s: float
    ) -> None:
        """Add the views of visible animals to the evidence of the learned appearance."""
        if self.embeddings is None:
            return
        ambiguous = self._ambiguities.ambiguous_animals()
        visible = of.keys() - self._covered.covering(time_s)
        if due := self.embeddings.due(visible, ambiguous, time_s):
            others = detected.others()
            shown = {
                animal: (
                    detected.points[of[animal]],
                    detected.seen[of[animal]],
                    others[of[animal]],
                )
                for animal in due
            }
            self.embeddings.add(image, shown, ambiguous, time_s)

    def _find_ambiguities(
        self,
        costs: Array,
        misfits: Array,
        of: dict[int, int],
        detected: Detections,
        time_s: float,
    ) -> None:
        """Mark animals as ambiguous whose assignment has an alternative nearly as likely.

        Where the best one does not fit either, as when two are found as one, a larger
        margin is required.
        """
        cost, misfit = costs.tolist(), misfits.tolist()
        self._unseen_since_s = [
            np.inf if animal in of else min(since_s, time_s)
            for animal, since_s in enumerate(self._unseen_since_s)
        ]

        for one, other in combinations(range(len(self._counts)), 2):
            a, b = of.get(one), of.get(other)
            if a is None and b is None:
                continue  # nothing was assigned, so nothing can be swapped

            # How much worse the frame fits with the two names swapped
            margin, required = 0.0, MARGIN
            for own, swapped, detection in ((one, other, a), (other, one, b)):
                if detection is not None:
                    margin += cost[swapped][detection] - cost[own][detection]
                    required += 3 * max(0.0, misfit[own][detection] - WELL_FITTING)
            smallest = min(margin, float(self._margins[one, other]))

            # An animal that disappears beside another may reappear on any side of it
            # unless what is visible can hardly be the hidden one
            covers = margin < COVERED and self._may_cover(
                one, other, of, detected, time_s
            )
            if margin < required or covers:
                smallest = 0.0
                self._begin_ambiguity(one, other, time_s)
            self._margins[one, other] = self._margins[other, one] = smallest

    def _begin_ambiguity(self, one: int, other: int, time_s: float) -> None:
        self._apart_since_s = np.inf
        self._ambiguities.begin(one, other, time_s)
        # Earlier views may show the other animal; those of the rest of the group stay
        # views of the same animal
        self._counts[one] = self._counts[other] = 0.0
        self._shown[one] = self._shown[other] = 0
        self._lines.discard_parts((one, other))
        self._whole.reset((one, other))
        if self._traits is not None:
            self._traits.begin((one, other))
        self._samples.interrupt((one, other))
        if self.embeddings is not None:
            self.embeddings.begin((one, other))

    def _update_occupancy(
        self, of: dict[int, int], detected: Detections, time_s: float
    ) -> None:
        """Mark animals as ambiguous that may have swapped places in a shelter."""
        pairs = self._occupancy.update(
            of, detected.points, detected.seen, self._motion.length, time_s
        )
        for one, other in sorted(pairs):
            self._begin_ambiguity(one, other, time_s)
            self._margins[[one, other], [other, one]] = 0.0

    def _update_hidden(
        self, of: dict[int, int], detected: Detections, time_s: float
    ) -> None:
        """Mark animals as ambiguous that were one detection, and walked together."""
        animals = range(len(self._counts))
        pairs = self._covered.update(
            of,
            detected.middles,
            self._motion.middles,
            [n for n in animals if self._occupancy.went_in(n)],
            self._motion.length,
            time_s,
        )
        for one, other in pairs:
            self._begin_ambiguity(one, other, time_s)
            self._margins[[one, other], [other, one]] = 0.0

    def _may_cover(
        self,
        one: int,
        other: int,
        of: dict[int, int],
        detected: Detections,
        time_s: float,
    ) -> bool:
        """Return whether one of two was not visible for a while, near the other."""
        for hidden, visible in ((one, other), (other, one)):
            if hidden in of or visible not in of or self._occupancy.went_in(hidden):
                continue
            last = self._motion.middles[hidden].tolist()
            visible_at = detected.middles[of[visible]].tolist()
            distance = dist(last, visible_at) / self._motion.length

            # The nearer the other animal, the sooner it may hide this one. A hidden animal
            # that is farther is compared with the other when it reappears (`HiddenAnimals`)
            needed_s = HIDDEN_S * (distance - OVERLAP) / (1 - OVERLAP)
            if (
                distance < COVERING
                and time_s - self._unseen_since_s[hidden] >= needed_s
            ):
                return True
        return False

    def _sort_new(self, of: dict[int, int], time_s: float) -> dict[int, int]:
        """Sort the animals from left to right while they are found for the first time.

        `_name` only confirms this order: to sort them then would be an identity switch.
        """
        self._begun_s = min(self._begun_s, time_s)
        late = time_s - self._begun_s > SORTING_S
        # The last position of one that is not found now says nothing about its side
        if self._named or late or len(of) < self._motion.known.sum():
            return of
        x = self._motion.middles[:, 0]
        order = np.argsort(x, kind="stable").tolist()  # NaN, not found yet: last
        self._ambiguities.reorder(order)
        return self._reorder(order, of)

    def _name(
        self,
        image: Image,
        of: dict[int, int],
        detected: Detections,
        views: dict[int, ClearView],
        time_s: float,
    ) -> dict[int, int]:
        """Confirm the names, in the order of the rules, once all animals are apart.

        Either all are clear of each other, or motion alone kept them apart for `NAMING_S`.
        """
        animals, length = range(len(self._counts)), self._motion.length
        middles = self._motion.middles.tolist()
        if not all(dist(*two) >= OVERLAP * length for two in combinations(middles, 2)):
            self._apart_since_s = np.inf
            self._counts, self._shown = [0.0] * len(animals), [0] * len(animals)
            return of
        self._apart_since_s = min(self._apart_since_s, time_s)
        if len(of) < len(animals):
            return of

        clear = min(self._counts) >= ENOUGH and set(of.values()) <= views.keys()
        waits_s = NAMING_S * (1 + min(self._counts))
        if not clear and time_s - self._apart_since_s < waits_s:
            return of

        order = list(animals)
        if self.rules.first == "darkest":
            now = detected.clear_views(image, self._appearance)
            if not set(of.values()) <= now.keys():
                return of
            few = min(self._counts) == 0
            views_now = (
                np.array([now[n].features for n in of.values()]) if few else self._views
            )
            brightness = self._appearance.brightness(views_now).tolist()
            order.sort(key=brightness.__getitem__)

        self._named = True
        self._margins[:] = np.inf
        of = self._reorder(order, of)
        self._ambiguities.confirm(animals)
        # The views so far were all of one animal each: they are the first of its model
        for animal, count in enumerate(self._counts):
            if count >= 1:
                views_of_it = min(round(count), ENOUGH)
                self._appearance.learn(animal, self._views[animal], views_of_it)
        return of

    def _recognise(
        self, of: dict[int, int], views: dict[int, ClearView]
    ) -> dict[int, int]:
        """Name animals by their traits in an earlier run.

        By coats only until these are known in this run.
        """
        self.recognised = ()
        ambiguities, remembered = self._ambiguities, self.remembered
        unnamed = list(ambiguities.ambiguous_animals())
        if remembered is None or not unnamed:
            return of
        coats_known = bool(self._appearance.learned[unnamed].all())
        if coats_known and not remembered.needs_more_than_coats(unnamed):
            return of
        whole = {
            animal: views[one].features
            for animal, one in of.items()
            if one in views and views[one].share == 1
        }
        mean = self._whole.update(whole)
        if mean is None:
            return of

        # Before an animal is named by its traits, its tag or the user may have named others
        found = remembered.recognise(
            [
                Traits(
                    tuple(coat),
                    0,
                    *(self._traits.recent(animal) if self._traits else ()),
                )
                for animal, coat in enumerate(mean.tolist())
            ]
        )
        order = np.argsort(found.names).tolist()
        possible = all(
            name == animal or ambiguities.is_between(name, animal)
            for name, animal in enumerate(order)
        )
        if not possible or not found.apart.any():
            return of
        of = self._rename(order, of)
        for one, other in combinations(range(len(order)), 2):
            if found.apart[one, other]:
                ambiguities.end(one, other)
                self._margins[[one, other], [other, one]] = np.inf
        self.recognised = tuple(n for n in unnamed if not ambiguities.is_ambiguous(n))
        for name in self.recognised:
            if not self._appearance.learned[name]:
                self._appearance.learn(name, mean[order[name]], ENOUGH)
        return of

    def _resolve_by_appearance(
        self, of: dict[int, int], time_s: float
    ) -> dict[int, int]:
        """Undo identity switches and end ambiguities where appearance is distinct enough."""
        seen = max(self._counts) > 0 or self._lines.counts.any()
        coloured = self._appearance.learned.any() and seen
        embedded = self.embeddings is not None and self.embeddings.known.sum() > 1
        if not (coloured or embedded):
            return of
        done: set[int] = set()
        for animal in self._ambiguities.ambiguous_animals():
            # The group of the first animal may have ended that of another one
            group = self._ambiguities.group(animal)
            if len(group) > 1 and animal not in done:
                done.update(group)
                of = self._resolve_group(group, of, time_s)
        return self._undo_switches(of)

    def _resolve_group(
        self, group: list[int], of: dict[int, int], time_s: float
    ) -> dict[int, int]:
        """Rename an ambiguous group if that is much likelier; end what is decided."""
        evidence = self._evidence_in(group)
        if evidence.max(axis=1).sum() < DECISIVE:
            return of
        if self._looks_like_another(group, time_s):
            return of
        ambiguities = self._ambiguities
        allowed = np.array(
            [
                [one == other or ambiguities.is_between(one, other) for other in group]
                for one in group
            ]
        )
        names = best_names(evidence, allowed)
        gain = float((np.diag(evidence) - evidence[range(len(group)), names]).sum())
        if gain >= DECISIVE:
            order = list(range(len(self._counts)))
            for animal, name in zip(group, names, strict=True):
                order[group[name]] = animal
            of = self._rename(order, of)
            # Which pairs were decided belonged to the former names
            ambiguities.join(group)
            evidence, allowed = self._evidence_in(group), np.ones_like(allowed)

        worse = swap_costs(evidence, allowed)
        for one, other in combinations(range(len(group)), 2):
            if worse[one, other] >= DECISIVE:
                ambiguities.end(group[one], group[other])
        return of

    def _looks_like_another(self, group: list[int], time_s: float) -> bool:
        """Return whether an animal of a group may be one outside it; then both are ambiguous.

        After an identity switch that was not noticed, or an ambiguity that ended wrongly, no
        name of the group is right: the likeliest of them would be asserted.
        """
        everyone = list(range(len(self._counts)))
        if len(group) == len(everyone):
            return False
        evidence = self._colour_evidence(everyone)[group]
        inside = evidence[:, group].min(axis=1)
        animal = int(inside.argmax())
        if inside[animal] >= DECISIVE:
            other = int(evidence[animal].argmin())
            self._begin_ambiguity(group[animal], other, time_s)
        return bool(inside[animal] >= MARGIN)

    def _evidence_in(self, group: list[int]) -> Array:
        """Return the evidence of the recent views against each name (animal, name)."""
        evidence = self._colour_evidence(group)
        if self.embeddings is not None:
            evidence += self.embeddings.evidence(group)
        return evidence

    def _colour_evidence(self, group: list[int]) -> Array:
        """Return that of brightness and colour (animal, name)."""
        pairs = np.ix_(group, group)
        same = self._appearance.differences[pairs] < DISTINCT
        learned = self._appearance.learned[group]
        alike = [
            (one, other)
            for one, other in combinations(range(len(group)), 2)
            if same[one, other] and learned[one] and learned[other]
        ]
        views = np.minimum(self._counts, VIEWS)[group]
        shown = np.minimum(self._shown, VIEWS)[group]
        costs = self._appearance.costs(self._views)[pairs]
        # The mean of the views and of the parts
        parts = np.minimum(self._lines.counts, VIEWS)[group]
        both = np.maximum(views + parts, 1e-9)[:, None]
        costs = costs * views[:, None] + self._lines.costs[pairs] * parts[:, None]
        costs, views = costs / both, np.minimum(views + parts, VIEWS)
        most = MOST_OF_VIEW * np.minimum(shown + parts, VIEWS)
        # Where each animal shows itself, one that has no known appearance is the one that
        # resembles the known ones least
        unknown = UNKNOWN if views.min() >= VIEWS else None
        return evidence_against(costs, views, most, learned, alike, unknown)

    def _undo_switches(self, of: dict[int, int]) -> dict[int, int]:
        """Swap animals back whose appearance outweighs the motion that kept them apart."""
        seen = [n for n, count in enumerate(self._counts) if count >= 2 * VIEWS]
        seen = [n for n in seen if self._appearance.learned[n]]
        if len(seen) < 2:
            return of
        differences = self._appearance.differences

        # One swap per round: a swap changes the costs of all other pairs. As many rounds
        # as animals are enough for any permutation
        for _ in seen:
            costs = self._appearance.costs(self._views)
            better = VIEWS * (costs - np.diag(costs)[:, None]).clip(-DISTINCT, DISTINCT)
            swaps = []
            for one, other in combinations(seen, 2):
                if differences[one, other] < DISTINCT:
                    continue
                # Above 0: the present names explain the views better than swapped ones
                evidence = better[one, other] + better[other, one]
                if evidence >= DECISIVE:
                    self._margins[[one, other], [other, one]] = np.inf
                elif not self._ambiguities.is_between(one, other):
                    required = VIEWS * DISTINCT + float(self._margins[one, other])
                    if evidence <= -required:
                        swaps.append((evidence, one, other))

            if not swaps:
                break
            _, one, other = min(swaps)
            of = self._swap(one, other, of)
        return of

    def _name_by_tag(
        self, read: AnimalTag, of: dict[int, int], time_s: float
    ) -> dict[int, int]:
        """Name the animal that a reader has read, if one alone can be meant."""
        ambiguities, animal = self._ambiguities, read.animal
        # Of those in a shelter, only the one that was read may be at the reader: the others
        # would have been read too
        unseen = {
            n: self._motion.middles[n]
            for n in np.flatnonzero(self._motion.known).tolist()
            if n not in of and (n == animal or not self._occupancy.is_settled(n))
        }
        slot, outcome = self._readers.animal_of(
            read,
            unseen,
            self._covered.covering(time_s),
            self._motion.length,
            lambda other: (
                self._occupancy.is_settled(animal)
                and ambiguities.is_between(other, animal)
            ),
        )
        if outcome != "known":
            if slot >= 0:
                self._begin_ambiguity(slot, animal, time_s)
            self.tag_results.append(TagResult(read, outcome))
            return of

        doubted = ambiguities.is_ambiguous(slot)
        if slot != animal:
            was_possible = ambiguities.is_between(slot, animal)
            of = self._swap(slot, animal, of)
            # Silently switched before: what was learned of both may be the other's, and
            # the one that has lost its name may be any of those that remain
            if not was_possible:
                self._revise_appearance([slot, animal])
                self._samples.reset([slot, animal])
                for other in {*range(len(self._counts))} - {slot, animal}:
                    self._begin_ambiguity(slot, other, time_s)

        others = [n for n in range(len(self._counts)) if n != animal]
        for other in others:
            ambiguities.end(animal, other)
        self._margins[animal, others] = self._margins[others, animal] = np.inf
        named = doubted or slot != animal
        self.tag_results.append(TagResult(read, "named" if named else "known", slot))
        return of

    def apply_user_correction(self, swapped: tuple[int, int] | None = None) -> None:
        """Apply a correction by the user: confirm the names, or swap two animals.

        Ambiguities of these animals end. Their learned appearance may be another
        animal's: it is kept as far as their recent appearance confirms it.
        """
        self._named = True
        animals = swapped or self._ambiguities.ambiguous_animals()
        if swapped is not None:
            self._swap(*swapped, {})
            self._samples.reset(swapped)
        self._ambiguities.confirm(animals)
        flag = "swapped" if swapped else "confirmed"
        self._corrections |= dict.fromkeys(animals, flag)

        pair = list(animals)
        self._margins[np.ix_(pair, pair)] = np.inf
        self._revise_appearance(pair)

    def _revise_appearance(self, pair: list[int]) -> None:
        """Keep what was learned of these animals as far as their recent views confirm it."""
        if self.embeddings is not None:
            self.embeddings.reset(pair)
        if min((self._counts[n] for n in pair), default=0) < VIEWS:
            self._appearance.reset(pair)
            self._lines.reset(pair)
        elif len(pair) == 2:
            # The model may have learned each animal under the other's name
            costs = self._appearance.costs(self._views)[np.ix_(pair, pair)]
            if 2 * np.trace(costs) > costs.sum():
                self._appearance.swap(*pair)
                self._lines.swap(*pair)

    def _learn(
        self,
        image: Image,
        of: dict[int, int],
        views: dict[int, ClearView],
        detected: Detections,
        time_s: float,
    ) -> None:
        """Update the appearance of animals with known identity, and their samples."""
        if not self._named:
            return
        certain: set[int] = set()
        for animal, detection in of.items():
            # An ambiguous animal may be another one, and one that looks like another may be
            # switched (`_resolve_by_appearance` decides): its views would degrade both models.
            # A part of an animal may look different from the whole
            view = views.get(detection)
            if view is None or view.share < 1:
                continue
            candidates = self._candidates(animal, view.features)
            if candidates is None:
                continue
            x, y = detected.middles[detection].tolist()
            length = self._motion.length
            self._samples.add(animal, view.features, (x, y), length, time_s, candidates)
            if not candidates.rivals:
                self._appearance.learn(animal, view.features)
                self._lines.learn(animal, view.lines)
                certain.add(animal)
        self._learn_traits(image, of, views, detected, certain, time_s)

    def _learn_traits(
        self,
        image: Image,
        of: dict[int, int],
        views: dict[int, ClearView],
        detected: Detections,
        certain: set[int],
        time_s: float,
    ) -> None:
        """Add the tails and lengths of animals that are clear of others."""
        if self._traits is None or not views:
            return
        others = detected.others()
        shown = {
            animal: (detected.points[one], detected.seen[one], others[one])
            for animal, one in of.items()
            if one in views and views[one].share == 1
        }
        self._traits.add(image, shown, certain, time_s)

    def _candidates(self, animal: int, view: Array) -> Candidates | None:
        """Return the animals that one with this view may be; None: an animal not yet learned."""
        learned = np.flatnonzero(self._appearance.learned).tolist()
        is_ambiguous = self._ambiguities.is_ambiguous(animal)
        if is_ambiguous:
            rivals = tuple(
                other
                for other in learned
                if self._ambiguities.is_between(animal, other)
            )
            if animal not in learned or not rivals:
                return None
        else:
            if animal not in learned or len(learned) < 2:
                return KNOWN
            costs = self._appearance.costs(view[None])[0]
            best = min(learned, key=costs.__getitem__)
            if costs[animal] <= costs[best] + DISTINCT / 2:
                return KNOWN
            rivals = (best,)
        coats = {n: np.array(self._appearance.coat(n).features) for n in learned}
        return Candidates(rivals, not is_ambiguous, coats)

    def _update_views(self, of: dict[int, int], views: dict[int, ClearView]) -> None:
        """Update the recent appearance of each animal, a mean over about five views.

        Parts, once animals have names, are compared with the lines that were learned.
        """
        for animal, detection in of.items():
            view = views.get(detection)
            if view is None:
                continue
            if self._named and view.share < CLEAR_SHARE:
                self._lines.add_part(animal, view.lines, view.share / CLEAR_SHARE)
                continue
            features = view.features
            if self._views.shape[1] != len(features):  # from grey to colour, or back
                self._views = np.zeros((len(self._counts), len(features)))
                self._counts = [0.0] * len(self._counts)
                self._shown = [0] * len(self._counts)
            weight = view.share if self._named else 1.0
            self._counts[animal] += weight
            self._shown[animal] += 1
            share = max(weight / self._counts[animal], weight / VIEWS)
            self._views[animal] += share * (features - self._views[animal])

    def _swap(self, one: int, other: int, of: dict[int, int]) -> dict[int, int]:
        order = list(range(len(self._counts)))
        order[one], order[other] = other, one
        # Silently switched before: what was learned of both may be the other's
        if self._traits is not None and not self._ambiguities.is_between(one, other):
            self._traits.reset((one, other))
        return self._rename(order, of)

    def _rename(self, order: list[int], of: dict[int, int]) -> dict[int, int]:
        """Make animal `order[n]` the n-th one: its identity was switched."""
        of = self._reorder(order, of)
        self._ambiguities.swap(order)
        return of

    def _reorder(self, order: list[int], of: dict[int, int]) -> dict[int, int]:
        """Reorder the animals: `order[n]` becomes the n-th; appearance stays with the names."""
        self._motion.reorder(order)
        self._covered.reorder(order)
        self._occupancy.reorder(order)
        self._readers.reorder(order)
        if self.embeddings is not None:
            self.embeddings.reorder(order)
        self._whole.reorder(order)
        if self._traits is not None:
            self._traits.reorder(order)
        self._samples.reorder(order)
        self._views = self._views[order]
        self._counts = [self._counts[n] for n in order]
        self._shown = [self._shown[n] for n in order]
        self._lines.reorder(order)
        self._margins = self._margins[order][:, order]
        self._unseen_since_s = [self._unseen_since_s[n] for n in order]
        return {n: of[old] for n, old in enumerate(order) if old in of}

    def _named_pose(
        self, detected: Detections, of: dict[int, int], ends: dict[int, str]
    ) -> Pose:
        """Return the pose in the order of the names."""
        flags = self._ambiguities.flags(ends, self._occupancy.flags())
        order, flags = detected.in_order(of, flags)
        pose, identity = detected.pose, tuple(flags) if len(flags) > 1 else ()
        points, sure = pose.points[order], pose.confidence[order]
        return Pose(self.skeleton, points, sure, identity, pose.spread_px)
