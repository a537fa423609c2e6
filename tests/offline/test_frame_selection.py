from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.offline.frame_selection import (
    cover,
    pick,
    postures,
    write_images,
)
from deeplabstream.pose.image_files import read_image
from deeplabstream.training.data.label_book import open_book
from deeplabstream.training.lightning_pose.result_tables import write_predictions
from deeplabstream.video.video_reader import open_video
from tests.offline.scenes import analysed, film
from utils.PickFrames import main


def test_one_frame_of_each_scene_is_picked(tmp_path: Path) -> None:
    rows = open_video(film(tmp_path / "scenes.mkv"))
    picked = pick(rows, 5)
    assert sorted(picked // 12) == [0, 1, 2, 3, 4]
    assert pick(rows, 5).tolist() == picked.tolist(), "the same seed, the same frames"
    assert pick(rows, 100).tolist() == list(range(60)), "there are no more"


def test_an_image_that_was_half_written_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images that are there stay, so a half one would stay for ever."""
    rows, into = open_video(film(tmp_path / "scenes.mkv")), tmp_path / "images"
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        write(path, data[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space"):
            write_images(rows, np.array([3]), into)
    assert [*into.iterdir()] == []
    (path,) = write_images(rows, np.array([3]), into)
    assert read_image(path) is not None


def test_frames_cover_clusters_before_outliers_and_not_what_is_labelled() -> None:
    near = np.random.default_rng(0).normal(0, 0.1, (41, 2)).astype(np.float32)
    near[20:40] += (10, 0)
    near[40] = (5, 12)  # like no other frame
    alike = np.ones(41)
    first, second, third = cover(near, alike, 3).tolist()
    assert {first // 20, second // 20} == {0, 1}
    assert third == 40
    (beside,) = cover(near, alike, 1, [3]).tolist()
    assert 20 <= beside < 40, "frame 3 stands for the first cluster"
    uncertain = np.where(np.arange(41) < 20, 1.0, 0.0)
    assert cover(near, uncertain, 1).item() < 20
    both = cover(near, uncertain, 2).tolist()
    assert {place // 20 for place in both} == {0, 1}, "certain frames count, too"
    assert sorted(cover(near, np.zeros(41), 99).tolist()) == list(range(41))
    assert cover(near[:0], alike[:0], 3).tolist() == []


def test_the_program_writes_pictures_once(tmp_path: Path) -> None:
    video = film(tmp_path / "scenes.mkv")
    asked = [str(video), "--into", str(tmp_path / "labels"), "--count", "5"]
    assert main(asked) == 0
    files = sorted((tmp_path / "labels/labeled-data/scenes").glob("*.png"))
    assert len(files) == 5
    image = cv2.imread(str(files[0]), cv2.IMREAD_UNCHANGED)
    assert image is not None
    assert image.shape[:2] == (48, 64)
    before = [file.stat().st_mtime_ns for file in files]
    assert main(asked) == 0, "five more"
    assert len(list(files[0].parent.glob("*.png"))) == 10
    assert [file.stat().st_mtime_ns for file in files] == before


def test_no_frame_with_a_drawing_is_picked(tmp_path: Path) -> None:
    run = analysed(tmp_path)
    assert run.videos == [tmp_path / "scenes.mkv"]
    words = [str(run.path), "--into", str(tmp_path / "labels"), "--count", "2"]
    assert main(words) == 0
    (folder,) = (tmp_path / "labels/labeled-data").iterdir()
    assert folder.name == "run_scenes"
    recorded = film(run.path / "top.mkv")
    assert run.videos == [recorded]
    (run.path / "run.json").write_text("{")
    assert run.videos == [recorded]


def test_a_video_that_is_none_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "nowhere"), "--into", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "nowhere: there is no such video or run folder" in said


def table(path: Path, rows: int = 60) -> Path:
    """Write a table of two points: nine in ten frames alike, the rest stretched."""
    lines = ["scorer,m,m,m,m,m,m", "bodyparts,nose,nose,nose,tail,tail,tail"]
    lines.append("coords" + ",x,y,likelihood" * 2)
    for row in range(rows):
        length = 30 if row >= 54 else 10
        lines.append(f"{row},{20 + length / 2},24,1,{20 - length / 2},24,1")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_frames_are_picked_by_posture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = film(tmp_path / "scenes.mkv")
    asked = [str(video), "--into", str(tmp_path / "labels"), "--count", "2"]
    poses = ["--poses", str(table(tmp_path / "poses.csv"))]
    assert main([*asked, *poses]) == 0
    files = (tmp_path / "labels/labeled-data/scenes").glob("*.png")
    first, second = sorted(int(file.stem[3:]) for file in files)
    assert first < 54 <= second
    table(tmp_path / "poses.csv", 59)
    assert main([*asked, *poses]) == 2
    assert "has 59 rows" in capsys.readouterr().err


def test_postures_count_shape_and_place_alike_and_gaps_as_usual() -> None:
    points = np.zeros((4, 1, 2, 2))
    points[:, 0, 0] = [(0, 0), (100, 0), (0, 0), (100, 0)]  # place
    points[:, 0, 1] = points[:, 0, 0] + [(10, 0), (10, 0), (-10, 0), (-10, 0)]
    values = postures(points)
    away = np.linalg.norm(values - values[0], axis=1)
    assert away[0] < away[1] < away[3]
    points[2, 0, 1] = np.nan
    points[3] = np.nan
    assert np.isfinite(postures(points)).all()


def test_tracks_of_a_video_pre_label_its_frames(tmp_path: Path) -> None:
    video, table, labels = (
        film(tmp_path / "a.mkv"),
        tmp_path / "a.csv",
        tmp_path / "labels",
    )
    frames = np.arange(60, dtype=np.float32)
    points = np.zeros((60, 4, 2), np.float32)
    points[..., 0], points[..., 1] = frames[:, None] / 2, [1, 2, 3, 4]
    rows = [str(frame) for frame in range(60)]
    sure = np.full((60, 4), 0.9, np.float32)
    write_predictions(table, "net", ["nose", "tail"], rows, points, sure, animals=2)
    words = [str(video), "--into", str(labels), "--count", "4"]
    assert main([*words, "--tracks", str(table)]) == 0
    book = open_book(labels)
    assert book.individuals == ("animal1", "animal2")
    assert book.proposed.all()
    for name, own in zip(book.names, book.points, strict=True):
        frame = int(Path(name).stem[3:])
        assert own.tolist() == [[frame / 2, y] for y in (1, 2, 3, 4)]
    with pytest.raises(SystemExit):
        main([str(video), *words, "--tracks", str(table)])
