import errno
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.gui.undo_history import LabelHistory
from deeplabstream.pose.ensemble import NetworkEnsemble
from deeplabstream.recording.pose_table import pose_table
from deeplabstream.training.data import label_book
from deeplabstream.training.data.label_book import open_book
from deeplabstream.training.data.label_folder import FILE
from deeplabstream.training.data.label_proposals import propose, propose_tracks
from deeplabstream.training.data.labels import LabelsError, read_labels
from deeplabstream.training.data.projects import open_project
from deeplabstream.training.evaluation.second_labels import second_labels


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


@pytest.mark.parametrize("project", [False, True])
def test_points_that_a_full_disk_refused_are_saved_with_the_next_change(
    folder: Path, monkeypatch: pytest.MonkeyPatch, project: bool
) -> None:
    if project:
        (folder / "config.yaml").write_text("bodyparts: [nose, tail]\nscorer: me\n")
    book = open_book(folder, ["nose", "tail"])

    def full(*given: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "labels.csv")

    with monkeypatch.context() as patched:
        patched.setattr(label_book, "write_labels", full)
        patched.setattr(label_book, "write_dlc_video", full)
        book.place(0, 0, 10, 20)
        book.accept(0)
        assert book.fault.startswith("Not saved in labels.csv: No space left on device")
        book.place(2, 0, 1, 2)
    assert not list(folder.rglob("CollectedData*"))
    book.place(2, 1, 3, 4)
    assert book.fault == ""
    labels = open_project(folder, folder).labels
    assert labels.names == ("labeled-data/a/img1.png", "labeled-data/b/img1.png")
    assert labels.points[:, 0].tolist() == [[10, 20], [1, 2]]


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


@pytest.mark.parametrize("project", [False, True])
def test_labels_that_another_program_saved_meanwhile_are_kept(
    folder: Path, project: bool
) -> None:
    if project:
        (folder / "config.yaml").write_text("bodyparts: [nose, tail]\nscorer: me\n")
    one, other = (open_book(folder, ["nose", "tail"]) for _ in range(2))
    for book, image in ((one, 0), (other, 1), (one, 2)):
        book.place(image, 0, image + 1, 20)
        book.accept(image)
        assert book.fault == ""
    again = open_book(folder)
    assert again.done.all()
    assert again.points[:, 0, 0].tolist() == [1, 2, 3]
    other.place(2, 0, 30, 20)
    one.place(1, 0, 9, 20)
    other.place(0, 1, 5, 6)
    assert open_book(folder).points[:, 0, 0].tolist() == [1, 9, 30], "the last change"
    assert other.points[:, 0, 0].tolist() == [1, 9, 30]


def test_begun_images_and_proposals_of_another_program_are_kept(folder: Path) -> None:
    one, other = (open_book(folder, ["nose", "tail"]) for _ in range(2))
    one.place(0, 0, 1, 2)
    new = folder / "labeled-data/b/img2.png"
    cv2.imwrite(str(new), np.zeros((48, 64, 3), np.uint8))
    assert propose(folder, _Finds()) == 3
    other.place(1, 0, 3, 4)
    assert other.fault == ""
    again = open_book(folder)
    assert again.points[:2, 0].tolist() == [[1, 2], [3, 4]]
    assert again.proposed.tolist() == [False, False, True, True]
    assert sorted(other.names) == again.names
    one.accept(0)
    again = open_book(folder)
    assert again.proposed.tolist() == [False, False, True, True]
    assert again.unfinished.tolist() == [False, True, False, False]


def test_a_network_proposes_nothing_for_what_a_person_began_meanwhile(
    folder: Path,
) -> None:
    window = open_book(folder, ["nose", "tail"])
    window.accept(2)
    new = folder / "labeled-data/b/img2.png"
    cv2.imwrite(str(new), np.zeros((48, 64, 3), np.uint8))

    class Slow(_Finds):
        def estimate(self, images: Sequence[Image], cameras: object = ()) -> list[Pose]:
            if not window.unfinished.any():
                window.place(0, 1, 30, 40)
                window.accept(1)
            return super().estimate(images)

    assert propose(folder, Slow()) == 1
    again = open_book(folder)
    assert {each[13:] for each in np.array(again.names)[again.done]} == {
        "a/img2.png",
        "b/img1.png",
    }
    assert [n[13:] for n in np.array(again.names)[again.proposed]] == ["b/img2.png"]
    begun = again.names.index("labeled-data/a/img1.png")
    assert again.points[begun, 1].tolist() == [30, 40]


