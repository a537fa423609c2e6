"""Clips decoded by a graphics card: the packages' own calls, answered by the processor."""

import logging
import pickle
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Literal

import av
import cv2
import numpy as np
import pytest
import torch

from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.training.data.augmentation import Augmentation
from deeplabstream.training.data.clips import (
    ClipVideo,
    Read,
    draw_clip,
    open_clip_videos,
    read_clip,
)
from deeplabstream.training.data.gpu_clips import (
    OPEN,
    GpuReader,
    clip_reader,
    open_torchcodec,
)


def frames_of(file: str) -> np.ndarray:
    """Return all frames (frame, height, width, 3), RGB, by another decoder than ours."""
    with av.open(file) as container:
        decoded = container.decode(video=0)
        return np.stack([frame.to_ndarray(format="rgb24") for frame in decoded])


@dataclass
class FrameBatch:
    """As torchcodec has it."""

    data: torch.Tensor
    pts_seconds: torch.Tensor | None = None
    duration_seconds: torch.Tensor | None = None


class VideoDecoder:
    """As torchcodec 0.17 has it; the card is this processor."""

    def __init__(
        self,
        source: str | Path | bytes,
        *,
        stream_index: int | None = None,
        dimension_order: Literal["NCHW", "NHWC"] = "NCHW",
        num_ffmpeg_threads: int = 1,
        device: str | torch.device | None = None,
        seek_mode: Literal["exact", "approximate"] = "exact",
        transforms: Sequence[object] | None = None,
        output_dtype: object = torch.uint8,
        custom_frame_mappings: str | None = None,
    ) -> None:
        if str(source).endswith("odd.avi"):
            raise RuntimeError("no such codec on this card\nand a long story")
        assert isinstance(device, str)
        assert device.startswith("cuda")
        frames = frames_of(str(source))
        if str(source).endswith("turned.mp4"):
            frames = np.ascontiguousarray(frames.swapaxes(1, 2))
        if str(source).endswith("shifted.mp4"):
            frames = np.roll(frames, 1, axis=0)
        self.frames = torch.from_numpy(frames)
        if dimension_order == "NCHW":
            self.frames = self.frames.permute(0, 3, 1, 2)
        self.cpu_fallback: str = ""

    def __len__(self) -> int:
        return len(self.frames)

    def get_frames_in_range(self, start: int, stop: int, step: int = 1) -> FrameBatch:
        return FrameBatch(self.frames[start:stop:step])


class SimpleDecoder:
    """As PyNvVideoCodec 2.2 has it; frames speak DLPack."""

    def __init__(
        self,
        enc_file_path: str | Path,
        gpu_id: int = 0,
        cuda_context: int = 0,
        cuda_stream: int = 0,
        use_device_memory: bool = True,
        max_width: int = 0,
        max_height: int = 0,
        need_scanned_stream_metadata: int = 0,
        decoder_cache_size: int = 4,
        output_color_type: str = "NATIVE",
        bWaitForSessionWarmUp: bool = False,  # noqa: N803
        enableDecodeStats: bool = False,  # noqa: N803
    ) -> None:
        assert output_color_type == "RGB"
        assert gpu_id == 0
        assert use_device_memory
        self.frames = frames_of(str(enc_file_path))

    def __len__(self) -> int:
        return len(self.frames)

    def get_batch_frames_by_index(self, indices: list[int]) -> list[np.ndarray]:
        return [self.frames[index].copy() for index in indices]


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install both packages."""
    parent, decoders = ModuleType("torchcodec"), ModuleType("torchcodec.decoders")
    decoders.VideoDecoder = VideoDecoder  # type: ignore[attr-defined]
    other = ModuleType("PyNvVideoCodec")
    other.SimpleDecoder = SimpleDecoder  # type: ignore[attr-defined]
    other.OutputColorType = SimpleNamespace(RGB="RGB")  # type: ignore[attr-defined]
    for module in (parent, decoders, other):
        monkeypatch.setitem(sys.modules, module.__name__, module)


def film(file: Path, frames: int = 20) -> ClipVideo:
    """Return a video whose blue grows and whose red falls with the frame's number."""
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"mp4v"), 30, (96, 64))
    for index in range(frames):
        picture = np.empty((64, 96, 3), np.uint8)
        picture[:] = (10 * index, 60, 200 - 10 * index)
        cv2.rectangle(picture, (index, 10), (index + 20, 30), (255, 255, 255), -1)
        writer.write(picture)
    writer.release()
    (video,) = open_clip_videos([file], 4)
    return video


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("package", ["torchcodec.decoders", "PyNvVideoCodec"])
def test_a_card_gives_the_frames_that_the_processor_gives(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    package: str,
) -> None:
    if package == "PyNvVideoCodec":
        without(monkeypatch, "torchcodec.decoders")
    read, said = clip_reader("cuda")
    assert said == f"unlabelled clips are decoded on cuda by {package}"
    video = film(tmp_path / "film.mp4")
    ours, theirs = read(video, 7, 6), read_clip(video, 7, 6)
    assert len(ours) == len(theirs) == 6
    away = np.abs(np.stack(ours).astype(int) - np.stack(theirs))
    assert away.max() <= 2  # decoders round differently; red for blue would be 100
    clips = [clip(video, each) for each in (read, read_clip)]
    assert np.abs(clips[0].astype(int) - clips[1]).max() <= 2
    assert not caplog.records  # nothing came from the processor instead


