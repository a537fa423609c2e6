"""What a video reader must never do: show another picture, or a made-up one, silently."""

import logging
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from cameras.video import VideoFile
from deeplabstream.core.errors import DeviceError
from deeplabstream.files.user_cache import VARIABLE, cache_folder
from deeplabstream.recording.run_repair import frame_count
from deeplabstream.video import seeking
from deeplabstream.video.decoding import (
    Converter,
    Decoder,
    JpegDecoder,
    video_format,
)
from deeplabstream.video.sequential_reading import sequential
from deeplabstream.video.video_reader import (
    Decoded,
    VideoCursor,
    VideoReader,
    open_video,
)
from outputs.screen.stimulus_video import StimulusVideo
from tests.cameras.servers import DAMAGES, textured_jpeg
from tests.offline.films import spoil, write_film
from tests.video.numbered import FRAMES, film, mjpeg, number_in, numbered

M3V1 = Path(__file__).parents[3] / "shared/data/openfield/videos/m3v1mp4.mp4"


def falsely_marked(path: Path, marked: int) -> Path:
    """Copy a film; a packet that needs others is marked as a key frame."""
    source = film(path.with_suffix(".source.mp4"), codec="mpeg4", bf="0")
    with av.open(str(source)) as whole, av.open(str(path), "w") as copy:
        stream = copy.add_stream_from_template(whole.streams.video[0])
        for place, packet in enumerate(whole.demux(video=0)):
            if packet.size:
                packet.stream = stream
                if place == marked:
                    packet.is_keyframe = True
                copy.mux(packet)
    return path


def painted(reader: VideoReader, start: int, count: int = 3) -> list[int]:
    found = []
    for picture in reader.images(start):
        assert picture.image is not None
        found.append(number_in(picture.image))
        if len(found) == count:
            break
    return found


def test_a_false_key_frame_is_found_and_the_file_read_from_its_beginning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reader = open_video(falsely_marked(tmp_path / "false.mp4", 30))
    assert 30 in reader.entries[:, 0]
    with caplog.at_level(logging.WARNING):
        reader.prepare_jumps()
    assert "is read from its beginning each time" in caplog.text
    assert not seeking.is_reliable(reader)
    for start in (1, 29, 30, 31, 35, 50):
        assert painted(reader, start) == [start, start + 1, start + 2]


def test_a_long_file_is_checked_in_parts_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeking, "WHOLE_PX", 0)
    path = write_film(tmp_path / "long.mp4", numbered, 600, g="12")
    reader = open_video(path)
    assert seeking.cost(reader) < 300
    assert seeking.is_reliable(reader)
    assert seeking.cost(reader) == 0
    for start in (12, 25, 400, 590):
        assert painted(reader, start) == [start, start + 1, start + 2]


def test_a_false_key_frame_at_the_beginning_of_a_long_file_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeking, "WHOLE_PX", 0)
    reader = open_video(falsely_marked(tmp_path / "false.mp4", 5))
    assert not seeking.is_reliable(reader)


def test_many_frames_of_a_short_video_are_read_without_jumps(tmp_path: Path) -> None:
    reader = open_video(film(tmp_path / "film.mp4"))
    found = list(reader.images_at(np.array([3, 40, 41, 63])))
    assert [number_in(each.image) for each in found if each.image is not None] == [
        3,
        40,
        41,
        63,
    ]
    assert reader.identity not in seeking._trust


