from pathlib import Path

import cv2
import numpy as np
import pytest

from training.label_book import open_book
from training.labels import LabelsError, read_labels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a/img1.png", "a/img2.png", "b/img1.png"):
        file = tmp_path / "labeled-data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), np.zeros((48, 64, 3), np.uint8))
    return tmp_path


def test_what_is_placed_is_what_training_reads(folder: Path) -> None:
    book = open_book(folder, ["nose", "tail"])
    assert book.left == 3
    book.place(1, 0, 10.25, 20.5)
    book.accept(2)
    labels = read_labels(folder)
    assert labels.names == ("labeled-data/a/img2.png", "labeled-data/b/img1.png")
    assert labels.skeleton.bodyparts == ("nose", "tail")
    wanted = [[[10.25, 20.5], [np.nan, np.nan]], [[np.nan, np.nan]] * 2]
    assert np.array_equal(labels.points, np.array(wanted, np.float32), equal_nan=True)


def test_a_book_is_opened_again_as_it_was_left(folder: Path) -> None:
    book = open_book(folder, ["nose", "tail"], scorer="Ada")
    book.place(1, 1, 3, 4)
    again = open_book(folder, ["other"])
    assert again.bodyparts == ("nose", "tail")
    assert again.scorer == "Ada"
    at = again.names.index("labeled-data/a/img2.png")
    assert again.points[at, 1].tolist() == [3, 4]
    assert again.left == 2
    again.done[at] = False
    again.save()
    assert open_book(folder).left == 3, "all of it was taken back"


def test_deeplabcuts_own_table_is_gone_on_with(folder: Path) -> None:
    table = (
        "scorer,,,Bo,Bo\nbodyparts,,,nose,nose\ncoords,,,x,y\n"
        "labeled-data,a,img2.png,5,6\n"
    )
    (folder / "CollectedData.csv").write_text(table, encoding="utf-8")
    book = open_book(folder)
    assert (book.bodyparts, book.left) == (("nose",), 2)
    book.place(1, 0, 7, 8)
    assert len(read_labels(folder).names) == 2


def test_a_new_book_needs_body_parts(folder: Path) -> None:
    with pytest.raises(LabelsError, match="name its body parts"):
        open_book(folder)


def test_suggestions_are_no_labels_until_somebody_says_so(folder: Path) -> None:
    book = open_book(folder, ["nose"])
    book.suggest(0, np.array([[1, 2]], np.float32))
    assert book.left == 3
    book.accept(0)
    assert read_labels(folder).points.tolist() == [[[1, 2]]]
    book.suggest(0, np.array([[9, 9]], np.float32))
    assert book.points[0].tolist() == [[1, 2]]
