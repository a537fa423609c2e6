"""Account of uncertain places: how many were corrected or checked, and how many remain."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deeplabstream.recording.pose_corrections import (
    OF_TWO,
    Correction,
    checks_of,
    corrections_of,
)
from deeplabstream.recording.recorded_frames import analysed_cameras, read_frames
from deeplabstream.recording.run_folder import RunFolder
from deeplabstream.recording.uncertain_places import UncertainPlace, uncertain_places


@dataclass(frozen=True, kw_only=True)
class PlaceAccount:
    """Counts of the uncertain places of a camera's recorded poses."""

    uncertain: int
    """Places of the recorded poses."""
    corrected: int
    """Places that are certain after the corrections."""
    checked: int
    """Other places that a user has checked."""

    @property
    def remaining(self) -> int:
        """Places that are neither corrected nor checked."""
        return self.uncertain - self.corrected - self.checked

    def __str__(self) -> str:
        if not self.uncertain:
            return "no uncertain places"
        places = (
            "1 uncertain place"
            if self.uncertain == 1
            else f"{self.uncertain} uncertain places"
        )
        return (
            f"{places}: {self.corrected} corrected, {self.checked} checked, "
            f"{self.remaining} not checked"
        )


def place_accounts(run: Path) -> dict[str, PlaceAccount]:
    """Return the accounts of a run of several animals, by camera.

    Empty for a single animal. DeepLabStreamError: the run or its corrections can't be read.
    """
    folder = RunFolder(run)
    folder.corrected = False
    if not folder.facts.get("skeleton") or folder.skeleton.count < 2:
        return {}
    found = {}
    for camera in analysed_cameras(folder):
        frames = read_frames(folder, camera)
        corrections = corrections_of(run, camera)
        recorded = uncertain_places(frames)
        left = uncertain_places(
            frames.with_corrections(corrections), checks_of(run, camera).values()
        )
        found[camera] = account_for(recorded, left, corrections.values())
    return found


def account_for(
    recorded: Iterable[UncertainPlace],
    left: Iterable[UncertainPlace],
    corrections: Iterable[Correction],
) -> PlaceAccount:
    """Return the account of the `recorded` places; `left`: those after the corrections.

    A place is still there if one of the same reason overlaps it and shares an animal with
    it, also under the other name that a correction gave the animal.
    """
    left, corrections = tuple(left), tuple(corrections)
    states = []
    for place in recorded:
        names = _names(place, corrections)
        listed = [
            other.checked
            for other in left
            if other.reason == place.reason
            and _overlap(other.frames, place.frames)
            and names & {*other.animals}
        ]
        states.append("corrected" if not listed else "checked" if all(listed) else "")
    return PlaceAccount(
        uncertain=len(states),
        corrected=states.count("corrected"),
        checked=states.count("checked"),
    )


def _names(place: UncertainPlace, corrections: Iterable[Correction]) -> set[str]:
    """Return the names of the animals of a place, before and after corrections."""
    names = {*place.animals}
    for each in corrections:
        concerned = _overlap(each.frames, place.frames) and names & {*each.animals}
        if each.kind in OF_TWO and concerned:
            names |= {*each.animals}
    return names


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
