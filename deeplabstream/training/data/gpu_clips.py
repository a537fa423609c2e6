"""Clips decoded on a GPU, through torchcodec or PyNvVideoCodec.

Only decoding changes: whole frames, BGR, go through the same windows
(`deeplabstream.pose.image_fitting`) as those decoded on the CPU. What the GPU can't
decode is decoded on the CPU.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from deeplabstream.core.frame import Image
from deeplabstream.training.data.clips import ClipVideo, Read, read_clip
from deeplabstream.video.video_reader import sample_rows

OPEN = 8
"""Videos that are kept open: each takes memory of the GPU."""
_COMPARED = 3
"""Frames of each video that are compared with the CPU's."""
_ROUNDING = 0.05
"""Mean grey levels that decoders may differ by."""
Decoder: TypeAlias = Callable[[int, int], Tensor]
"""Gives the frames from one number to before another: (frame, height, width, 3), RGB."""
Open: TypeAlias = Callable[[Path, torch.device], Decoder]

_log = logging.getLogger("training")


def clip_reader(device: str) -> tuple[Read, str | None]:
    """Return a reader of clips for a network on `device`, and a sentence about it.

    On a CPU there is no sentence.
    """
    if torch.device(device).type != "cuda":
        return read_clip, None
    faults = []
    for package, opened in DECODERS.items():
        try:
            import_module(package)
        except ModuleNotFoundError as error:
            faults.append(f"{error.name} is not installed")
        # missing drivers or FFmpeg raise many types of exceptions
        except Exception as error:
            faults.append(f"{package} does not load: {_first_line(error)}")
        else:
            reader = GpuReader(device, opened)
            return reader, f"unlabelled clips are decoded on {device} by {package}"
    return (
        read_clip,
        f"unlabelled clips are decoded on the CPU: {'; '.join(faults)}",
    )


@dataclass
class GpuReader:
    """Reads clips like `read_clip`; usable from several threads, and can be sent."""

    device: str
    opened: Open
    _decoders: OrderedDict[Path, Decoder] = field(
        default_factory=OrderedDict, init=False, repr=False
    )
    _refused: set[Path] = field(default_factory=set, init=False, repr=False)
    _lock: threading.Lock = field(
        default_factory=threading.Lock, init=False, repr=False
    )

    def __call__(self, video: ClipVideo, start: int, length: int) -> list[Image]:
        """Return consecutive frames, BGR; a video that ends too early, its last again."""
        if video.file not in self._refused:
            try:
                return self._read(video, start, length)
            except Exception as error:  # drivers and FFmpeg can raise any exception
                self._refused.add(video.file)
                _log.warning(
                    "%s is decoded on the CPU: %s", video.file, _first_line(error)
                )
        return read_clip(video, start, length)

    def _read(self, video: ClipVideo, start: int, length: int) -> list[Image]:
        with self._lock:
            decode = self._decoders.pop(video.file, None)
            if decode is None:
                decode = self.opened(video.file, self._gpu())
                _check_numbers(decode, video)
            self._decoders[video.file] = decode
            if len(self._decoders) > OPEN:
                self._decoders.popitem(last=False)
            images = _images(decode, video, start, start + length)
        return [images[min(place, len(images) - 1)] for place in range(length)]

    def _gpu(self) -> torch.device:
        """Return the GPU of this process; several have consecutive ones."""
        device = torch.device(self.device)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            rank = torch.distributed.get_rank()
            return torch.device(device.type, (device.index or 0) + rank)
        return device

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what another process needs; it opens the videos again."""
        return type(self), (self.device, self.opened)


def _images(
    decode: Decoder, video: ClipVideo, start: int, stop: int
) -> NDArray[np.uint8]:
    """Return frames as BGR; ValueError: they have another size than the video."""
    frames = decode(start, stop)
    images = np.ascontiguousarray(frames.flip(-1).cpu().numpy(), np.uint8)
    if not len(images) or images.shape[1:] != (*video.shape, 3):
        height, width = video.shape
        raise ValueError(
            f"{len(images)} frames of {images.shape[1:]} came, not of {width}x{height}"
        )
    return images


def _check_numbers(decode: Decoder, video: ClipVideo) -> None:
    """Raise ValueError when frame numbers differ from those on the CPU.

    In some places a frame must be most similar to the one of its number, not a
    neighbour.
    """
    for row in sample_rows(video.reader, _COMPARED).tolist():
        first = max(0, row - 1)
        own = np.stack(read_clip(video, first, min(3, video.frames - first)))
        image = _images(decode, video, row, row + 1)[0]
        away = np.abs(own.astype(np.int16) - image).mean(axis=(1, 2, 3))
        if away[row - first] > away.min() + _ROUNDING:
            raise ValueError(f"its frame {row} is another than the CPU's")


def open_torchcodec(file: Path, device: torch.device) -> Decoder:
    """Return torchcodec's decoder of a video; frames are found by counting them."""
    decoders = import_module("torchcodec.decoders")
    decoder = decoders.VideoDecoder(
        str(file), dimension_order="NHWC", device=str(device), seek_mode="exact"
    )
    if fallback := getattr(decoder, "cpu_fallback", None):
        raise ValueError(str(fallback))

    def decode(start: int, stop: int) -> Tensor:
        frames: Tensor = decoder.get_frames_in_range(
            start, min(stop, len(decoder))
        ).data
        return frames

    return decode


def open_pynvvideocodec(file: Path, device: torch.device) -> Decoder:
    """Return PyNvVideoCodec's decoder of a video."""
    codec = import_module("PyNvVideoCodec")
    decoder = codec.SimpleDecoder(
        str(file),
        gpu_id=device.index or 0,
        use_device_memory=True,
        output_color_type=codec.OutputColorType.RGB,
    )

    def decode(start: int, stop: int) -> Tensor:
        places = list(range(start, min(stop, len(decoder))))
        frames = decoder.get_batch_frames_by_index(places)
        return torch.stack([from_dlpack(frame) for frame in frames])

    return decode


DECODERS: dict[str, Open] = {
    "torchcodec.decoders": open_torchcodec,
    "PyNvVideoCodec": open_pynvvideocodec,
}
"""In the order in which they are tried."""


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
