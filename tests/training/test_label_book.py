from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.pose.ensemble import Ensemble
from deeplabstream.training.data.label_book import open_book
from deeplabstream.training.data.label_proposals import propose
from deeplabstream.training.data.labels import LabelsError, read_labels
from deeplabstream.training.data.projects import open_project


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
    book.accept(1)
    book.accept(2)
    labels = read_labels(folder)
    assert labels.names == ("labeled-data/a/img2.png", "labeled-data/b/img1.png")
    assert labels.skeleton.bodyparts == ("nose", "tail")
    wanted = [[[10.25, 20.5], [np.nan, np.nan]], [[np.nan, np.nan]] * 2]
    assert np.array_equal(labels.points, np.array(wanted, np.float32), equal_nan=True)


def test_an_image_is_labelled_when_all_is_placed_or_it_is_accepted(
    folder: Path,
) -> None:
    book = open_book(folder, ["nose", "tail"])
    book.place(1, 0, 10, 20)
    assert (book.left, book.unfinished.tolist()) == (3, [False, True, False])
    assert not (folder / "CollectedData.csv").exists()
    again = open_book(folder)
    assert again.points[1, 0].tolist() == [10, 20], "nothing is lost"
    assert again.unfinished[1]
    assert not again.proposed[1]
    assert propose(folder, _Finds()) == 2
    again = open_book(folder)
    assert again.points[1, 0].tolist() == [10, 20], "a person's, not a network's"
    again.place(1, 1, 30, 40)
    assert again.left == 2
    assert not (folder / "unfinished.csv").exists()
    again.remove(1, 1)
    assert again.left == 2, "it was labelled: the tail is not visible"
    again.restore(1, again.points[1].copy(), done=False, proposed=False)
    assert open_book(folder).unfinished[1]


def test_a_book_is_opened_again_as_it_was_left(folder: Path) -> None:
    book = open_book(folder, ["nose", "tail"], scorer="Ada")
    book.place(1, 1, 3, 4)
    book.accept(1)
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


def test_proposals_are_no_labels_until_somebody_says_so(folder: Path) -> None:
    book = open_book(folder, ["nose", "tail"])
    book.points[0], book.proposed[0] = [[1, 2], [3, 4]], True
    book.save_proposals()
    book = open_book(folder)
    assert (book.left, book.proposed.tolist()) == (3, [True, False, False])
    book.place(0, 1, 30, 40)
    assert not (folder / "CollectedData.csv").exists()
    book = open_book(folder, ["nose", "tail"])
    assert book.points[0].tolist() == [[1, 2], [30, 40]], "what was mended is kept"
    book.accept(0)
    assert read_labels(folder).points.tolist() == [[[1, 2], [30, 40]]]
    assert not (folder / "proposals.csv").exists()
    book.restore(0, book.points[0].copy(), done=False, proposed=True)
    assert open_book(folder, ["nose", "tail"]).proposed[0]


class _Finds:
    """Finds the tail at 5, 6 for sure, and a nose that it does not believe in."""

    skeleton = Skeleton(("tail", "nose"))
    threshold, provider, sha256 = 0.5, "none", ""

    def estimate(self, images: Sequence[Image], cameras: object = ()) -> list[Pose]:
        points = np.array([[[5, 6], [7, 8]]], np.float32)
        sure = np.array([[0.9, 0.4]], np.float32)
        return [Pose(self.skeleton, points, sure) for _ in images]


def test_a_network_proposes_what_it_is_sure_of(folder: Path) -> None:
    book = open_book(folder, ["nose", "tail"])
    book.place(0, 0, 1, 1)
    book.accept(0)
    assert propose(folder, _Finds()) == 2
    book = open_book(folder)
    assert book.points[0, 0].tolist() == [1, 1], "a person's"
    wanted = np.array([[np.nan, np.nan], [5, 6]], np.float32)
    assert np.array_equal(book.points[1], wanted, equal_nan=True)
    assert book.proposed.tolist() == [False, True, True]