def test_points_are_not_saved_with_body_parts_that_another_program_changed(
    folder: Path,
) -> None:
    open_book(folder, ["nose", "tail"]).accept(0)
    book = open_book(folder)
    text = (folder / FILE).read_text().replace("tail", "ear")
    (folder / FILE).write_text(text)
    book.accept(1)
    assert "another program has changed body parts or animals in" in book.fault
    assert (folder / FILE).read_text() == text


@pytest.mark.parametrize("project", [False, True])
def test_body_parts_added_to_the_labels_are_kept_beside_a_begun_image(
    folder: Path, project: bool
) -> None:
    if project:
        (folder / "config.yaml").write_text("bodyparts: [nose, tail]\nscorer: me\n")
    open_book(folder, ["nose", "tail"]).place(1, 0, 3, 4)
    table = (
        "scorer,,,me,me,me,me\nbodyparts,,,nose,nose,ear,ear\ncoords,,,x,y,x,y\n"
        "labeled-data,a,img1.png,5,6,7,8\n"
    )
    file = folder / ("labeled-data/a/CollectedData_me.csv" if project else FILE)
    file.write_text(table, encoding="utf-8")
    if project:
        (folder / "config.yaml").write_text("bodyparts: [nose, ear]\nscorer: me\n")
    book = open_book(folder)
    assert book.bodyparts == (("nose", "ear") if project else ("nose", "ear", "tail"))
    assert book.points[1, 0].tolist() == [3, 4]
    book.place(0, 0, 50, 40)
    again = open_book(folder)
    assert again.points[0, :2].tolist() == [[50, 40], [7, 8]]
    assert again.done.tolist() == [True, False, False]


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


@pytest.mark.parametrize("shorter", ["individuals,a,a", "individuals,a,a,single"])
def test_a_header_whose_rows_differ_in_length_is_told(
    folder: Path, shorter: str
) -> None:
    rows = ["scorer,me,me,me,me", shorter, "bodyparts,x,x,y,y", "coords,x,y,x,y"]
    (folder / FILE).write_text("\n".join(rows), encoding="utf-8")
    with pytest.raises(LabelsError, match="header do not have as many columns"):
        open_book(folder)
    (folder / FILE).write_text("\n".join(rows[:2]), encoding="utf-8")
    assert open_book(folder, ["x"]).bodyparts == ("x",)


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

    threshold, provider, sha256 = 0.5, "none", ""

    def __init__(
        self,
        bodyparts: tuple[str, ...] = ("tail", "nose"),
        points: NDArray[np.float32] | None = None,
    ) -> None:
        self.skeleton = Skeleton(bodyparts)
        first = np.array([[[5, 6], [7, 8]]], np.float32)[:, : len(bodyparts)]
        self.points = first if points is None else points

    def estimate(self, images: Sequence[Image], cameras: object = ()) -> list[Pose]:
        sure = np.full(self.points.shape[:2], 0.9, np.float32)
        sure[:, 1:] = 0.4
        return [Pose(self.skeleton, self.points, sure) for _ in images]


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


@pytest.mark.parametrize("change", ["place", "remove", "remove all", "swap"])
def test_a_proposal_that_a_person_changed_is_not_proposed_again(
    folder: Path, change: str
) -> None:
    pair = np.array([[[5, 6]], [[29, 30]]], np.float32)
    assert propose(folder, _Finds(("nose",), pair)) == 3
    book = open_book(folder)
    if change == "place":
        book.place(0, 0, 33, 22)
    elif change == "swap":
        book.swap(0, 0, 1)
    else:
        book.remove(0, 0)
        if change == "remove all":
            book.remove(0, 1)
    wanted = book.points[0].copy()
    for _ in range(2):
        assert propose(folder, _Finds(("nose",), pair + 1)) == 3
        again = open_book(folder)
        np.testing.assert_array_equal(again.points[0], wanted)
        assert again.proposed[0], "still to be reviewed"
        assert sorted(again.points[1].tolist()) == [[6, 7], [30, 31]]
    again.accept(0)
    assert open_book(folder).done.tolist() == [True, False, False]
    assert not (folder / "unfinished.csv").exists()


