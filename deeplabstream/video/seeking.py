"""Seeking: jumps to key frames, and a check that they give the same frames as reading on.

A key frame of a container may not be decodable on its own. The decoder may need data from
the beginning of the file (x264 writes its build number there, and FFmpeg decodes 4:4:4
frames of old builds wrongly without it). The container may mark frames wrongly, or seek to
a wrong position. Before a file is seeked in, some of its key frames are decoded twice, after
a jump and in sequence, and the images are compared:

* Short files are decoded completely, and up to 16 key frames are compared.
* Of long ones the first two key frames are compared with decoding from the first frame on:
  this shows what a decoder needs from the beginning. Four more, spread to the end, are
  compared with decoding from the key frame before each. This costs a few groups of
  images, independent of the length of the file.

After one difference, the file is only read from its beginning. Every later jump is checked
too: the first frame after it must be the requested key frame, undamaged.

Results are kept in the user's cache, by path, size, time of modification and version of
FFmpeg.
"""

import logging
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from deeplabstream.core.errors import ModelError
from deeplabstream.files.user_cache import add_entries, cache_folder, read_entries
from deeplabstream.video.decoding import Converter, decode_frames, packets_of

if TYPE_CHECKING:
    from av import VideoStream
    from av.container import InputContainer
    from av.packet import Packet

    from deeplabstream.video.video_reader import Decoded, VideoReader

WHOLE_PX = 1_000_000_000
"""Largest number of pixels in all frames of a file that is checked completely."""
_OF_WHOLE, _AT_BEGINNING, _SPREAD = 16, 2, 4
"""Key frames that are compared."""
_COMPARED = 8
"""Frames compared from each key frame on, B-frames included."""
_TRIED = 3
"""Number of earlier key frames that are tried as targets."""
_CHECK = 1
"""Version of this check; results of earlier versions are ignored."""
_MOST_KEPT = 2000
"""Largest number of files in the cache."""