class _Differs(_Finds):
    """Finds the nose farther to the right, the brighter the image is."""

    def __init__(self, sha256: str, px: float) -> None:
        self.sha256, self.px = sha256, px

    def estimate(self, images: Sequence[Image], cameras: object = ()) -> list[Pose]:
        right = [np.array([self.px * float(image.mean()), 0]) for image in images]
        found = zip(super().estimate(images), right, strict=True)
        return [replace(pose, points=pose.points + away) for pose, away in found]


def test_images_in_which_networks_differ_most_come_first(folder: Path) -> None:
    for name, level in (("a/img1.png", 10), ("a/img2.png", 40), ("b/img1.png", 90)):
        image = np.full((48, 64, 3), level, np.uint8)
        cv2.imwrite(str(folder / "labeled-data" / name), image)
    both = Ensemble([_Differs("a", 0.0), _Differs("b", 0.1)], folder)
    assert propose(folder, both) == 3
    book = open_book(folder)
    short = [name.removeprefix("labeled-data/") for name in book.names]
    assert short == ["b/img1.png", "a/img2.png", "a/img1.png"]
    assert book.reasons[book.names[0]] == "2 networks differ by 4.5 px"
    book.accept(1)
    book.accept(2)
    assert read_labels(folder).names == (book.names[2], book.names[1]), "as recorded"
    again = open_book(folder)
    assert [name.removeprefix("labeled-data/") for name in again.names] == [
        "a/img1.png",
        "a/img2.png",
        "b/img1.png",
    ]
    assert propose(folder, _Finds()) == 1, "one network has no such order"
    assert open_book(folder).reasons == book.reasons


def test_a_network_of_other_body_parts_proposes_nothing(folder: Path) -> None:
    open_book(folder, ["paw"]).accept(0)
    with pytest.raises(LabelsError, match="none of the body parts paw, but tail, nose"):
        propose(folder, _Finds())


@pytest.fixture
def project(folder: Path) -> Path:
    """A DeepLabCut project of which one picture is labelled, another left empty."""
    words = "Task: t\nscorer: Bo\nbodyparts: [nose, tail]\nskeleton: []\n"
    (folder / "config.yaml").write_text(words, encoding="utf-8")
    table = (
        "scorer,,,Bo,Bo,Bo,Bo\nbodyparts,,,nose,nose,tail,tail\ncoords,,,x,y,x,y\n"
        "labeled-data,a,img1.png,5,6,7,8\nlabeled-data,a,img2.png,,,,\n"
    )
    file = folder / "labeled-data/a/CollectedData_Bo.csv"
    file.write_text(table, encoding="utf-8")
    return folder


def test_a_deeplabcut_project_is_gone_on_with_in_its_own_files(project: Path) -> None:
    book = open_book(project)
    assert (book.scorer, book.bodyparts, book.left) == ("Bo", ("nose", "tail"), 2)
    place = book.names.index("labeled-data/b/img1.png")
    book.place(place, 1, 3.25, 4)
    book.accept(place)
    again = open_book(project)
    assert again.left == 1
    assert not (project / "CollectedData.csv").exists()
    import pandas as pd

    table = pd.read_hdf(project / "labeled-data/b/CollectedData_Bo.h5")
    assert table.loc[("labeled-data", "b", "img1.png"), ("Bo", "tail", "x")] == 3.25
    assert table.columns.names == ["scorer", "bodyparts", "coords"]
    assert open_project(project, project).labels.points.shape == (3, 2, 2)


def test_the_last_label_of_a_video_taken_back_leaves_no_table(project: Path) -> None:
    book = open_book(project)
    place = book.names.index("labeled-data/a/img1.png")
    book.restore(place, np.full((2, 2), np.nan, np.float32), done=False, proposed=False)
    assert not list(project.glob("labeled-data/a/CollectedData*"))
    assert open_book(project).left == 3


def test_a_project_of_several_animals_is_refused_before_anything_is_labelled(
    tmp_path: Path,
) -> None:
    words = "multianimalproject: true\nbodyparts: MULTI!\n"
    (tmp_path / "config.yaml").write_text(words, "utf-8")
    with pytest.raises(LabelsError, match=r"of several animals.*TrainNetwork"):
        open_book(tmp_path)
