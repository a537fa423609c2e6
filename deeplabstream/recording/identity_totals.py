"""How often it was in doubt who is who, and what became of it: for `run.json`."""

from collections import defaultdict

from deeplabstream.core.journal_entries import Step

_ENDS = ("exchanged", "believed", "swapped", "confirmed")


class IdentityTotals:
    """Counts, camera by camera, what `Pose.identity` says."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = defaultdict(
            lambda: dict.fromkeys(("doubts", "doubted_frames", *_ENDS), 0)
        )
        self._doubted: dict[str, bool] = {}

    def add(self, step: Step) -> None:
        """Take in an analysed frame; an exchange is counted once for each animal."""
        words = step.pose.identity
        if not words:
            return
        counts = self._counts[step.camera]
        doubted = any(word.startswith("doubt") for word in words)
        counts["doubted_frames"] += doubted
        counts["doubts"] += doubted and not self._doubted.get(step.camera, False)
        self._doubted[step.camera] = doubted
        for end in _ENDS:
            counts[end] += sum(word.endswith(end) for word in words)

    def facts(self) -> dict[str, dict[str, int]]:
        """Return the counts by camera; empty where there is one animal."""
        return {camera: dict(counts) for camera, counts in self._counts.items()}
