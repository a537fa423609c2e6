"""A video file gives every image flat out, and is punctual as live."""

from pathlib import Path

import av
import numpy as np
import pytest

from cameras.video import VideoFile
from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image
from deeplabstream.plugins.camera import CapturedFrame
from deeplabstream.video.decoding import video_format
from tests.cameras.videos import numbered_image, write_video


def captured(
    camera: VideoFile, at_most: int = 100
) -> list[tuple[CapturedFrame, Image]]:
    taken = []
    with camera.opened() as stream:
        image = np.empty(stream.format.shape, stream.format.dtype)
        while len(taken) < at_most and (shot := stream.read(image)):
            taken.append((shot, image.copy()))
    return taken


@pytest.mark.parametrize(
    ("grey", "dtype"), [(False, "uint8"), (True, "uint8"), (True, "uint16")]
)
def test_flat_out_it_gives_every_frame_as_it_was(
    tmp_path: Path, grey: bool, dtype: str
) -> None:
    path = write_video(tmp_path / "film.mkv", grey=grey, dtype=dtype)
    form = video_format(path)
    assert (form.shape, form.dtype) == (numbered_image(0, grey).shape, dtype)
    assert form.rate == pytest.approx(100)
    taken = captured(VideoFile(source=path, paced=False))
    assert [shot.index for shot, _ in taken] == list(range(10))
    assert [shot.exposed_ns for shot, _ in taken] == [i * 10**7 for i in range(10)]
    for index, (_, image) in enumerate(taken):
        assert np.array_equal(image, numbered_image(index, grey, dtype))


def test_reading_twice_gives_the_same_twice(tmp_path: Path) -> None:
    camera = VideoFile(source=write_video(tmp_path / "film.mkv"), paced=False)
    one, two = captured(camera), captured(camera)
    assert len(one) == 10
    for first, second in zip(one, two, strict=True):
        assert first[0] == second[0]
        assert np.array_equal(first[1], second[1])


def test_times_are_the_files_own_and_grow(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mkv", times_ms=[500, 510, 560, 561, 700])
    taken = captured(VideoFile(source=path, paced=False))
    assert [shot.exposed_ns for shot, _ in taken] == [
        0,
        10**7,
        6 * 10**7,
        61 * 10**6,
        2 * 10**8,
    ]


def test_as_live_its_frames_are_due_at_their_times(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mkv", times_ms=[0, 4, 8, 30, 31])
    taken = captured(VideoFile(source=path))
    assert taken[0][0].index == 0
    start_ns = taken[0][0].exposed_ns
    assert start_ns is not None
    own_ns = [0, 4_000_000, 8_000_000, 30_000_000, 31_000_000]
    for shot, _ in taken:
        assert shot.exposed_ns == start_ns + own_ns[shot.index]
    assert SystemClock().now_ns() >= start_ns + 31_000_000


def test_as_live_who_reads_late_has_lost_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mkv", times_ms=list(range(25)))
    clock = SystemClock()
    with VideoFile(source=path).opened() as stream:
        image = np.empty(stream.format.shape, np.uint8)
        first = stream.read(image)
        assert first is not None
        assert first.exposed_ns is not None
        while clock.now_ns() < first.exposed_ns + 10_500_000:
            pass
        second = stream.read(image)
        assert second is not None
        assert second.index >= 10
        assert np.array_equal(image, numbered_image(second.index))
        assert stream.knows_losses


def test_repeated_it_goes_on_counting(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mkv", frames=3)
    taken = captured(VideoFile(source=path, paced=False, repeat=True), at_most=8)
    assert [shot.index for shot, _ in taken] == list(range(8))
    assert [shot.exposed_ns for shot, _ in taken] == [i * 10**7 for i in range(8)]
    assert np.array_equal(taken[4][1], numbered_image(1))


def test_a_video_that_is_missing_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(DeviceError, match=r"nothing\.mp4: video not found"),
        VideoFile(source=tmp_path / "nothing.mp4").opened(),
    ):
        pass


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("not a film")
    with pytest.raises(DeviceError, match=r"notes\.mp4 is not a readable video"):
        video_format(path)


def test_a_file_whose_codec_is_not_known_is_named(tmp_path: Path) -> None:
    """The header at its end is cut off."""
    path = write_video(tmp_path / "film.mp4", 25, codec="png")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 9 // 10])
    with (
        pytest.raises(DeviceError, match=r"film\.mp4 (is damaged|is not|holds no)"),
        VideoFile(source=path).opened(),
    ):
        pass


def test_a_file_without_frames_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(DeviceError, match="holds no frames"):
        video_format(path)


def test_a_frame_that_does_not_decode_is_lost_and_the_others_keep_their_numbers(
    tmp_path: Path,
) -> None:
    path = write_video(tmp_path / "film.mov", frames=20, codec="png")
    camera = VideoFile(source=path, paced=False, repeat=False)
    whole = numbers_of(camera)
    assert whole == list(range(20))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    found = numbers_of(camera)
    assert found[-1] == 19
    assert 1 <= len(set(whole) - set(found)) <= 2


def numbers_of(camera: VideoFile) -> list[int]:
    with camera.opened() as stream:
        image = np.empty(stream.format.shape, stream.format.dtype)
        found = []
        while shot := stream.read(image):
            found.append(shot.index)
    return found


def test_videos_of_a_rig_begin_at_one_time_however_late_each_is_opened(
    tmp_path: Path,
) -> None:
    path = write_video(tmp_path / "film.mkv")
    start_ns = SystemClock().now_ns()
    first = []
    for _ in range(2):
        with VideoFile(source=path).opened() as stream:
            stream.begin(start_ns)
            image = np.empty(stream.format.shape, stream.format.dtype)
            shot = stream.read(image)
            assert shot is not None
            assert shot.exposed_ns is not None
            first.append(shot.exposed_ns - shot.index * 10**7)
    assert first == [start_ns, start_ns]
