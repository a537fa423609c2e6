import errno
import multiprocessing
import os
import signal
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import av
import numpy as np
import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image, ImageFormat
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.video.recording_options import Codec, RecordingOptions
from tests.recording.written_rows import rows

FORMATS = [
    ImageFormat((48, 64, 3), 30.0),
    ImageFormat((48, 64), 30.0),
    ImageFormat((49, 63, 3), 0.0),
    ImageFormat((49, 63), 120.0),
    ImageFormat((49, 63), 30.0, "uint16"),
]


def picture(form: ImageFormat, number: int) -> Image:
    """A ramp that moves, so that pictures can be told apart."""
    top = np.iinfo(form.dtype).max
    ramp = (np.arange(form.width) * 3 + 20 * number) % 200 * (top // 255)
    image = np.empty(form.shape, form.dtype)
    image[:] = ramp.reshape(1, -1, *[1] * (len(form.shape) - 2))
    return image


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


@pytest.mark.parametrize("form", FORMATS, ids=str)
def test_every_picture_comes_back_in_its_size_and_time(
    tmp_path: Path, form: ImageFormat
) -> None:
    times = [5_000_000_000 + n * 33_000_000 + n % 3 * 2_000_000 for n in range(20)]
    with VideoWriter(tmp_path / "top.mkv", form) as video:
        for number, time in enumerate(times):
            video.write(picture(form, number), 7 + number, time, time + 1000)
    frames = decoded(tmp_path / "top.mkv")
    assert [f.pts * f.time_base for f in frames] == pytest.approx(
        [(time - times[0]) / 1e9 for time in times], abs=0.001
    )
    assert {(f.height, f.width) for f in frames} == {form.shape[:2]}
    for number in (0, 11, 19):
        wanted = picture(form, number).astype(float)
        layout = {3: "bgr24", 2: "gray"}[len(form.shape)]
        layout = "gray16le" if form.dtype == "uint16" else layout
        found = frames[number].to_ndarray(format=layout)
        assert np.abs(found - wanted).mean() < 0.02 * wanted.max()
    header, *listed = rows(tmp_path / "top.frames.csv")
    assert header == [
        *("video_frame", "frame", "exposed_ns", "arrived_ns"),
        "device_id",
    ]
    assert listed == [
        [str(n), str(7 + n), str(time), str(time + 1000), ""]
        for n, time in enumerate(times)
    ]


# FFmpeg decodes H.264 without colour (which the file is) as if it had empty colour planes
CODECS: dict[Codec, tuple[str, str, str]] = {
    "h264": ("h264", "yuvj420p", "yuv420p"),
    "ffv1": ("ffv1", "gray", "bgr0"),
    "mjpeg": ("mjpeg", "gray", "yuvj420p"),
}


@pytest.mark.parametrize(
    "form", [ImageFormat((48, 64), 30), ImageFormat((48, 64, 3), 0)]
)
@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_keeps_grey_grey(
    tmp_path: Path, codec: Codec, form: ImageFormat
) -> None:
    with VideoWriter(tmp_path / "top.mkv", form, RecordingOptions(codec)) as video:
        for number in range(10):
            at = number * 33_000_000
            video.write(picture(form, number), number, at, at)
    name, grey, colour = CODECS[codec]
    frames = decoded(tmp_path / "top.mkv")
    with av.open(str(tmp_path / "top.mkv")) as container:
        assert container.streams.video[0].codec_context.name == name
    assert len(frames) == 10
    flat = len(form.shape) == 2
    assert frames[0].format.name == (grey if flat else colour)
    found = frames[9].to_ndarray(format="gray" if flat else "bgr24").astype(float)
    error = np.abs(found - picture(form, 9)).mean()
    assert error == 0 if codec == "ffv1" else error < 4


def test_a_frame_that_cannot_be_encoded_has_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = ImageFormat((48, 64), 30)

    def refuse(*frame: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    video = VideoWriter(tmp_path / "top.mkv", form, RecordingOptions("mjpeg"))
    with video:
        for number in range(4):
            if number == 3:
                monkeypatch.setattr(type(video._encoder), "encode", refuse)
            at = number * 33_000_000
            with suppress(OSError):
                video.write(picture(form, number), 10 + number, at, at)
    assert video.frames == len(decoded(tmp_path / "top.mkv")) == 3
    listed = list(rows(tmp_path / "top.frames.csv"))[1:]
    assert [row[1] for row in listed] == ["10", "11", "12"]


def test_more_than_8_bits_are_kept_whatever_is_asked(tmp_path: Path) -> None:
    form = ImageFormat((48, 64), 30, "uint16")
    recording_options = RecordingOptions("mjpeg")
    with VideoWriter(tmp_path / "top.mkv", form, recording_options) as video:
        video.write(picture(form, 3), 0, 0, 0)
    (frame,) = decoded(tmp_path / "top.mkv")
    assert (frame.to_ndarray(format="gray16le") == picture(form, 3)).all()
    (remark,) = recording_options.remarks("top", form)
    assert "ffv1" in remark


def test_a_card_that_cannot_encode_is_a_sentence(tmp_path: Path) -> None:
    try:
        VideoWriter(
            tmp_path / "top.mkv", FORMATS[1], RecordingOptions("h264_nvenc")
        ).close()
    except DeviceError as error:
        assert str(error).startswith("[Recording] CODEC = h264_nvenc can't be used")
        assert list(tmp_path.iterdir()) == []
    else:
        pytest.skip("there is a card that encodes")


def test_better_quality_is_larger(tmp_path: Path) -> None:
    qualities: dict[Codec, tuple[int, int]] = {"h264": (35, 10), "mjpeg": (40, 95)}
    noise = np.random.default_rng(1).integers(0, 255, (48, 64), np.uint8)
    for codec, (worse, better) in qualities.items():
        sizes = []
        for quality in (worse, better):
            path = tmp_path / f"{codec}{quality}.mkv"
            with VideoWriter(
                path, FORMATS[1], RecordingOptions(codec, quality)
            ) as video:
                video.write(noise, 0, 0, 0)
            sizes.append(path.stat().st_size)
        assert sizes[0] < sizes[1]


def test_times_that_stand_still_or_run_back_are_survived(tmp_path: Path) -> None:
    form = FORMATS[1]
    times = [0, 100, 100, 200, 150, 40_000_000, 40_100_000]
    with VideoWriter(tmp_path / "top.mkv", form) as video:
        for number, time in enumerate(times):
            video.write(picture(form, number), number, time, time)
    assert len(decoded(tmp_path / "top.mkv")) == len(times)


def test_an_empty_take_can_be_closed(tmp_path: Path) -> None:
    VideoWriter(tmp_path / "top.mkv", FORMATS[0]).close()
    assert len(list(rows(tmp_path / "top.frames.csv"))) == 1


def test_an_older_take_is_not_overwritten(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "top.mkv", FORMATS[0]) as video:
        video.write(picture(FORMATS[0], 0), 0, 0, 0)
    before = (tmp_path / "top.mkv").read_bytes()
    with pytest.raises(FileExistsError):
        VideoWriter(tmp_path / "top.mkv", FORMATS[0])
    assert (tmp_path / "top.mkv").read_bytes() == before


def film_until_killed(path: Path, frames: int, conn: Connection) -> None:
    form = FORMATS[0]
    video = VideoWriter(path, form)
    for number in range(frames):
        time = number * 20_000_000
        video.write(picture(form, number), number, time, time)
    conn.send(frames)
    conn.recv()


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_a_killed_recorder_loses_less_than_half_a_second(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    path = tmp_path / "top.mkv"
    process = context.Process(target=film_until_killed, args=(path, 200, there))
    process.start()
    there.close()
    written = here.recv()
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    process.close()
    here.close()
    assert len(decoded(path)) >= written - 25
    assert len(list(rows(path.with_suffix(".frames.csv")))) == 1 + written
