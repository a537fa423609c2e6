"""Identity reporting: identity trackers per camera, and messages when an identity changes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from deeplabstream.core.frame import Frame
from deeplabstream.core.pose import Pose, Skeleton, Thresholds
from deeplabstream.engine.learned_appearance import (
    LearnedAppearance,
    open_appearance,
)
from deeplabstream.engine.tag_reading import (
    TagReading,
    TakeReads,
    no_reads,
    tag_reading_of,
)
from deeplabstream.engine.trigger_shapes import trigger_shapes_of
from deeplabstream.pose.tracking.distinctness import (
    Distinctness,
    listed,
    nothing_learned,
)
from deeplabstream.pose.tracking.identity_evidence import Traits
from deeplabstream.pose.tracking.identity_tracker import (
    IdentitySettings,
    IdentityTracker,
)
from deeplabstream.pose.tracking.remembered_animals import (
    CERTAINTY,
    remembered_of,
)
from deeplabstream.pose.tracking.shelters import (
    Shelter,
    shelter_number,
    without_shelter,
)
from deeplabstream.settings.sections import Settings


class CameraIdentityTrackers:
    """Identity trackers of several animals, one per camera. `reset` before a new run."""

    def __init__(
        self,
        skeleton: Skeleton,
        thresholds: Thresholds,
        rules: IdentitySettings,
        shelters: Mapping[str, Sequence[Shelter]] = MappingProxyType({}),
        tags: TagReading | None = None,
        appearance: LearnedAppearance | None = None,
        remembered: Mapping[str, Mapping[str, Traits]] = MappingProxyType({}),
    ) -> None:
        self._skeleton, self._thresholds, self._rules = skeleton, thresholds, rules
        self._shelters = shelters
        self._remembered = remembered
        """Traits in an earlier run, by camera and animal."""
        self._appearance = appearance or LearnedAppearance()
        self._tags = tags or TagReading({}, {}, skeleton)
        self.messages: list[tuple[str, str]] = []
        """Kind and text of the notes on the tags that were read until the last frame."""
        self._trackers: dict[str, IdentityTracker] = {}

    def reset(self) -> None:
        """Discard all trackers."""
        self._trackers.clear()

    def distinctness(self) -> dict[str, Distinctness]:
        """Return, by camera, which animals their appearance does not distinguish."""
        remark = self._appearance.remark
        return {
            name: replace(tracker.distinctness, remark=remark)
            for name, tracker in self._trackers.items()
        }

    def traits(self) -> dict[str, tuple[Traits, ...]]:
        """Return the traits of all animals by camera, where all coats are known."""
        found = {name: it.traits_now() for name, it in self._trackers.items()}
        return {name: traits for name, traits in found.items() if traits}

    def correct(self, camera: str, swapped: tuple[int, int] | None) -> None:
        """Apply a user's correction: None confirms the names, a pair swaps two names."""
        if camera in self._trackers:
            self._trackers[camera].apply_user_correction(swapped)

    def update(self, frame: Frame, pose: Pose) -> Pose:
        """Return the pose of a frame with the animals in the order of their names."""
        if frame.camera not in self._trackers:
            threshold = self._thresholds.of(frame.camera)
            new_evidence = self._appearance.new_evidence
            traits = self._remembered.get(frame.camera, {})
            self._trackers[frame.camera] = IdentityTracker(
                self._skeleton,
                threshold,
                # who is not recognised must not be named by its place
                replace(self._rules, first="tags") if traits else self._rules,
                remembered=remembered_of(self._skeleton.animals, traits),
                embeddings=new_evidence() if new_evidence else None,
                shelters=self._shelters.get(frame.camera, ()),
                tag_places=self._tags.places.get(frame.camera, ()),
            )
        tracker, time_s = self._trackers[frame.camera], frame.time_ns / 1e9
        reads = self._tags.until(frame.camera, frame.time_ns)
        named = tracker.update(frame.image, pose, time_s, reads)
        self.messages = [*self._tags.messages(tracker.tag_results, time_s)]
        if tracker.recognised:
            names = [self._skeleton.animals[n] for n in tracker.recognised]
            evidence = tracker.remembered.evidence if tracker.remembered else ()
            text = (
                f"[Camera {frame.camera}] {listed(names)}: recognised by "
                f"{listed(evidence)}, certainty {CERTAINTY:.0%} or more"
            )
            self.messages.append(("identity", text))
        return named


def identities_of(
    settings: Settings,
    skeleton: Skeleton,
    thresholds: Thresholds,
    take_reads: TakeReads = no_reads,
) -> CameraIdentityTrackers | None:
    """Return the identity trackers of a network; None: identities are certain.

    One animal needs none, nor do animals that each have an arena of their own. `take_reads`
    returns the tags that were read.

    SettingsError: the learned appearance can't be read, or does not fit.
    """
    if len(skeleton.animals) < 2 or settings.arenas:
        return None
    animals = settings.animals
    rules = IdentitySettings(animals.first, animals.believe_after_s, animals.remember)
    return CameraIdentityTrackers(
        skeleton,
        thresholds,
        rules,
        shelters_of(settings),
        tag_reading_of(settings, skeleton, take_reads),
        open_appearance(settings, skeleton),
        {camera: animals.traits_on(camera) for camera in settings.cameras},
    )


