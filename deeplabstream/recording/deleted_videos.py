"""Deleted videos: the account in a run folder of videos that a retention rule has deleted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.foreign_files import read_json

DELETED = "deleted_videos.json"
"""Name of the account."""


def deleted_videos(run: Path) -> Mapping[str, Mapping[str, Any]]:
    """Return the accounts of a run's deleted videos by file name.

    DeepLabStreamError: the file can't be read.
    """
    try:
        found = read_json(run / DELETED)
        return {str(name): dict(account) for name, account in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DeepLabStreamError(f"{run / DELETED} can't be read: {error}") from error


def add_deleted_video(run: Path, name: str, account: Mapping[str, Any]) -> None:
    """Add the account of a video; DeviceError: it can't be written."""
    write_json(run / DELETED, {**deleted_videos(run), name: account})
