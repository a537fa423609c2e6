"""Tables of poses: the row of each frame, and spreadsheets' ways to save them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.offline.pose_file_reading import read_poses
from utils import CropFrames

ONE = "scorer,net,net,net\nbodyparts,nose,nose,nose\ncoords,x,y,likelihood\n"
TWO = (
    "scorer,net,net,net,net,net,net\nindividuals,a,a,a,b,b,b\n"
    "bodyparts,nose,nose,nose,nose,nose,nose\n"
    "coords,x,y,likelihood,x,y,likelihood\n"
)


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    file = folder / "poses.csv"
    file.write_bytes(text.encode(encoding))
    return file


@pytest.mark.parametrize("head", [ONE, TWO])
def test_a_first_frame_without_points_keeps_its_row(tmp_path: Path, head: str) -> None:
    count = head.splitlines()[0].count(",")
    rows = [f"0{',' * count}", f"1{',1.5,2,0.5' * (count // 3)}", f"2{',' * count}"]
    table = read_poses(written(tmp_path, head + "\n".join(rows)))
    assert len(table) == 3
    assert np.isnan(table.points[[0, 2]]).all()
    np.testing.assert_array_equal(table.points[1, :, 0], [[1.5, 2]] * (count // 3))


def test_the_first_frame_keeps_its_box(tmp_path: Path) -> None:
    text = (
        ONE.replace(",likelihood", "").replace(",net\n", "\n").replace(",nose\n", "\n")
    )
    file = written(tmp_path, f"{text}0,,\n1,50,60\n2,52,61\n")
    assert CropFrames.main(["boxes", str(file), "--side", "20"]) == 0
    boxes = (tmp_path / "poses_bbox.csv").read_text("utf-8").splitlines()
    assert boxes == [",x,y,h,w", "0,40,50,20,20", "1,40,50,20,20", "2,42,51,20,20"]


def test_the_name_of_an_index_is_no_frame(tmp_path: Path) -> None:
    names = ["scorer", "bodyparts", "coords"]
    axes = [("net", "nose", axis) for axis in ("x", "y", "likelihood")]
    columns = pd.MultiIndex.from_tuples(axes, names=names)
    index = pd.RangeIndex(2, name="frame")
    table = pd.DataFrame([[np.nan] * 3, [1, 2, 0.5]], index=index, columns=columns)
    table.to_csv(tmp_path / "poses.csv")
    found = read_poses(tmp_path / "poses.csv")
    np.testing.assert_array_equal(found.points[:, 0, 0], [[np.nan] * 2, [1, 2]])


def test_a_first_image_without_points_is_a_row(tmp_path: Path) -> None:
    rows = ["img0001,,,", "img0002,1,2,0.5", "img0003,3,4,0.5"]
    found = read_poses(written(tmp_path, ONE + "\n".join(rows)))
    np.testing.assert_array_equal(found.points[:, 0, 0], [[np.nan] * 2, [1, 2], [3, 4]])


@pytest.mark.parametrize("kind", ["csv", "h5"])
def test_the_first_column_says_which_frame_a_row_is(tmp_path: Path, kind: str) -> None:
    axes = [("net", "nose", axis) for axis in ("x", "y", "likelihood")]
    columns = pd.MultiIndex.from_tuples(axes, names=["scorer", "bodyparts", "coords"])
    values = np.array([[1, 2, 0.5], [3, 4, 0.5]])
    file = tmp_path / f"poses.{kind}"
    for index in ([2, 5], [5, 2], [2, 2]):
        table = pd.DataFrame(values, index=index, columns=columns)
        if kind == "csv":
            table.to_csv(file)
        else:
            table.to_hdf(file, key="df_with_missing", format="table", mode="w")
        if index == [2, 5]:
            found = read_poses(file)
            assert len(found) == 6
            known = np.isfinite(found.points[:, 0, 0, 0])
            assert np.flatnonzero(known).tolist() == [2, 5]
            assert found.points[5, 0, 0].tolist() == [3, 4]
            continue
        with pytest.raises(
            DeepLabStreamError, match=f"frame 2 stands after frame {index[0]}"
        ):
            read_poses(file)


def test_what_a_spreadsheet_of_another_language_saves_is_the_same(
    tmp_path: Path,
) -> None:
    text = f"{ONE}0,1.5,2,0.25\n1,,,\n2,103.25,4,1\n,,,\n"
    wanted = read_poses(written(tmp_path, text))
    assert len(wanted) == 3
    for separator, encoding in ((";", "utf-8-sig"), ("\t", "utf-16")):
        other = text.replace(",", separator).replace(".", ",")
        found = read_poses(written(tmp_path, other, encoding))
        np.testing.assert_array_equal(found.points, wanted.points)
        np.testing.assert_array_equal(found.confidence, wanted.confidence)
    returns = read_poses(written(tmp_path, text.replace("\n", "\r")))
    np.testing.assert_array_equal(returns.points, wanted.points)
    pointed = read_poses(written(tmp_path, text.replace(",", ";")))
    np.testing.assert_array_equal(pointed.points, wanted.points)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "scorer,a,a,b,b\nbodyparts,nose,nose,nose,nose\ncoords,x,y,x,y\n0,1,2,3,4\n",
            r"points of several scorers \(a, b\): keep one",
        ),
        (
            "scorer,a,a,a,a\nbodyparts,nose,nose,nose,nose\ncoords,x,y,x,y\n0,1,2,3,4\n",
            "points of the body part nose twice: keep one",
        ),
        (f"{ONE}0,12. Mai,2,1\n", "'12. Mai' in the column nose, x is not a number"),
        (
            f"{ONE}0,1,2,1\nmean,1,2,1\n",
            "'mean' in the first column is not the number of a frame",
        ),
        (f"{ONE}99999999,1,2,1\n", "100000000 is too large for a frame's number"),
        ("scorer,a,a\nbodyparts,nose\ncoords,x,y\n", "does not begin with the rows"),
        (f"{ONE}0,12,5,30,2,0,9\n", "line 4 has 7 cells and the first row 4"),
        (f"{ONE}0,1,2,1\n,1,2,1\n", "row 2 below the header has no frame number"),
    ],
)
def test_what_could_be_misread_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DeepLabStreamError, match=said):
        read_poses(written(tmp_path, text))


def test_sleaps_analysis_csv(tmp_path: Path) -> None:
    head = "track,frame_idx,instance.score,nose.x,nose.y,nose.score,tail.x,tail.y,tail.score"
    rows = ["b,1,0.9,10,20,0.75,,,", "a,1,,1,2,1.25,3,4,0.5", "b,4,,5,6,0.5,7,8,0.25"]
    table = read_poses(written(tmp_path, "\n".join([head, *rows])))
    assert (table.animals, table.skeleton.bodyparts) == (("b", "a"), ("nose", "tail"))
    assert table.points.shape == (5, 2, 2, 2)
    assert np.flatnonzero(np.isfinite(table.points).any(axis=(1, 2, 3))).tolist() == [
        1,
        4,
    ]
    np.testing.assert_array_equal(table.points[1, 0], [[10, 20], [np.nan, np.nan]])
    np.testing.assert_array_equal(table.points[1, 1], [[1, 2], [3, 4]])
    assert table.confidence[1].tolist() == [[0.75, 0], [1, 0.5]]
    assert table.scorer == "SLEAP"
    alone = read_poses(
        written(tmp_path, "\n".join([head, rows[2].replace("b", "", 1)]))
    )
    assert alone.points.shape == (5, 1, 2, 2)
    pointed = [row.replace(",1,", ",1.0,", 1) for row in rows]
    same = read_poses(written(tmp_path, "\n".join([head, *pointed])))
    np.testing.assert_array_equal(same.points, table.points)
    for other, said in (
        (f"{head}\na,1.5,1,1,2,1,3,4,1", "'1.5' is not the number of a frame"),
        (f"{head}\n,1,1,1,2,1,3,4,1\n,1,1,1,2,1,3,4,1", "frame 1 has several animals"),
        (f"{head}\na,1,1,1,2,1,3,4,1\na,1,1,1,2,1,3,4,1", "two animals in one track"),
        (f"{head}\na,1,1,x,2,1,3,4,1", "Can't read"),
        (f"{head}\na,1,1", "do not have as many columns"),
        (f"{head}\na,-1,1,1,2,1,3,4,1", "Can't read"),
        (head, "contains no poses"),
    ):
        with pytest.raises(DeepLabStreamError, match=said):
            read_poses(written(tmp_path, other))


def test_an_animal_with_all_points_at_0_was_not_found(tmp_path: Path) -> None:
    """MABe's files say it so; one point at the corner of the image is a point."""
    head = (
        "scorer,net,net,net,net,net,net\nbodyparts,nose,nose,nose,tail,tail,tail\n"
        "coords,x,y,likelihood,x,y,likelihood\n"
    )
    file = written(tmp_path, f"{head}0,0,0,1,0,0,1\n1,0,0,1,5,6,1\n")
    table = read_poses(file)
    assert np.isnan(table.points[0]).all() and (table.confidence[0] == 0).all()
    np.testing.assert_array_equal(table.points[1, 0], [[0, 0], [5, 6]])