def shelters_of(settings: Settings) -> dict[str, tuple[Shelter, ...]]:
    """Return the shelters of each camera, in px of its image."""
    shapes = {shape.trigger: shape for shape in trigger_shapes_of(settings)}
    found: dict[str, tuple[Shelter, ...]] = {}
    for number, name in enumerate(settings.animals.shelters, start=1):
        shape = shapes.get(name)
        if shape is not None and shape.region is not None:
            shelter = Shelter(number, shape.region)
            found[shape.camera] = (*found.get(shape.camera, ()), shelter)
    return found


class IdentityReporter:
    """Messages on changes of `Pose.identity`, camera by camera."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[str, ...]] = {}

    def reset(self) -> None:
        """Discard the last states."""
        self._before.clear()

    def changes(self, camera: str, pose: Pose, time_s: float) -> Iterator[str]:
        """Yield a message for identities that became ambiguous or were resolved."""
        before = self._before.get(camera, ("",) * len(pose.identity))
        # a false detection lasts one or two frames, so it is not reported
        now = tuple(
            [
                old if state == "stray" else state.removeprefix("stray+")
                for state, old in zip(
                    map(without_shelter, pose.identity), before, strict=True
                )
            ]
        )
        if now == before:
            return
        self._before[camera] = now

        begins, ends = list[str](), dict[str, list[str]]()
        names = pose.skeleton.named(len(now))
        for name, old, new in zip(names, before, now, strict=True):
            ambiguous = old.startswith("doubt")
            if new.startswith("doubt"):
                begins += [] if ambiguous else [name]
                # a state such as "…+swapped": ambiguous, and swapped by the user at the same time
                new = new.partition("+")[2]
                ambiguous = False
            if new or ambiguous:
                ends.setdefault(new, []).append(name)

        where = f"[Camera {camera}] {time_s:.3f} s: "
        for end, ended in ends.items():
            yield f"{where}{listed(ended)}: {_ENDS[end]}"
        if begins:
            yield f"{where}{listed(begins)}: identities are ambiguous"


_ENDS = {
    "": "identities are known again",
    "exchanged": "identities had been swapped; corrected",
    "believed": "identities accepted from motion alone (BELIEVE_AFTER_S)",
    "swapped": "names swapped by the user",
    "confirmed": "names confirmed by the user",
}


_SHORT = 22
"""Longest state in the window, in characters."""


@dataclass(frozen=True, slots=True)
class IdentityState:
    """Identity states of the animals of one camera."""

    pose: Pose
    """The last pose of the camera."""
    totals: Mapping[str, int]
    """Numbers of changes so far: see `deeplabstream.recording.identity_totals`."""
    distinctness: Distinctness | None = None
    """Which animals look alike; None: nothing is known."""

    def states(self, threshold: float, shelters: Sequence[str] = ()) -> dict[str, str]:
        """Return a short identity state per animal, by name; `shelters`: their names."""
        pose, identities = self.pose, self.pose.identity
        names = pose.skeleton.named(len(identities))
        states = {}
        for animal, (name, identity) in enumerate(zip(names, identities, strict=True)):
            number = shelter_number(identity)
            # animals of one ambiguous group have the same label before the "+"
            group = identity.partition("+")[0]
            others = [
                other
                for other, label in zip(names, identities, strict=True)
                if other != name and label.partition("+")[0] == group
            ]
            if number is not None and number <= len(shelters):
                doubt = "?" if identity.startswith("doubt") else ""
                states[name] = f"in {shelters[number - 1]}{doubt}"
            elif identity.startswith("doubt"):
                text = f"or {' or '.join(others)}?" if others else "ambiguous?"
                short = f"one of {len(others) + 1}?"
                states[name] = text if len(text) <= _SHORT else short
            elif identity.startswith("stray"):
                states[name] = "a stray?"
            else:
                seen = bool((pose.confidence[animal] >= threshold).any())
                states[name] = "known" if seen else "not seen"
        return states

    @property
    def appearance(self) -> str:
        """A sentence: which animals look alike, and for which that is not known yet."""
        known = self.distinctness
        certainty = known.certainty if known is not None else ""
        return self.appearance_problem or f"all look different{certainty}"

    @property
    def appearance_problem(self) -> str:
        """Which animals look alike, or may; empty: all look different."""
        names = self.pose.skeleton.named(len(self.pose.identity))
        distinctness = self.distinctness or nothing_learned(len(names))
        parts = *distinctness.sentences(names), distinctness.remark
        return "; ".join(filter(None, parts))

    @property
    def ambiguous(self) -> bool:
        """Whether an identity is ambiguous now."""
        return any(state.startswith("doubt") for state in self.pose.identity)


def sentence(camera: str, who: IdentityState) -> str:
    """Return the ambiguous identities, counts of the changes so far, and who look alike."""
    names, totals = who.pose.skeleton.named(len(who.pose.identity)), who.totals
    ambiguous = [
        name
        for name, state in zip(names, who.pose.identity, strict=True)
        if state.startswith("doubt")
    ]
    now = f"{listed(ambiguous)} ambiguous" if ambiguous else "all known"
    return (
        f"Identities in [Camera {camera}]: {listed(list(names))}; now {now}. So far "
        f"ambiguous {totals['ambiguities']} times, {totals['ambiguous_frames']} frames; names "
        f"corrected: {totals['exchanged']}, swapped by the user: {totals['swapped']}; "
        f"{who.appearance}"
    )
