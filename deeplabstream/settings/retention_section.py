"""Retention section: which old videos a rig deletes by itself while it records."""

import re
from pathlib import PurePosixPath, PureWindowsPath

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass as settings

from deeplabstream.recording.retention_rules import RetentionRules

_REMOTE = re.compile(r"\w[\w .@+-]+:.*")
"""REMOTE:PATH of rclone; a single letter is a drive of Windows."""


@settings(frozen=True, kw_only=True)
class Retention:
    """Old videos below OUTPUT_DIRECTORY, deleted at the ends of video files; default: none."""

    keep_days: float | None = Field(
        default=None,
        gt=0,
        description=(
            "days for which videos are kept, counted back from the newest; empty: no limit"
        ),
        title="Keep videos for (days)",
    )
    free_gb: float = Field(
        default=0.0,
        ge=0,
        description=(
            "the oldest videos are deleted until so many gigabytes are free on the disk; with "
            "KEEP_DAYS only older ones; 0: KEEP_DAYS alone decides"
        ),
        title="Keep free on the disk (GB)",
    )
    keep_events: bool = Field(
        default=False,
        description="whether videos with marks of the experiment or edges of outputs are kept",
        title="Keep videos with events",
    )
    exported_only: bool = Field(
        default=False,
        description=(
            "whether videos of runs that were not exported are kept; NWB does not count, as it "
            "refers to the videos"
        ),
        title="Delete only after an export",
    )
    collected_to: str = Field(
        default="",
        description=(
            "folder or REMOTE:PATH to which utils/CollectRuns.py copies runs: videos are kept "
            "that rclone does not find there with equal checksums; empty: runs are not collected"
        ),
        title="Delete only what was collected to",
    )

    @field_validator("collected_to")
    @classmethod
    def _is_a_place(cls, text: str) -> str:
        whole = any(
            kind(text).is_absolute() for kind in (PurePosixPath, PureWindowsPath)
        )
        if text and not whole and not _REMOTE.fullmatch(text):
            raise ValueError("expected a whole path, or REMOTE:PATH of rclone")
        return text

    def __post_init__(self) -> None:
        others = self.keep_events, self.exported_only, self.collected_to
        if any(others) and not self.rules:
            raise ValueError(
                "nothing is deleted by these rules: add KEEP_DAYS, FREE_GB or both"
            )

    @property
    def rules(self) -> RetentionRules:
        """Settings of the recorder."""
        return RetentionRules(
            keep_days=self.keep_days,
            free_bytes=round(1e9 * self.free_gb),
            exported_only=self.exported_only,
            keep_events=self.keep_events,
            collected_to=self.collected_to,
        )