def clip(video: ClipVideo, read: Read) -> np.ndarray:
    rng = np.random.default_rng(1)
    how = Augmentation(light=0)
    return draw_clip([video], 4, Fitting(32, 48), how, rng, read=read).images


@pytest.mark.usefixtures("packages")
def test_a_video_that_ends_too_early_gives_its_last_frame_again(tmp_path: Path) -> None:
    read, _ = clip_reader("cuda:0")
    video = film(tmp_path / "film.mp4")
    images = read(video, 17, 6)
    assert len(images) == 6
    np.testing.assert_array_equal(images[2], images[5])


@pytest.mark.usefixtures("packages")
def test_what_a_card_can_not_decode_the_processor_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read, _ = clip_reader("cuda")
    odd = film(tmp_path / "odd.avi")
    turned = film(tmp_path / "turned.mp4")
    shifted = film(tmp_path / "shifted.mp4")
    with caplog.at_level(logging.WARNING):
        for video in (odd, odd, turned, shifted):
            found, own = read(video, 3, 4), read_clip(video, 3, 4)
            np.testing.assert_array_equal(np.stack(found), np.stack(own))
    assert [record.getMessage() for record in caplog.records] == [
        f"{odd.file} is decoded on the CPU: no such codec on this card",
        f"{turned.file} is decoded on the CPU: 1 frames of (96, 64, 3) came, "
        "not of 96x64",
        f"{shifted.file} is decoded on the CPU: its frame 0 is another than the CPU's",
    ]


def test_without_a_package_the_processor_decodes_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "torchcodec.decoders")
    without(monkeypatch, "PyNvVideoCodec")
    assert clip_reader("cpu") == (read_clip, None)
    read, said = clip_reader("cuda")
    assert read is read_clip
    assert said == (
        "unlabelled clips are decoded on the CPU: torchcodec.decoders is not "
        "installed; PyNvVideoCodec is not installed"
    )


@pytest.mark.parametrize(("name", "gpus"), [("cuda", [0, 1]), ("cuda:1", [1, 2])])
def test_each_process_decodes_on_the_gpu_that_trains_it(
    monkeypatch: pytest.MonkeyPatch, name: str, gpus: list[int]
) -> None:
    read = GpuReader(name, open_torchcodec)
    assert read._gpu() == torch.device(name)  # one process
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    for rank, gpu in enumerate(gpus):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        assert read._gpu() == torch.device("cuda", gpu)


@pytest.mark.usefixtures("packages")
def test_a_reader_is_sent_to_other_processes_and_keeps_few_videos_open(
    tmp_path: Path,
) -> None:
    read = GpuReader("cuda", open_torchcodec)
    files = [film(tmp_path / f"{place}.mp4", 4) for place in range(OPEN + 2)]
    for video in files:
        read(video, 0, 2)
    assert len(read._decoders) == OPEN
    sent = pickle.loads(pickle.dumps(read))
    assert (sent.device, sent.opened) == ("cuda", open_torchcodec)
    np.testing.assert_array_equal(sent(files[0], 0, 2), read(files[0], 0, 2))
