"""A dot in a video, cut out by boxes of changing size, found, and brought back."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.bounding_boxes import boxes_around, cut, read_boxes, smoothed
from deeplabstream.video.video_reader import open_video
from tests.offline.films import dot_at, write_film
from utils import CropFrames

HEAD = "scorer,me,me,me\nbodyparts,dot,dot,dot\ncoords,x,y,likelihood\n"


def table(points: list[tuple[float, float]], names: list[str]) -> str:
    rows = zip(names, points, strict=True)
    return HEAD + "".join(f"{name},{x},{y},0.9\n" for name, (x, y) in rows)


@pytest.mark.parametrize("rate", [25, 30, 250])
def test_a_known_dot_comes_back_through_changing_boxes(
    tmp_path: Path, rate: int
) -> None:
    film = write_film(tmp_path / "film.mp4", frames=40, rate=rate)
    lines = [",x,y,h,w"]
    for row in range(40):
        x, y = dot_at(row)
        side = 20 + 4 * (row % 4)
        lines.append(
            f"{row},{int(x) - side // 2 - 2},{int(y) - side // 2},{side},{side}"
        )
    boxes = tmp_path / "film_bbox.csv"
    boxes.write_text("\n".join(lines) + "\n")
    words = [
        "crop",
        str(film),
        "--boxes",
        str(boxes),
        "--output",
        str(tmp_path / "out"),
    ]
    assert CropFrames.main(words) == 0
    cropped = open_video(tmp_path / "out" / "film.mp4")
    assert len(cropped) == 40
    found = []
    for picture in cropped.images():
        assert picture.image is not None
        light = picture.image[..., 0].astype(float)
        weight = np.where(light > 120, light - 20, 0)
        y, x = np.mgrid[: light.shape[0], : light.shape[1]]
        found.append(
            ((weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum())
        )
    poses = tmp_path / "film.csv"
    poses.write_text(table(found, [str(row) for row in range(40)]))
    assert CropFrames.main(["remap", str(poses), str(boxes)]) == 0
    rows = (tmp_path / "remapped_film.csv").read_text().splitlines()[3:]
    back = np.array([[float(cell) for cell in row.split(",")[1:3]] for row in rows])
    truth = np.array([dot_at(row) for row in range(40)])
    assert np.abs(back - truth).max() < 0.5


def test_boxes_follow_the_points_and_stay_where_there_are_none() -> None:
    points = np.array(
        [[[np.nan, 0], [5, 5]], [[10, 20], [30, 24]], [[np.nan] * 2] * 2], float
    )
    boxes = boxes_around(["0", "1", "2"], points, ratio=2)
    assert boxes.values.tolist()[1] == [0, 2, 40, 40]
    assert boxes.values.tolist()[2] == boxes.values.tolist()[1]
    fixed = boxes_around(["0", "1", "2"], points, side=11)
    assert fixed.values[:, 2:].tolist() == [[12, 12]] * 3
    with pytest.raises(DeepLabStreamError, match="no point to compute a box from"):
        boxes_around(["0"], np.full((1, 1, 2), np.nan), ratio=2)


def test_a_median_takes_away_a_jump() -> None:
    points = np.zeros((9, 1, 2)) + 50
    points[4] += 300
    boxes = boxes_around([str(row) for row in range(9)], points, side=20)
    assert (smoothed(boxes, 5).values == boxes.values[0]).all()


def test_what_lies_outside_is_black_and_no_row_is_lost() -> None:
    image = np.arange(1, 49, dtype=np.uint8).reshape(6, 8)
    whole = cut(image, np.array([0, 0, 6, 8]))
    np.testing.assert_array_equal(whole, image)
    part = cut(image, np.array([6, -1, 3, 4]))
    assert part[0].max() == 0
    assert part[1:, :2].tolist() == [[7, 8], [15, 16]]
    assert part[:, 2:].max() == 0


def test_predictions_get_boxes(tmp_path: Path) -> None:
    poses = tmp_path / "walk.csv"
    poses.write_text(table([(50, 60), (52, 61)], ["0", "1"]))
    assert CropFrames.main(["boxes", str(poses), "--side", "20"]) == 0
    boxes = read_boxes(tmp_path / "walk_bbox.csv")
    assert boxes.of_video
    assert boxes.values[0].tolist() == [40, 50, 20, 20]
    assert CropFrames.main(["boxes", str(poses), "--anchors", "tail"]) == 2


def test_a_wrong_table_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.csv").write_text(",x,y\n0,1,2\n")
    words = ["crop", "a.mp4", "--boxes", str(tmp_path / "b.csv"), "--output", "c"]
    assert CropFrames.main(words) == 2
    assert (
        "is not a table of boxes with the columns x, y, h, w" in capsys.readouterr().err
    )


def test_what_is_cut_out_never_replaces_what_it_was_cut_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_film(tmp_path / "film.mp4", frames=3)
    before = film.read_bytes()
    boxes = tmp_path / "film_bbox.csv"
    boxes.write_text(",x,y,h,w\n" + "".join(f"{row},2,2,20,20\n" for row in range(3)))
    beside = ["--boxes", str(boxes), "--output", str(tmp_path / "out" / "..")]
    assert CropFrames.main(["crop", str(film), *beside]) == 2
    assert "Name another folder" in capsys.readouterr().err
    assert film.read_bytes() == before
    for wrong in ("--ratio=0", "--side=0", "--smooth=0"):
        with pytest.raises(SystemExit):
            CropFrames.main(["boxes", str(boxes), wrong])


def _labelled_project(folder: Path, names: Sequence[str]) -> tuple[Path, Path]:
    """Write label rows and boxes of these names; return both tables."""
    folder.mkdir(parents=True)
    labels, boxes = folder / "CollectedData.csv", folder / "bbox.csv"
    rows = "".join(f"{name},5,6\n" for name in names)
    labels.write_text("scorer,me,me\nbodyparts,dot,dot\ncoords,x,y\n" + rows)
    boxes.write_text(",x,y,h,w\n" + "".join(f"{name},2,2,8,8\n" for name in names))
    return labels, boxes


def _write_picture(file: Path) -> bytes:
    file.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(".png", np.full((20, 20, 3), 7, np.uint8))
    file.write_bytes(data.tobytes())
    return file.read_bytes()


@pytest.mark.parametrize("way", ["..", "absolute", "backslash"])
def test_crop_writes_no_picture_outside_of_its_output_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    victim = tmp_path / "victim" / "precious.png"
    name = {
        "..": "../victim/precious.png",
        "absolute": victim.as_posix(),
        "backslash": "..\\victim\\precious.png",
    }[way]
    good = "labeled-data/v/img0.png"
    labels, boxes = _labelled_project(tmp_path / "project", [good, name])
    _write_picture(labels.parent / good)
    before = _write_picture(victim)
    output = tmp_path / "out"
    words = ["crop", str(labels), "--boxes", str(boxes), "--output", str(output)]
    assert CropFrames.main(words) == 2
    assert "is outside the folder" in capsys.readouterr().err
    assert victim.read_bytes() == before
    assert not output.exists(), "nothing is written when one row is wrong"


def test_crop_replaces_no_picture_without_the_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "labeled-data/v/img5.png"
    labels, boxes = _labelled_project(tmp_path / "project", [name])
    for number in (4, 5):  # a neighbour, too
        _write_picture(labels.parent / f"labeled-data/v/img{number}.png")
    output = tmp_path / "out"
    theirs = output / "labeled-data/v/img4.png"
    before = _write_picture(theirs)
    words = ["crop", str(labels), "--boxes", str(boxes), "--output", str(output)]
    assert CropFrames.main(words) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert theirs.read_bytes() == before
    assert CropFrames.main([*words, "--overwrite"]) == 0
    assert theirs.read_bytes() != before
    assert (output / name).is_file()
    assert (output / "cropped_CollectedData.csv").is_file()
