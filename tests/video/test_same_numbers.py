"""Every program shows the same picture for the same frame number of a video."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from zlib import crc32

import av
import cv2
import numpy as np
import pytest

from cameras.video import VideoFile
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.gui.run_frames import RunFrames
from deeplabstream.offline.frame_selection import write_images
from deeplabstream.offline.ibl.motion_energy import Box, motion_energies
from deeplabstream.offline.pose_drawing import Look
from deeplabstream.offline.rendering import render
from deeplabstream.offline.video_inference import PrecomputedEstimator, predict
from deeplabstream.programs import check_network
from deeplabstream.programs.quantise_network import images_of_video as quantised
from deeplabstream.recording.exporters.labelled_video import _images as exported
from deeplabstream.training.data.clips import open_clip_videos, read_clip
from deeplabstream.video.video_reader import open_video, sample_rows
from outputs.screen.stimulus_video import StimulusVideo
from tests.video.numbered import BEGINS_AT, MADE, number_in, one_after_the_other
from utils import CheckNetwork
from utils.PickFrames import main as pick_frames

DATA = Path(__file__).parents[3] / "shared/data"
REAL = {
    "m3v1mp4": "openfield/videos/m3v1mp4.mp4",
    "test_vid": "mirror-mouse/videos/test_vid.mp4",
    "lips_002": "lips/videos/002_cal.avi",
    "lips_042": "lips/videos/042_sil.avi",
}
USED = 400
"""Packets of the real files that are used: two key frames at least come after the first."""
SEVERAL = 8
COMPARED = 30
"""Frames between which motion is compared."""

Numbered = Iterator[tuple[int, Image]]


def mark(image: Image) -> int:
    """Return a whole number that float32 holds exactly, another for another picture."""
    return crc32(np.ascontiguousarray(image).tobytes()) & 0xFFFFFF


MARK = Skeleton(("mark",))


@dataclass
class Marker:
    """A network whose point is at (the picture's mark, 0)."""

    skeleton: Skeleton = MARK
    threshold: float = 0.5
    provider: str = "test"
    sha256: str = "marks"

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        return [
            Pose(
                self.skeleton,
                np.array([[[mark(image), 0]]], np.float32),
                np.ones((1, 1), np.float32),
            )
            for image in images
        ]


def some(count: int) -> list[int]:
    """Return frame numbers all over a video, not in order."""
    places = np.linspace(0, count - 1, SEVERAL).astype(int).tolist()
    return [*places[::2], *places[1::2]]


def training_clips(path: Path, _: Path) -> Numbered:
    (video,) = open_clip_videos([path], 3)
    for start in some(video.frames - 2):
        yield from enumerate(read_clip(video, start, 3), start)


def label_pictures(path: Path, folder: Path) -> Numbered:
    reader = open_video(path)
    for jump in (False, True):
        if jump:
            reader.prepare_jumps()
        into = folder / f"pictures{jump}"
        for file in write_images(reader, np.sort(some(len(reader))), into):
            image = cv2.imread(str(file))
            assert image is not None
            yield int(file.stem[3:]), np.asarray(image, np.uint8)


def analysed(path: Path, _: Path) -> Numbered:
    frames = PrecomputedEstimator(Marker()).frames(open_video(path).images(), "top")
    for frame in frames:
        yield frame.index, frame.image.copy()


def camera(path: Path, _: Path) -> Numbered:
    with VideoFile(source=path, paced=False).opened() as film:
        image = np.empty(film.format.shape, film.format.dtype)
        while shot := film.read(image):
            yield shot.index, image.copy()


def rendered(path: Path, folder: Path) -> Numbered:
    plain = Look(text=False, edges=False)
    render(path, folder / "rendered.mkv", [], plain, codec="ffv1")
    yield from enumerate(one_after_the_other(folder / "rendered.mkv"))


def quantising(path: Path, _: Path) -> Numbered:
    rows = sample_rows(open_video(path), SEVERAL).tolist()
    yield from zip(rows, quantised(path, SEVERAL), strict=True)


def run_review(path: Path, _: Path) -> Numbered:
    thread = RunFrames()
    for row in some(len(open_video(path))):
        image = thread._image(path, row)
        assert image is not None
        yield row, image


def stimulus(path: Path, _: Path) -> Numbered:
    film = StimulusVideo(path)
    for number in range(len(open_video(path))):
        image = film.image(film.due_s)
        assert image is not None
        yield number, np.asarray(image[..., ::-1], np.uint8)
    film.close()


def labelled_video(path: Path, _: Path) -> Numbered:
    yield from enumerate(exported(path))


READ: MappingProxyType[str, Callable[[Path, Path], Numbered]] = MappingProxyType(
    {
        program.__name__: program
        for program in (
            training_clips,
            label_pictures,
            analysed,
            camera,
            rendered,
            quantising,
            run_review,
            stimulus,
            labelled_video,
        )
    }
)


@dataclass
class Known:
    """A video, and the marks of its pictures as they come when all are decoded in order."""

    name: str
    path: Path
    marks: list[int]


@pytest.fixture(scope="module", params=[*MADE, *REAL])
def known(request: pytest.FixtureRequest, tmp_path_factory: object) -> Known:
    assert isinstance(tmp_path_factory, pytest.TempPathFactory)
    folder = tmp_path_factory.mktemp("videos")
    name = request.param
    if name in MADE:
        path = MADE[name](folder)
    else:
        path = DATA / REAL[name]
        if not path.exists():
            pytest.skip(f"{REAL[name]} is not on this computer")
        if path.suffix == ".mp4":
            path = beginning(path, folder / path.name, USED)
    return Known(name, path, [mark(image) for image in one_after_the_other(path)])


def beginning(path: Path, part: Path, packets: int) -> Path:
    """Copy the first packets of a file."""
    with av.open(str(path)) as whole, av.open(str(part), "w") as copy:
        stream = copy.add_stream_from_template(whole.streams.video[0])
        for place, packet in enumerate(whole.demux(video=0)):
            if place == packets:
                break
            packet.stream = stream
            copy.mux(packet)
    return part


def test_frames_have_the_numbers_painted_in(known: Known) -> None:
    if known.name not in MADE:
        pytest.skip("nothing is painted into this one")
    painted = [number_in(image) for image in one_after_the_other(known.path)]
    begin = BEGINS_AT.get(known.name, 0)
    assert painted == list(range(begin, begin + len(known.marks)))
    found = list(open_video(known.path).images())
    assert [
        number_in(each.image) for each in found if each.image is not None
    ] == painted
    assert not any(each.damaged for each in found)


EVERYWHERE = ("training_clips", "run_review", "analysed")
"""Programs tried on all videos: jumps in clips, single jumps, reading in order."""
HARDEST = ("variable_rate", "open_gop", "cut_at_the_front", "our_own")
"""Videos on which the other programs are tried: they have the same reader.

tests/test_architecture.py proves that nothing else opens videos.
"""
PAIRS = [
    (video, program)
    for video in (*MADE, *REAL)
    for program in READ
    if program in EVERYWHERE or video in HARDEST
]


@pytest.mark.parametrize(("known", "program"), PAIRS, indirect=["known"])
def test_a_program_shows_the_picture_of_its_number(
    known: Known, program: str, tmp_path: Path
) -> None:
    numbers = []
    for number, image in READ[program](known.path, tmp_path):
        assert mark(image) == known.marks[number], f"frame {number}"
        numbers.append(number)
    assert len(numbers) >= SEVERAL
    if program in ("analysed", "camera", "rendered", "stimulus", "labelled_video"):
        assert numbers == list(range(len(known.marks)))


def test_predictions_are_of_the_picture_of_their_row(known: Known) -> None:
    table = predict(known.path, Marker(), "marker").table
    assert table.points[:, 0, 0, 0].astype(int).tolist() == known.marks


def test_a_network_is_checked_on_the_pictures_that_were_labelled(
    known: Known,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [["scorer", "", "", "me", "me"], ["bodyparts", "", "", "mark", "mark"]]
    rows += [["coords", "", "", "x", "y"]]
    rows += [
        ["labeled-data", "film", f"img{number:05d}.png", str(known.marks[number]), "0"]
        for number in some(len(known.marks))
    ]
    table = tmp_path / "labels.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    monkeypatch.setattr(check_network, "open_estimator", lambda *_: Marker())
    words = ["--model", "marker", "--video", str(known.path), "--labels", str(table)]
    assert CheckNetwork.main(words) == 0
    assert "worst   0.0 px" in capsys.readouterr().out


def test_motion_is_between_neighbours(known: Known, tmp_path: Path) -> None:
    path = known.path
    if known.name in REAL and path.suffix == ".mp4":
        path = beginning(path, tmp_path / path.name, COMPARED + 20)
    images = list(one_after_the_other(path))[:COMPARED]
    grey = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(float) for image in images]
    expected = [np.abs(two - one).mean() for one, two in pairwise(grey)]
    height, width = images[0].shape[:2]
    found = motion_energies(path, {"all": Box(0, 0, width, height)})["all"]
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-5)


def test_pick_frames_writes_the_pictures_that_their_names_say(
    known: Known, tmp_path: Path
) -> None:
    words = [str(known.path), "--into", str(tmp_path), "--count", "6"]
    assert pick_frames(words) == 0
    files = sorted((tmp_path / "labeled-data" / known.path.stem).glob("*.png"))
    assert len(files) == 6
    for file in files:
        image = cv2.imread(str(file))
        assert image is not None
        assert mark(np.asarray(image, np.uint8)) == known.marks[int(file.stem[3:])]