class _Differs(_Finds):
    """Finds the nose farther to the right, the brighter the image is."""

    def __init__(self, sha256: str, px: float) -> None:
        super().__init__()
        self.sha256, self.px = sha256, px

    def estimate(self, images: Sequence[Image], cameras: object = ()) -> list[Pose]:
        right = [np.array([self.px * float(image.mean()), 0]) for image in images]
        found = zip(super().estimate(images), right, strict=True)
        return [replace(pose, points=pose.points + away) for pose, away in found]


def test_images_in_which_networks_differ_most_come_first(folder: Path) -> None:
    for name, level in (("a/img1.png", 10), ("a/img2.png", 40), ("b/img1.png", 90)):
        image = np.full((48, 64, 3), level, np.uint8)
        cv2.imwrite(str(folder / "labeled-data" / name), image)
    both = NetworkEnsemble([_Differs("a", 0.0), _Differs("b", 0.1)], folder)
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
    assert open_project(project, project).labels.points.shape == (2, 2, 2)


def test_a_table_of_another_scorer_is_gone_on_with(project: Path) -> None:
    config = project / "config.yaml"
    config.write_text(config.read_text().replace("scorer: Bo", "scorer: anna"))
    book = open_book(project)
    book.place(book.names.index("labeled-data/a/img1.png"), 0, 15, 16)
    place = book.names.index("labeled-data/b/img1.png")
    book.place(place, 0, 1, 2)
    book.place(place, 1, 3, 4)
    tables = sorted(file.name for file in project.rglob("CollectedData*"))
    assert tables == [
        f"CollectedData_{scorer}.{end}"
        for scorer in ("Bo", "anna")
        for end in ("csv", "h5")
    ], "a new table of anna, of the video that had none"
    rows = (project / "labeled-data/a/CollectedData_Bo.csv").read_text().splitlines()
    assert rows[0] == "scorer,,,Bo,Bo,Bo,Bo"
    assert rows[3] == "labeled-data,a,img1.png,15.00,16.00,7.00,8.00"
    labels = open_project(project, project).labels
    assert labels.points[:, 0].tolist() == [[15, 16], [1, 2]]
    assert second_labels(labels.of_images([0])) is None
    again = open_book(project)
    again.remove(again.names.index("labeled-data/a/img1.png"), 0)
    assert len(list(project.rglob("CollectedData*"))) == 4


def test_a_project_without_any_label_opens_in_the_window_alone(project: Path) -> None:
    file = project / "labeled-data/a/CollectedData_Bo.csv"
    text = file.read_text().replace("5,6,7,8", ",,,")
    file.write_text(text)
    book = open_book(project)
    assert (book.left, book.bodyparts) == (3, ("nose", "tail"))
    for path in (project, file):
        with pytest.raises(LabelsError, match="none of 2 extracted frames is labelled"):
            open_project(path, project)
    book.place(0, 0, 1, 2)
    book.accept(0)
    assert len(open_project(project, project).labels.images) == 1


def test_the_last_label_of_a_video_taken_back_leaves_no_table(project: Path) -> None:
    book = open_book(project)
    place = book.names.index("labeled-data/a/img1.png")
    book.restore(place, np.full((2, 2), np.nan, np.float32), done=False, proposed=False)
    assert not list(project.glob("labeled-data/a/CollectedData*"))
    assert open_book(project).left == 3


MULTI = """# made by hand
scorer: Bo
multianimalproject: true
individuals:
- anna
- bob
bodyparts: MULTI!
multianimalbodyparts:
- nose
- tail
uniquebodyparts: [corner]  # of the box
skeleton: []
"""


