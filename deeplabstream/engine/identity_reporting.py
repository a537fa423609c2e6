"""Identity reporting: identity trackers per camera, and messages when an identity changes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deeplabstream.core.frame import Frame
from deeplabstream.core.pose import Pose, Skeleton, Thresholds
from deeplabstream.pose.tracking.identity_tracker import (
    IdentitySettings,
    IdentityTracker,
)
from deeplabstream.settings.sections import Settings


class CameraIdentityTrackers:
    """Identity trackers of several animals, one per camera. `forget` before a new run."""

    def __init__(
        self, skeleton: Skeleton, thresholds: Thresholds, rules: IdentitySettings
    ) -> None:
        self._skeleton, self._thresholds, self._rules = skeleton, thresholds, rules
        self._of: dict[str, IdentityTracker] = {}

    def forget(self) -> None:
        """Discard all trackers."""
        self._of.clear()

    def say(self, camera: str, exchanged: tuple[int, int] | None) -> None:
        """Apply a user's correction: None confirms the names, a pair swaps two names."""
        if camera in self._of:
            self._of[camera].apply_user_correction(exchanged)

    def tell(self, frame: Frame, pose: Pose) -> Pose:
        """Return the pose of a frame with the animals in the order of their names."""
        if frame.camera not in self._of:
            threshold = self._thresholds.of(frame.camera)
            self._of[frame.camera] = IdentityTracker(
                self._skeleton, threshold, self._rules
            )
        return self._of[frame.camera].update(frame.image, pose, frame.time_ns / 1e9)


def identities_of(
    settings: Settings, skeleton: Skeleton, thresholds: Thresholds
) -> CameraIdentityTrackers | None:
    """Return the identity trackers of a network; None: it finds one animal."""
    if len(skeleton.animals) < 2:
        return None
    animals = settings.animals
    rules = IdentitySettings(animals.first, animals.believe_after_s)
    return CameraIdentityTrackers(skeleton, thresholds, rules)


class IdentityReporter:
    """Messages on changes of `Pose.identity`, camera by camera."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[str, ...]] = {}

    def forget(self) -> None:
        """Discard the states of before."""
        self._before.clear()

    def news(self, camera: str, pose: Pose, time_s: float) -> Iterator[str]:
        """Yield a message for identities that became ambiguous, or known again."""
        before = self._before.get(camera, ("",) * len(pose.identity))
        pairs = zip(pose.identity, before, strict=True)
        now = tuple(
            [
                old if word == "stray" else word.removeprefix("stray+")
                for word, old in pairs
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
                new = new.partition("+")[2]
                ambiguous = False
            if new or ambiguous:
                ends.setdefault(new, []).append(name)
        where = f"[Camera {camera}] {time_s:.3f} s: "
        for word, known in ends.items():
            yield f"{where}{_listed(known)}: {_ENDS[word]}"
        if begins:
            yield f"{where}{_listed(begins)}: identities are ambiguous"


_ENDS = {
    "": "identities are known again",
    "exchanged": "identities had been swapped; corrected",
    "believed": "identities accepted from motion alone (BELIEVE_AFTER_S)",
    "swapped": "names swapped by the user",
    "confirmed": "names confirmed by the user",
}


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


_SHORT = 22
"""Letters that a window has room for."""


@dataclass(frozen=True, slots=True)
class IdentityState:
    """Identity states of the animals of one camera."""

    pose: Pose
    """The last one."""
    totals: Mapping[str, int]
    """How often, so far: see `deeplabstream.recording.identity_totals`."""

    def states(self, threshold: float) -> dict[str, str]:
        """Return a short identity state per animal, by name."""
        pose, words = self.pose, self.pose.identity
        names = pose.skeleton.named(len(words))
        told = {}
        for animal, (name, word) in enumerate(zip(names, words, strict=True)):
            mates = [
                other
                for other, theirs in zip(names, words, strict=True)
                if other != name and theirs.partition("+")[0] == word.partition("+")[0]
            ]
            if word.startswith("doubt"):
                whole = f"or {' or '.join(mates)}?" if mates else "ambiguous?"
                told[name] = (
                    whole if len(whole) <= _SHORT else f"one of {len(mates) + 1}?"
                )
            elif word.startswith("stray"):
                told[name] = "a stray?"
            else:
                seen = bool((pose.confidence[animal] >= threshold).any())
                told[name] = "known" if seen else "not seen"
        return told

    @property
    def ambiguous(self) -> bool:
        """Whether an identity is ambiguous now."""
        return any(word.startswith("doubt") for word in self.pose.identity)


def sentence(camera: str, who: IdentityState) -> str:
    """Return the ambiguous identities, and counts of the changes so far."""
    names, totals = who.pose.skeleton.named(len(who.pose.identity)), who.totals
    ambiguous = [
        name
        for name, word in zip(names, who.pose.identity, strict=True)
        if word.startswith("doubt")
    ]
    now = f"{_listed(ambiguous)} ambiguous" if ambiguous else "all known"
    return (
        f"Identities in [Camera {camera}]: {_listed(list(names))}; now {now}. So far "
        f"ambiguous {totals['ambiguities']} times, {totals['ambiguous_frames']} frames; names "
        f"corrected: {totals['exchanged']}, swapped by the user: {totals['swapped']}"
    )
