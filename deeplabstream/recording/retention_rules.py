"""Retention rules: which recorded videos are kept."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RetentionRules:
    """Which videos are kept."""

    keep_days: float | None = None
    """Videos closed within so many days before the newest one are kept; None: any age.

    The newest one is that of the second newest run, if there are several runs; or that of the
    same run, by the times of the frames.
    """
    free_bytes: int = 0
    """Older videos are deleted only until so much is free on the disk; 0: all are."""
    exported_only: bool = False
    """Videos of runs that were not exported are kept, and those that an NWB file refers to."""
    keep_events: bool = False
    """Videos in which the experiment did something are kept: marks, edges of outputs."""
    collected_to: str = ""
    """Videos are kept that rclone does not find here with equal checksums; empty: not asked.

    A folder, or REMOTE:PATH; each run is a folder in it.
    """

    def __bool__(self) -> bool:
        """Whether any video may be deleted."""
        return self.keep_days is not None or self.free_bytes > 0

    def __str__(self) -> str:
        """Return why videos are deleted, as in their accounts."""
        reasons = []
        if self.keep_days is not None:
            reasons.append(f"older than {self.keep_days:g} days")
        if self.free_bytes:
            reasons.append(f"less than {self.free_bytes / 1e9:g} GB free")
        return ", ".join(reasons)
