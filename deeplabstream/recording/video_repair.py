"""Video repair: frame counts and closed copies of videos whose recorder was killed."""

import os
from pathlib import Path

import av

_SEGMENT = b"\x18\x53\x80\x67"
_UNKNOWN = b"\x01" + 7 * b"\xff"
"""Size of a Matroska segment until the file is closed."""


def is_unfinished(path: Path) -> bool:
    """Return whether a Matroska file was never closed."""
    with path.open("rb") as file:
        head = file.read(4096)
    _, found, after = head.partition(_SEGMENT)
    return not found or after.startswith(_UNKNOWN)


def frame_count(path: Path) -> int:
    """Return how many complete frames a video has; 0 when it can't be read."""
    try:
        with av.open(str(path)) as video:
            return sum(1 for packet in video.demux(video=0) if packet.size)
    except (av.FFmpegError, OSError, IndexError):
        return 0


def size_of(path: Path) -> tuple[int, int]:
    """Return height and width of a video; 1, 1 when it can't be read."""
    try:
        with av.open(str(path)) as video:
            stream = video.streams.video[0]
            return stream.height, stream.width
    except (av.FFmpegError, OSError, IndexError):
        return 1, 1


def copy_complete_frames(path: Path, copy: Path) -> int:
    """Copy all complete frames into a closed file, and return their number.

    Nothing is encoded again. Without frames there is no copy.
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
