"""Videos whose recorder was killed: how far they play, and how they become whole."""

import os
from pathlib import Path

import av

_SEGMENT = b"\x18\x53\x80\x67"
_UNKNOWN = b"\x01" + 7 * b"\xff"
"""A Matroska segment's size until the file is closed."""


def unfinished(path: Path) -> bool:
    """Return whether a Matroska file was never closed."""
    with path.open("rb") as file:
        head = file.read(4096)
    _, found, after = head.partition(_SEGMENT)
    return not found or after.startswith(_UNKNOWN)


def pictures(path: Path) -> int:
    """Return how many whole pictures a video has; 0 when it can't be read at all."""
    try:
        with av.open(str(path)) as video:
            return sum(1 for packet in video.demux(video=0) if packet.size)
    except (av.FFmpegError, OSError, IndexError):
        return 0


def size_of(path: Path) -> tuple[int, int]:
    """Return height and width of a video; 1, 1 when it can't be read at all."""
    try:
        with av.open(str(path)) as video:
            stream = video.streams.video[0]
            return stream.height, stream.width
    except (av.FFmpegError, OSError, IndexError):
        return 1, 1


def finished_copy(path: Path, copy: Path) -> int:
    """Write all whole pictures into a file that has its length and can be searched.

    Nothing is encoded again. Returns the number of pictures; with none there is no copy.
    """
    count = 0
    try:
        with (
            av.open(str(path)) as video,
            av.open(str(copy), "w", format="matroska") as whole,
        ):
            stream = whole.add_stream_from_template(video.streams.video[0])
            for packet in video.demux(video=0):
                if packet.size and not packet.is_corrupt:
                    packet.stream = stream
                    whole.mux(packet)
                    count += 1
    except (av.FFmpegError, IndexError) as error:
        if count == 0:
            copy.unlink(missing_ok=True)
            return 0
        if isinstance(error, OSError) and error.errno:
            copy.unlink(missing_ok=True)
            raise
    if count == 0:
        copy.unlink(missing_ok=True)
        return 0
    with copy.open("r+b") as file:
        os.fsync(file.fileno())
    return count