@pytest.fixture
def several(folder: Path) -> Path:
    """A DeepLabCut project of two animals and a corner; one image is labelled."""
    (folder / "config.yaml").write_text(MULTI, encoding="utf-8")
    owners = ["anna"] * 4 + ["bob"] * 4 + ["single"] * 2
    parts = ["nose", "nose", "tail", "tail"] * 2 + ["corner"] * 2
    rows = (
        ["scorer", "", "", *["Bo"] * 10],
        ["individuals", "", "", *owners],
        ["bodyparts", "", "", *parts],
        ["coords", "", "", *["x", "y"] * 5],
        [
            "labeled-data",
            "a",
            "img1.png",
            *"1234",
            "",
            "",
            "7",
            "8",
            "9.123456789",
            "3",
        ],
    )
    text = "".join(",".join(row) + "\n" for row in rows)
    (folder / "labeled-data/a/CollectedData_Bo.csv").write_text(text, "utf-8")
    return folder


def test_a_deeplabcut_project_of_several_animals_is_gone_on_with(several: Path) -> None:
    book = open_book(several)
    assert book.individuals == ("anna", "bob")
    assert book.bodyparts == ("nose", "tail")
    place = book.names.index("labeled-data/a/img1.png")
    assert book.done.sum() == 1
    assert book.of_animals(place)[1].tolist()[1] == [7, 8]
    book.place(place, 2, 5.5, 6.25)
    other = book.names.index("labeled-data/b/img1.png")
    book.place(other, 3, 20, 21)
    book.accept(other)
    file = several / "labeled-data/a/CollectedData_Bo.csv"
    (row,) = file.read_text().splitlines()[4:]
    points = "1.00,2.00,3.00,4.00,5.50,6.25,7.00,8.00,9.123456789,3"
    assert row == f"labeled-data,a,img1.png,{points}"
    import pandas as pd

    table = pd.read_hdf(file.with_suffix(".h5"))
    assert table.columns.names == ["scorer", "individuals", "bodyparts", "coords"]
    row = table.loc[("labeled-data", "a", "img1.png")]
    assert row[("Bo", "bob", "nose", "y")] == 6.25
    assert row[("Bo", "single", "corner", "x")] == 9.123456789
    again = open_book(several)
    own = again.points[[again.names.index(name) for name in book.names]]
    assert np.array_equal(own, book.points, equal_nan=True)
    labels = open_project(several, several, several=True).labels
    assert (labels.animals, len(labels.images)) == (2, 2)
    assert labels.left_out == ("corner",)


def test_labels_that_are_in_hdf5_alone_are_not_lost(several: Path) -> None:
    book = open_book(several)
    book.save()
    before = (several / "labeled-data/a/CollectedData_Bo.csv").read_bytes()
    (several / "labeled-data/a/CollectedData_Bo.csv").unlink()
    again = open_book(several)
    assert again.done.sum() == 1
    again.save()
    assert (several / "labeled-data/a/CollectedData_Bo.csv").read_bytes() == (
        before.replace(b",3\n", b",3.0\n")
    ), "points of no animal as HDF5 has them"


def test_an_image_with_points_of_no_animal_alone_keeps_them(several: Path) -> None:
    book = open_book(several)
    place = book.names.index("labeled-data/a/img1.png")
    nothing = np.full_like(book.points[place], np.nan)
    book.restore(place, nothing, done=True, proposed=False)
    assert len(open_project(several, several, several=True).labels.images) == 1
    again = open_book(several)
    assert again.done[place]
    assert again.unique.row(book.names[place]) == ["9.123456789", "3"]


def test_animals_are_renamed_and_added_in_the_project_too(several: Path) -> None:
    book = open_book(several)
    book.name_animals(["anna", "bert", "carl"])
    words = (several / "config.yaml").read_text("utf-8")
    assert words == MULTI.replace("- bob", "- bert\n- carl")
    again = open_book(several)
    assert again.individuals == ("anna", "bert", "carl")
    assert np.array_equal(again.points, book.points, equal_nan=True)
    assert again.points.shape[1] == 6
    again.name_animals(["anna", "bert"])
    with pytest.raises(LabelsError, match="bert has points in 1 frame:"):
        again.name_animals(["anna"])
    with pytest.raises(LabelsError, match="'single' can't be an animal's name"):
        again.name_animals(["anna", "single"])
    with pytest.raises(LabelsError, match="two animals are named anna"):
        again.name_animals(["anna", "anna"])


