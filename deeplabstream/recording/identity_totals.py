"""Identity totals: counts of identity ambiguities and their ends, for `run.json`."""

from collections import defaultdict

from deeplabstream.core.journal_entries import Step

_ENDS = ("exchanged", "believed", "swapped", "confirmed")


class IdentityTotals:
    """Counts the flags in `Pose.identity`, camera by camera."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = defaultdict(
            lambda: dict.fromkeys(("ambiguities", "ambiguous_frames", *_ENDS), 0)
        )
        self._was_ambiguous: dict[str, bool] = {}

    def add(self, step: Step) -> None:
        """Count an analysed frame; an identity switch counts once for each animal."""
        flags = step.pose.identity
        if not flags:
            return
        counts = self._counts[step.camera]
        is_ambiguous = any(flag.startswith("doubt") for flag in flags)
        counts["ambiguous_frames"] += is_ambiguous
        was_ambiguous = self._was_ambiguous.get(step.camera, False)
        counts["ambiguities"] += is_ambiguous and not was_ambiguous
        self._was_ambiguous[step.camera] = is_ambiguous
        for end in _ENDS:
            counts[end] += sum(flag.endswith(end) for flag in flags)

    def facts(self) -> dict[str, dict[str, int]]:
        """Return the counts by camera; empty for a single animal."""
        return {camera: dict(counts) for camera, counts in self._counts.items()}
