"""COCO's keypoint labels are read as those of other programs."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.data.projects import open_project
from utils.ConvertProject import main


def coco(folder: Path, **changes: object) -> Path:
    """Write two images, the first with two mice."""
    (folder / "images").mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / "images" / name), np.zeros((48, 64, 3), np.uint8))
    mouse = {"category_id": 1, "iscrowd": 0}
    content = {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 64, "height": 48},
            {"id": 9, "file_name": "b.png", "width": 64, "height": 48},
        ],
        "categories": [
            {
                "id": 1,
                "name": "mouse",
                "keypoints": ["nose", "tail"],
                "skeleton": [[1, 2]],
            }
        ],
        "annotations": [
            mouse | {"image_id": 7, "keypoints": [10, 11, 2, 20, 21, 1]},
            mouse | {"image_id": 7, "keypoints": [30, 31, 2, 0, 0, 0]},
            mouse | {"image_id": 9, "keypoints": [40, 41.5, 2, 50, 45, 2]},
            mouse | {"image_id": 9, "keypoints": [0, 0, 0, 0, 0, 0]},
        ],
    }
    file = folder / "labels.json"
    file.write_text(json.dumps(content | changes), "utf-8")
    return file


def test_points_edges_and_animals_are_read(tmp_path: Path) -> None:
    (tmp_path / "unpacked").mkdir()
    labels = open_project(coco(tmp_path), tmp_path / "unpacked", several=True).labels
    assert labels.skeleton.bodyparts == ("nose", "tail")
    assert labels.skeleton.edges == (("nose", "tail"),)
    assert [image.name for image in labels.images] == ["a.png", "b.png"]
    assert labels.animals == 2
    points = labels.points.reshape(2, 2, 2, 2)
    assert points[0, 0].tolist() == [[10, 11], [20, 21]]
    assert points[0, 1, 0].tolist() == [30, 31] and np.isnan(points[0, 1, 1]).all()
    assert points[1, 0].tolist() == [[40, 41.5], [50, 45]]
    assert not labels.known.reshape(2, 2, 2)[0, 1, 1]


def test_they_are_converted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "made.pkg.slp"
    assert main([str(coco(tmp_path)), "--output", str(made)]) == 0
    assert "2 labelled frames of 2 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"annotations": []}, "has no labelled keypoints"),
        ({"images": 3}, "is not a file of COCO's keypoint labels"),
        ({"images": [{"id": 7, "file_name": "c.png"}]}, "not a file of COCO's"),
        ({"categories": []}, "keypoints of 1 categories"),
    ],
)
def test_other_files_are_refused_in_a_sentence(
    tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    file = coco(tmp_path, **changes)
    (tmp_path / "unpacked").mkdir()
    with pytest.raises(LabelsError, match=sentence):
        open_project(file, tmp_path / "unpacked", several=True)
