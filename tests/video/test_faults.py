"""What a video reader must never do: show another picture, or a made-up one, silently."""

import logging
from pathlib import Path

import av
import numpy as np
import pytest

from deeplabstream.video import seeking
from deeplabstream.video.decoding import sequential
from deeplabstream.video.video_reader import VideoReader, open_video
from tests.offline.films import write_film
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
    for picture in reader.pictures(start):
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
    assert not seeking.trusted(reader)
    for start in (1, 29, 30, 31, 35, 50):
        assert painted(reader, start) == [start, start + 1, start + 2]


def test_a_long_file_is_checked_in_parts_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeking, "WHOLE_PX", 0)
    path = write_film(tmp_path / "long.mp4", numbered, 600, g="12")
    reader = open_video(path)
    assert seeking.cost(reader) < 300
    assert seeking.trusted(reader)
    assert seeking.cost(reader) == 0
    for start in (12, 25, 400, 590):
        assert painted(reader, start) == [start, start + 1, start + 2]


def test_a_false_key_frame_at_the_beginning_of_a_long_file_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeking, "WHOLE_PX", 0)
    reader = open_video(falsely_marked(tmp_path / "false.mp4", 5))
    assert not seeking.trusted(reader)


def test_many_frames_of_a_short_video_are_read_without_jumps(tmp_path: Path) -> None:
    reader = open_video(film(tmp_path / "film.mp4"))
    found = list(reader.pictures_at(np.array([3, 40, 41, 63])))
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
    whole = [each.image for each in open_video(path).pictures()]
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(path.read_bytes())
    start, size = places[15]
    data[start + size // 2 : start + size] = bytes(size - size // 2)
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        found = list(open_video(path).pictures())
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
        found = list(open_video(path).pictures())
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
    assert f"{path}: 1 of {FRAMES} frames are damaged" in caplog.text


@pytest.mark.skipif(not M3V1.exists(), reason="the lab's video is not on this computer")
@pytest.mark.timeout(600)
def test_key_frames_that_need_the_beginning_of_the_file_decode(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its encoder's build number, which its 4:4:4 needs, stands in the first packet only."""
    reader = open_video(M3V1)
    with caplog.at_level(logging.WARNING):
        assert seeking.trusted(reader)  # compares key frames with reading in order
        for row in (182, 985, 2329):
            picture = next(iter(reader.pictures(row)))
            assert picture.row == row
            assert picture.image is not None
            assert not picture.damaged
            blue, green, red = picture.image.reshape(-1, 3).astype(float).mean(axis=0)
            assert abs(green - (blue + red) / 2) < 20  # a green frame: about 70
    assert not caplog.records
