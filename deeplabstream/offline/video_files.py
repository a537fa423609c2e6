"""Selection of videos, and paths of the files that are made from them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.pose.image_files import SUFFIXES
from deeplabstream.startup.progress import Overall

ENDINGS = frozenset(
    f".{kind}"
    for kind in (
        *("avi", "flv", "m4v", "mj2", "mkv", "mov", "mp4", "mpeg", "mpg", "mts"),
        *("ogv", "ts", "webm", "wmv"),
    )
)
"""Names of videos in a folder; a file that is named itself may end in anything."""
VIDEO_FILTER = (
    f"Videos ({' '.join(f'*{end}' for end in sorted(ENDINGS))});;All files (*)"
)
"""Files to choose from in a dialog, as Qt writes them."""


def overall_progress(groups: Sequence[Sequence[Path]]) -> Overall:
    """Return the progress of pieces of work on groups of videos, by their sizes."""
    return Overall([sum(video.stat().st_size for video in group) for group in groups])


def video_files(named: Sequence[Path]) -> list[Path]:
    """Return the videos that are named: files, and all of a folder, each once.

    DeepLabStreamError: one is not there, or a folder has none.
    """
    found: list[Path] = []
    for path in named:
        if path.is_dir():
            inside = sorted(
                file
                for file in path.iterdir()
                if file.suffix.lower() in ENDINGS and ".labeled." not in file.name
            )
            if not inside:
                images = any(file.suffix.lower() in SUFFIXES for file in path.iterdir())
                advice = (
                    ". It has images, whose poses PredictFrames estimates"
                    if images
                    else f" ({', '.join(sorted(ENDINGS))})"
                )
                raise DeepLabStreamError(f"{path} contains no video{advice}")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise DeepLabStreamError(f"{path}: there is no such video or folder")
    return list(dict.fromkeys(found))


def stems(videos: Sequence[Path]) -> dict[Path, str]:
    """Return what the files of each video are called; equal names get their ending."""
    times = Counter(video.stem for video in videos)
    names = {
        video: video.stem
        if times[video.stem] == 1
        else f"{video.stem}_{video.suffix.removeprefix('.')}"
        for video in videos
    }
    if len(set(names.values())) < len(videos):
        raise DeepLabStreamError(
            "two videos have the same name; write their predictions to different "
            "folders"
        )
    return names