@pytest.mark.parametrize("bf", ["0", "3"])
def test_whatever_depends_on_damaged_data_is_marked(
    tmp_path: Path, bf: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = film(tmp_path / "film.mp4", bf=bf)
    whole = [each.image for each in open_video(path).images()]
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    start, size = places[15]
    data[start + size // 2 : start + size] = bytes(size - size // 2)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        found = list(open_video(path).images())
    assert len(found) == FRAMES
    other = [
        each.row
        for each, image in zip(found, whole, strict=True)
        if each.image is None or not np.array_equal(each.image, image)
    ]
    marked = {each.row for each in found if each.image is None or each.damaged}
    assert other
    assert set(other) <= marked
    assert len(marked) <= 16
    assert f"{path}: " in caplog.text
    assert "can't be decoded" in caplog.text


def test_half_a_jpeg_is_no_picture(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = mjpeg(tmp_path)
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    start, size = places[20]
    data[start + size // 2 : start + size + 8] = bytes(size - size // 2 + 8)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        found = list(open_video(path).images())
    assert [each.row for each in found if each.image is None] == [20]
    assert "1 frames can't be decoded, 0 are damaged" in caplog.text


def test_a_camera_in_whose_file_a_frame_is_damaged_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = film(tmp_path / "film.avi", codec="mpeg4", bf="0")
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    start, size = places[30]
    data[start + size * 3 // 4 : start + size] = bytes(size - size * 3 // 4)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        count = len(list(sequential(path)))
    assert count == FRAMES
    assert f"{path}: 0 frames can't be decoded, " in caplog.text
    assert "the first is frame 30" in caplog.text


SPOILED = {
    "mpeg4_avi": (".avi", {"codec": "mpeg4", "bf": "0"}, [50]),
    "mpeg4_avi_at_the_beginning": (".avi", {"codec": "mpeg4", "bf": "0"}, [20, 21]),
    "mpeg4_avi_with_b_frames": (".avi", {"codec": "mpeg4", "bf": "2"}, [26]),
    "h264_avi_without_times": (".avi", {"bf": "3"}, [20]),
    "h264_mkv": (".mkv", {"bf": "3"}, [30]),
}
"""Ending, how it is encoded, and packets whose data are overwritten with zeros."""


@pytest.mark.parametrize("name", SPOILED)
def test_frames_behind_a_lost_one_keep_their_numbers_however_they_are_read(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ending, how, packets = SPOILED[name]
    path = film(tmp_path / f"film{ending}", **how)
    spoil(path, packets)
    converter = Converter()
    with caplog.at_level(logging.WARNING):
        passed = [
            (found.number, number_in(converter.pixels(found.frame, "bgr24")))
            for found in sequential(path)
        ]
    assert passed[-1] == (FRAMES - 1, FRAMES - 1)
    lost = FRAMES - len(passed)
    assert lost > 0
    assert f"{path}: {lost} frames can't be decoded" in caplog.text
    assert "packets give no frame" not in caplog.text
    pictures = list(open_video(path).images())
    assert len(pictures) == FRAMES
    indexed = [
        (each.row, number_in(each.image)) for each in pictures if each.image is not None
    ]
    assert [row for row, _ in indexed] == [number for number, _ in passed]
    # Between a lost packet and the next key frame FFmpeg may repeat an older frame.
    unsure = {each.row for each in pictures if each.damaged}
    assert all(row == painted for row, painted in indexed if row not in unsure)
    assert all(row == painted for row, painted in passed if row not in unsure)


def test_a_camera_counts_the_frames_that_its_file_has_lost(tmp_path: Path) -> None:
    path = film(tmp_path / "film.avi", codec="mpeg4", bf="0")
    spoil(path, [50])
    with VideoFile(source=path, paced=False, repeat=True).opened() as opened:
        image = np.empty(opened.format.shape, opened.format.dtype)
        shots = []
        while len(shots) < 2 * FRAMES and (shot := opened.read(image)):
            shots.append((shot.index, number_in(image)))
            if shot.index >= FRAMES + 20:
                break
    first = [each for each in shots if each[0] < FRAMES]
    assert all(index == painted for index, painted in first)
    assert len(first) < FRAMES
    assert all(index - painted == FRAMES for index, painted in shots[len(first) :])


@pytest.mark.skipif(not M3V1.exists(), reason="the lab's video is not on this computer")
@pytest.mark.timeout(600)
def test_key_frames_that_need_the_beginning_of_the_file_decode(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its encoder's build number, which its 4:4:4 needs, stands in the first packet only."""
    reader = open_video(M3V1)
    with caplog.at_level(logging.WARNING):
        assert seeking.is_reliable(reader)  # compares key frames with reading in order
        for row in (182, 985, 2329):
            picture = next(iter(reader.images(row)))
            assert picture.row == row
            assert picture.image is not None
            assert not picture.damaged
            blue, green, red = picture.image.reshape(-1, 3).astype(float).mean(axis=0)
            assert abs(green - (blue + red) / 2) < 20  # a green frame: about 70
    assert not caplog.records


def declaring(path: Path, width: int, height: int) -> Path:
    """Write a small JPEG film whose headers declare frames of another size."""
    mjpeg(path.parent).rename(path)
    data = bytearray(path.read_bytes())
    frame = data.index(b"\xff\xc0")
    while frame >= 0:
        struct.pack_into(">HH", data, frame + 5, height, width)
        frame = data.find(b"\xff\xc0", frame + 1)
    struct.pack_into("<II", data, data.index(b"avih") + 8 + 32, width, height)
    struct.pack_into("<II", data, data.index(b"strf") + 8 + 4, width, height)
    path.write_bytes(data)
    return path


READERS: dict[str, Callable[[Path], object]] = {
    "open_video": open_video,
    "video_format": video_format,
    "sequential": lambda path: next(sequential(path)),
    "camera": lambda path: VideoFile(source=path).opened().__enter__(),
    "stimulus": StimulusVideo,
}


@pytest.mark.parametrize("side", [12000, 16000, 30000])
@pytest.mark.parametrize("reader", READERS)
def test_a_small_file_that_declares_huge_frames_is_refused(
    reader: str, side: int, tmp_path: Path
) -> None:
    path = declaring(tmp_path / "huge.avi", side, side)
    with pytest.raises(DeviceError, match="more than 134 million pixels"):
        READERS[reader](path)


def test_a_small_file_that_declares_huge_frames_takes_no_memory(tmp_path: Path) -> None:
    path = declaring(tmp_path / "huge.avi", 16000, 16000)
    words = (
        "import resource, sys; from pathlib import Path\n"
        "from deeplabstream.video.video_reader import open_video\n"
        "from deeplabstream.core.errors import DeviceError\n"
        "import av; av.open(sys.argv[2]).close()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: open_video(Path(sys.argv[1]))\n"
        "except DeviceError: pass\n"
        "else: sys.exit('it was opened')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    usual = film(tmp_path / "film.mp4")
    done = subprocess.run(
        [sys.executable, "-c", words, str(path), str(usual)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert int(done.stdout) < 200_000  # kB; a decoded frame has 375,000


def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process forget which files were checked, as a new one does not know."""
    monkeypatch.setattr(seeking, "_trust", {})
    monkeypatch.setattr(seeking, "_looked_up", set())


@pytest.mark.parametrize("good", [True, False])
def test_what_the_check_of_a_file_found_is_remembered(
    good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    path = tmp_path / "film.mp4"
    if good:
        film(path)
    else:
        falsely_marked(path, 30)
    assert seeking.is_reliable(open_video(path)) is good

    forgotten(monkeypatch)
    reader = open_video(path)
    assert seeking.cost(reader) == 0
    with monkeypatch.context() as patched:
        patched.setattr(seeking, "_same", None)  # not called
        assert seeking.is_reliable(reader) is good

    forgotten(monkeypatch)
    os.utime(path, (1, 1))  # it may be another file now
    assert seeking.cost(open_video(path)) > 0


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 3}', "[" * 100_000])
def test_a_damaged_memory_of_checks_is_ignored_and_written_anew(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    memory = cache_folder() / "videos.json"
    memory.write_text(text)
    reader = open_video(film(tmp_path / "film.mp4"))
    assert seeking.cost(reader) > 0
    assert seeking.is_reliable(reader)
    forgotten(monkeypatch)
    assert seeking.cost(reader) == 0


def test_frames_of_a_file_without_jumps_are_read_in_one_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = open_video(falsely_marked(tmp_path / "false.mp4", 30))
    reader.prepare_jumps()
    passes = []
    original = VideoReader.from_beginning

    def counted(self: VideoReader, decoder: Decoder = "cpu") -> Iterator[Decoded]:
        passes.append(1)
        return original(self, decoder)

    monkeypatch.setattr(VideoReader, "from_beginning", counted)
    found = list(reader.images_at(np.arange(0, FRAMES, 3)))
    assert [number_in(each.image) for each in found if each.image is not None] == list(
        range(0, FRAMES, 3)
    )
    assert len(passes) == 1
    with closing(VideoCursor(reader)) as cursor:
        for row in (2, 2, 30, 63):
            image = cursor.read(row).image
            assert image is not None
            assert number_in(image) == row
    assert len(passes) == 2


def real_jpegs() -> list[bytes]:
    """Return frames of a real video as JPEG files; none without the shared data."""
    if not M3V1.exists():
        return []
    capture = cv2.VideoCapture(str(M3V1))
    frames = [capture.read()[1] for _ in range(3)]
    return [np.asarray(cv2.imencode(".jpg", each)[1]).tobytes() for each in frames]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_jpeg_file_is_told_from_an_intact_one(
    damage: Callable[[bytes], bytes],
) -> None:
    decoder = JpegDecoder()
    for data in [textured_jpeg(0), *real_jpegs()]:
        assert decoder.image(damage(data)) is None
        image = decoder.image(data)
        whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert image is not None, "what came before is forgotten"
        assert np.mean(cv2.absdiff(image, np.asarray(whole, np.uint8))) < 2


def test_grey_jpeg_files_stay_grey_and_huge_ones_are_not_decoded() -> None:
    grey = np.arange(64 * 48, dtype=np.uint8).reshape(48, 64)
    data = np.asarray(cv2.imencode(".jpg", grey)[1]).tobytes()
    image = JpegDecoder().image(data)
    assert image is not None
    assert image.shape == (48, 64)
    assert JpegDecoder(most_pixels=64 * 47).image(data) is None
    assert JpegDecoder().image(b"") is None


@pytest.mark.parametrize("ending", [".avi", ".mkv", ".mp4"])
def test_a_title_that_is_not_utf_8_is_no_reason_to_refuse_a_video(
    tmp_path: Path, ending: str
) -> None:
    source, path = film(tmp_path / f"source{ending}"), tmp_path / f"film{ending}"
    with (
        av.open(str(source)) as whole,
        av.open(str(path), "w", metadata_encoding="latin-1") as copy,
    ):
        copy.metadata["title"] = "Mäuse"
        stream = copy.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.size:
                packet.stream = stream
                copy.mux(packet)
    assert b"M\xe4use" in path.read_bytes()
    assert len(list(open_video(path).images())) == FRAMES
    assert frame_count(path) == FRAMES


def test_a_transport_stream_in_which_a_stream_appears_ends_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = film(tmp_path / "film.ts", bf="0")
    data = bytearray(path.read_bytes())
    starts = range(0, len(data), 188)
    last = [at for at in starts if data[at + 1 : at + 3] == b"\x41\x00"][-1]
    data[last + 1] = 0x47  # one bit of a packet's number of its stream
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        found = list(open_video(path).images())
    assert FRAMES - 5 < len(found) <= FRAMES
    assert video_format(path).shape == (96, 128, 3)
