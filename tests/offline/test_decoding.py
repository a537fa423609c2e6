from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import DeviceError
from deeplabstream.video.video_reader import open_video, sample_rows
from tests.offline.films import brightest, dot_at, spoil, write_film

CONTAINERS = [
    ("film.mp4", "libx264"),
    ("film.mkv", "libx264"),
    ("film.mov", "libx264"),
    ("film.avi", "mjpeg"),
    ("film.avi", "mpeg4"),
    ("film.avi", "libx264"),
    ("film.mkv", "ffv1"),
    ("film.mp4", "mpeg4"),
]


def place_in(image: object) -> tuple[float, float]:
    assert isinstance(image, np.ndarray)
    x, y = brightest(image)[0].tolist()
    return x, y


@pytest.mark.parametrize(("name", "codec"), CONTAINERS)
def test_every_frame_is_a_row_in_order(tmp_path: Path, name: str, codec: str) -> None:
    rows = open_video(write_film(tmp_path / name, codec=codec))
    assert len(rows) == 20
    assert rows.rate == pytest.approx(50, rel=0.02)
    found = list(rows.images())
    assert [each.row for each in found] == list(range(20))
    for each in found:
        assert place_in(each.image) == pytest.approx(dot_at(each.row), abs=0.6)
    assert (np.diff([each.time_ns for each in found]) > 0).all()


@pytest.mark.parametrize(("name", "codec"), CONTAINERS)
def test_reading_may_begin_anywhere(tmp_path: Path, name: str, codec: str) -> None:
    rows = open_video(write_film(tmp_path / name, frames=60, codec=codec, g="12"))
    for start in (1, 11, 12, 13, 47, 59):
        found = list(rows.images(start))
        assert [each.row for each in found] == list(range(start, 60))
        for each in found:
            assert place_in(each.image) == pytest.approx(dot_at(each.row), abs=0.6)
    wanted = sample_rows(rows, 7)
    assert wanted.tolist() == [0, 10, 20, 30, 39, 49, 59]
    for each in rows.images_at(wanted):
        assert place_in(each.image) == pytest.approx(dot_at(each.row), abs=0.6)


def test_times_of_a_variable_rate_are_kept(tmp_path: Path) -> None:
    times_ms = [0, 10, 50, 51, 200, 1000]
    rows = open_video(write_film(tmp_path / "film.mkv", times_ms=times_ms))
    assert [each.time_ns // 1_000_000 for each in rows.images()] == times_ms


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_spoiled_frame_keeps_its_row(tmp_path: Path, ending: str) -> None:
    film = write_film(tmp_path / f"film.{ending}", frames=40, g="8", bf="0")
    spoil(film, [9, 10, 30])
    rows = open_video(film)
    found = list(rows.images())
    assert [each.row for each in found] == list(range(40))
    broken = {each.row for each in found if each.image is None or each.damaged}
    assert {9, 10, 30} <= broken
    whole = [each for each in found if each.row not in broken]
    assert len(whole) >= 20
    for each in whole:
        if each.row < 8 or 16 <= each.row < 24:
            assert place_in(each.image) == pytest.approx(dot_at(each.row), abs=0.6)


def test_an_intra_coded_film_loses_only_what_is_spoiled(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mov", codec="mjpeg")
    spoil(film, [3, 4, 19])
    found = list(open_video(film).images())
    lost = [each.row for each in found if each.image is None or each.damaged]
    assert len(found) == 20
    assert lost == [3, 4, 19]


def test_a_film_that_was_cut_off_gives_what_is_there(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mkv", frames=200, codec="ffv1")
    data = film.read_bytes()
    film.write_bytes(data[: len(data) // 2])
    rows = open_video(film)
    assert 60 < len(rows) < 140
    found = list(rows.images())
    assert len(found) == len(rows)
    assert sum(each.image is None for each in found) <= 1


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with pytest.raises(DeviceError, match="video not found"):
        open_video(path)
    path.write_bytes(b"no film" * 100)
    with pytest.raises(DeviceError, match="is not a readable video"):
        open_video(path)
