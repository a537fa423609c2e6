from pathlib import Path

import pytest

from deeplabstream.core.errors import DeviceError
from outputs.screen.stimulus_video import StimulusVideo
from tests.outputs.films import write_film

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture
def film(tmp_path: Path) -> StimulusVideo:
    path = tmp_path / "film.mkv"
    return StimulusVideo(write_film(path, ["#ff0000", "#00ff00", "#0000ff"], rate=10))


def shown(film: StimulusVideo, time_s: float) -> tuple[int, ...] | None:
    picture = film.image(time_s)
    return None if picture is None else tuple(picture[8, 8].tolist())


def test_each_picture_has_its_time(film: StimulusVideo) -> None:
    assert shown(film, 0.0) == RED
    assert film.due_s == pytest.approx(0.1)
    assert shown(film, 0.09) is None
    assert shown(film, 0.1) == GREEN
    assert shown(film, 0.2) == BLUE
    film.close()


def test_late_pictures_are_skipped(film: StimulusVideo) -> None:
    assert shown(film, 0.25) == BLUE
    film.close()


def test_it_begins_anew_at_its_end(film: StimulusVideo) -> None:
    seen = [shown(film, tenth / 10 + 0.001) for tenth in range(7)]
    assert seen == [RED, GREEN, BLUE, RED, GREEN, BLUE, RED]
    film.rewind()
    assert shown(film, 0.0) == RED
    film.close()


def test_what_is_no_video_is_a_sentence(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(DeviceError, match=r"text.mp4 is not a readable video: "):
        StimulusVideo(text)