def test_names_that_a_full_disk_refused_are_saved_with_the_next_change(
    several: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, tables = open_book(several), several.rglob("CollectedData*.csv")
    before = {file: file.read_text("utf-8") for file in tables}

    def full(*given: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "labels.csv")

    with monkeypatch.context() as patched:
        patched.setattr(label_book, "write_dlc_video", full)
        book.name_animals(["anna", "bert"])
        assert book.fault == "Not saved in labels.csv: No space left on device"
    book.accept(0)
    assert book.fault == ""
    for file, text in before.items():
        assert "bob" in text
        assert "bob" not in file.read_text("utf-8")
    again = open_book(several)
    assert np.array_equal(again.points, book.points, equal_nan=True)


def test_a_folder_without_images_keeps_the_names_of_its_animals(tmp_path: Path) -> None:
    open_book(tmp_path, ["nose"]).name_animals(["anna", "bob"])
    assert open_book(tmp_path).individuals == ("anna", "bob")


def test_a_rename_that_was_cut_off_after_the_config_loses_nothing(
    several: Path,
) -> None:
    before = open_book(several).points
    text = (several / "config.yaml").read_text("utf-8")
    (several / "config.yaml").write_text(text.replace("- bob", "- bert"), "utf-8")
    book = open_book(several)
    assert book.individuals == ("anna", "bert")
    assert np.array_equal(book.points, before, equal_nan=True)


def test_names_in_brackets_over_lines_are_replaced_and_the_rest_stays(
    several: Path,
) -> None:
    text = MULTI.replace(
        "individuals:\n- anna\n- bob\n", "individuals: [anna,\n  bob]\n"
    )
    (several / "config.yaml").write_text(text, encoding="utf-8")
    open_book(several).name_animals(["anna", "bo"])
    words = (several / "config.yaml").read_text("utf-8")
    assert words == MULTI.replace("- bob", "- bo")


def test_a_new_folder_of_several_animals(folder: Path) -> None:
    book = open_book(folder, ["nose", "tail"], individuals=["anna", "bob"])
    book.place(0, 3, 5, 6)
    assert open_book(folder).individuals == ("anna", "bob"), "of a begun frame"
    book.place(0, 0, 1, 2)
    book.accept(0)
    labels = read_labels(folder, several=True)
    assert labels.individuals == ("anna", "bob")
    book.swap(0, 0, 1)
    book = open_book(folder)
    wanted = [[[np.nan, np.nan], [5, 6]], [[1, 2], [np.nan, np.nan]]]
    assert np.array_equal(book.of_animals(0), wanted, equal_nan=True)
    book.accept(1)
    assert read_labels(folder, several=True).names == tuple(book.names[:2])


def test_a_folder_of_one_animal_gets_a_second_one(folder: Path) -> None:
    book = open_book(folder, ["nose", "tail"])
    book.place(0, 1, 5, 6)
    book.accept(0)
    one = (folder / "CollectedData.csv").read_bytes()
    assert open_book(folder).individuals == ()
    book.save()
    assert (folder / "CollectedData.csv").read_bytes() == one
    book.name_animals(["anna", "bob"])
    again = open_book(folder)
    assert again.individuals == ("anna", "bob")
    assert again.of_animals(0)[0, 1].tolist() == [5, 6]


def test_copied_points_are_no_labels_until_they_are_accepted(folder: Path) -> None:
    book = open_book(folder, ["nose"], individuals=["anna", "bob"])
    book.place(0, 0, 1, 1)
    book.place(0, 1, 5, 6)
    book.place(1, 0, 2, 2)
    assert book.copy(1, 0) == 1
    assert book.copy(1, 0) == 0
    assert book.points[1].tolist() == [[2, 2], [5, 6]], "its own points stay"
    for each in (book, open_book(folder)):
        each.place(1, 1, 7, 7)
        assert not each.done[1]
    assert propose(folder, _Finds(("nose",))) == 1, "only of the image without points"
    book = open_book(folder)
    book.accept(1)
    assert open_book(folder).done.tolist() == [True, True, False]


def test_a_network_of_several_animals_proposes_them_where_they_were(
    folder: Path,
) -> None:
    book = open_book(folder, ["nose"], individuals=["anna", "bob"])
    book.place(0, 0, 30, 30)
    book.place(0, 1, 5, 6)
    pair = np.array([[[6, 6]], [[29, 30]]], np.float32)
    assert propose(folder, _Finds(("nose",), pair)) == 2
    book = open_book(folder)
    assert book.points[1].tolist() == [[29, 30], [6, 6]], "as in the frame before"
    assert book.points[2].tolist() == [[6, 6], [29, 30]], "of another video"


def test_a_new_folder_gets_the_animals_that_a_network_finds(folder: Path) -> None:
    pair = np.array([[[6, 6]], [[29, 30]]], np.float32)
    assert propose(folder, _Finds(("nose",), pair)) == 3
    assert open_book(folder).individuals == ("animal1", "animal2")


def test_tracks_of_a_video_are_proposed_by_name(folder: Path) -> None:
    book = open_book(folder, ["tail", "nose"], individuals=["anna", "bob"])
    points = np.arange(24, dtype=float).reshape(3, 2, 2, 2)
    skeleton = Skeleton(("nose", "tail"), animals=("bob", "anna"))
    sure = np.full((3, 2, 2), 0.9)
    sure[1, 0, 1] = 0.1
    table = pose_table(folder / "a.csv", skeleton, points, sure)
    assert propose_tracks(folder, "a", table, 0.5) == 2
    book = open_book(folder, ["tail", "nose"], individuals=["anna", "bob"])
    assert book.proposed.tolist() == [True, True, False]
    one = [[14, 15], [12, 13], [np.nan, np.nan], [8, 9]]
    assert np.array_equal(book.points[0], one, equal_nan=True), "img1 is frame 1"
    with pytest.raises(LabelsError, match="no frame of film that waits"):
        propose_tracks(folder, "film", table, 0.5)


UNKNOWN = (
    "scorer,me,me,me,me,me,me\n"
    "bodyparts,nose,nose,nose,tail,tail,tail\n"
    "coords,x,y,visible,x,y,visible\n"
    "labeled-data/a/img1.png,1,2,2,,,0\n"
    "labeled-data/a/img2.png,3,4,2,,,1\n"
)


def test_points_of_which_nothing_is_known_stay_so_when_others_are_placed(
    folder: Path,
) -> None:
    (folder / FILE).write_text(UNKNOWN, encoding="utf-8")
    book = open_book(folder)
    history = LabelHistory()
    history.remember_image(book, 0)
    book.place(0, 0, 5, 6)
    after = read_labels(folder)
    assert after.known.tolist() == [[True, False], [True, True]]
    assert after.points[:, 0].tolist() == [[5, 6], [3, 4]]
    assert np.isnan(after.points[:, 1]).all()
    book.remove(0, 1)
    assert read_labels(folder).known.all(), "a person says that it is not visible"
    history.undo_in(book)
    assert read_labels(folder).known.tolist() == [[True, False], [True, True]]
    book.place(0, 1, 7, 8)
    assert read_labels(folder).known.all()
    assert read_labels(folder).points[0, 1].tolist() == [7, 8]


def test_unknown_points_go_with_their_animal(folder: Path) -> None:
    rows = UNKNOWN.splitlines()
    rows.insert(1, "individuals,anna,anna,anna,bob,bob,bob")
    rows[2] = "bodyparts" + ",nose" * 6
    (folder / FILE).write_text("\n".join(rows) + "\n", encoding="utf-8")
    book = open_book(folder)
    book.swap(0, 0, 1)
    after = read_labels(folder, several=True)
    assert after.known.tolist() == [[False, True], [True, True]]
    book.name_animals(["anna", "bob", "carl"])
    after = read_labels(folder, several=True)
    assert after.known.tolist() == [[False, True, True], [True, True, True]]
    assert open_book(folder).known[:2].tolist() == after.known.tolist()
