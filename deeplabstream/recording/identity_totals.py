"""Identity totals: counts of identity ambiguities and their ends, for `run.json`."""

from collections.abc import Mapping, Sequence

from deeplabstream.core.journal_entries import Step

_ENDS = ("exchanged", "believed", "swapped", "confirmed")
_NONE = dict.fromkeys(("ambiguities", "ambiguous_frames", *_ENDS), 0)


class IdentityTotals:
    """Counts the flags in `Pose.identity`, camera by camera."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = {}
        self._before: dict[str, Sequence[str]] = {}

    def add(self, step: Step) -> None:
        """Count an analysed frame; an identity switch counts once for each animal."""
        camera, flags = step.camera, step.pose.identity
        if flags:
            counts, before = self._counts.get(camera, {}), self._before.get(camera, ())
            self._counts[camera] = update_totals(counts, before, flags)
            self._before[camera] = flags

    def facts(self) -> dict[str, dict[str, int]]:
        """Return the counts by camera; empty for a single animal."""
        return {camera: dict(counts) for camera, counts in self._counts.items()}


def update_totals(
    totals: Mapping[str, int], before: Sequence[str], flags: Sequence[str]
) -> dict[str, int]:
    """Return the totals after a frame; `before`: the flags of the frame before it."""
    counts = {**_NONE, **totals}
    ambiguous = any(flag.startswith("doubt") for flag in flags)
    began = ambiguous and not any(flag.startswith("doubt") for flag in before)
    counts["ambiguous_frames"] += ambiguous
    counts["ambiguities"] += began
    for end in _ENDS:
        counts[end] += sum(flag.endswith(end) for flag in flags)
    return counts