_FILE = "videos.json"
_trust: dict[tuple[str, int, int], bool] = {}
_looked_up: set[tuple[str, int, int]] = set()
_lock = Lock()
_log = logging.getLogger("video")


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Frames decoded in sequence, and the key frames among them that are compared."""

    start: int
    keys: tuple[int, ...]

    @property
    def stop(self) -> int:
        return self.keys[-1] + _COMPARED

    @property
    def frames(self) -> int:
        """Number of decoded frames, including jumps."""
        return self.stop - self.start + _COMPARED * len(self.keys)


def is_reliable(reader: "VideoReader") -> bool:
    """Return whether seeking in this file is reliable; checked on first use."""
    with _lock:
        known = _remembered(reader)
        if known is None:
            known = all(_same(reader, stretch) for stretch in _stretches(reader))
            _remember(reader, known)
        return known


def is_known_reliable(reader: "VideoReader") -> bool:
    """Return whether an earlier check found seeking reliable; does not check."""
    return _remembered(reader) is True


def cost(reader: "VideoReader") -> int:
    """Return how many frames the check decodes; 0: it was made before."""
    if _remembered(reader) is not None:
        return 0
    return sum(stretch.frames for stretch in _stretches(reader))


def _remembered(reader: "VideoReader") -> bool | None:
    """Return the result of this process or an earlier one; None: not checked."""
    known = _trust.get(reader.identity)
    if known is not None:
        return known
    if reader.identity in _looked_up:
        return None
    _looked_up.add(reader.identity)  # read the cache file once per video
    try:
        entry = read_entries(cache_folder() / _FILE).get(_key(reader), {})
    except ModelError:
        return None
    found = entry.get("jumps")
    if not isinstance(found, bool):
        return None
    _trust[reader.identity] = found
    if not found:
        _warn(reader)
    return found


def _remember(reader: "VideoReader", known: bool) -> None:
    _trust[reader.identity] = known
    if not known:
        _warn(reader)
    with suppress(ModelError):
        add_entries(
            cache_folder() / _FILE, {_key(reader): {"jumps": known}}, _MOST_KEPT
        )


def _key(reader: "VideoReader") -> str:
    """Return the key of a result in the cache."""
    from av import __version__, library_versions

    path, size, changed_ns = reader.identity
    codec = ".".join(str(part) for part in library_versions["libavcodec"])
    versions = f"check {_CHECK}, PyAV {__version__}, libavcodec {codec}"
    return f"{path}, {size} bytes, {changed_ns} ns, {versions}"


def _warn(reader: "VideoReader") -> None:
    _log.warning(
        "%s: seeking to a key frame gives other images than decoding from the beginning; "
        "the file is read from its beginning each time, which is slower",
        reader.path,
    )


def _stretches(reader: "VideoReader") -> list[_Stretch]:
    keys = [row for row in reader.entries[:, 0].tolist() if row > 0]
    if not keys:
        return []
    form = reader.form
    if len(reader) * form.width * form.height <= WHOLE_PX:
        return [_Stretch(0, tuple(_spread(keys, _OF_WHOLE)))]
    found = [_Stretch(0, tuple(keys[:_AT_BEGINNING]))]
    before = dict(zip(keys[1:], keys, strict=False))
    for key in _spread(keys[_AT_BEGINNING:], _SPREAD):
        found.append(_Stretch(before[key], (key,)))
    return found


def _spread(keys: list[int], count: int) -> list[int]:
    if len(keys) <= count:
        return keys
    places = np.linspace(0, len(keys) - 1, count).round().astype(int)
    return [keys[place] for place in places.tolist()]


def _same(reader: "VideoReader", stretch: _Stretch) -> bool:
    """Return whether seeking into a stretch gives the same frames as decoding it."""
    compared = {row for key in stretch.keys for row in range(key, key + _COMPARED)}
    one_go = reader.jumped(stretch.start) if stretch.start else reader.from_beginning()
    known = {
        decoded.row: mark
        for decoded, mark in _marked(one_go, stretch.stop, compared)
        if mark
    }
    for key in stretch.keys:
        jumped = _marked(reader.jumped(key), key + _COMPARED, compared)
        marks = {decoded.row: mark for decoded, mark in jumped if decoded.row >= key}
        own = range(key, key + _COMPARED)
        if any(row in known and marks.get(row) != known[row] for row in own):
            return False
    return True


def _marked(
    found: "Iterator[Decoded]", stop: int, compared: set[int]
) -> "Iterator[tuple[Decoded, int | None]]":
    """Yield frames up to row `stop` with a checksum of their pixels; None: damaged."""
    converter = Converter()
    for decoded in found:
        if decoded.row >= stop:
            return
        if decoded.row in compared:
            pixels = converter.pixels(decoded.frame, "bgr24")
            yield (
                decoded,
                None if decoded.damaged else zlib.crc32(pixels.tobytes()),
            )


def seek(
    reader: "VideoReader",
    container: "InputContainer",
    stream: "VideoStream",
    start: int,
) -> "tuple[int, Iterator[Packet[Any] | None]] | None":
    """Jump to a key frame before `start`; return its row and the packets from it on.

    The first packets of the file are decoded before, because the decoder may need them.
    None: seeking leads to no key frame of the index.
    """
    import av

    for packet in packets_of(container, stream):
        for _ in decode_frames(stream, [packet]):
            pass
        if packet is None or not packet.size or packet.is_keyframe:
            break
    known = {
        position if position >= 0 else pts: row
        for row, pts, _, position in reader.entries.tolist()
    }
    place = int(np.searchsorted(reader.entries[:, 0], start, side="right")) - 1
    for index in range(place, max(-1, place - _TRIED), -1):
        _, pts, dts, _ = reader.entries[index].tolist()
        for target in dict.fromkeys((pts, dts)):
            try:
                container.seek(target, stream=stream, backward=True)
            except av.error.FFmpegError:
                continue
            packets = packets_of(container, stream)
            for packet in packets:
                if packet is None or not packet.size:
                    break
                if packet.is_keyframe:
                    row = known.get(position_of(packet))
                    if row is not None and row <= start:
                        return row, chain([packet], packets)
                    break
    return None


def position_of(packet: "Packet[Any]") -> int:
    """Return the file position of a packet; its time where that is not known."""
    place = -1 if packet.pos is None else packet.pos
    return int(place if place >= 0 else packet.pts or 0)
