"""Labels of several animals in a picture, as DeepLabCut and SLEAP keep them."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from deeplabstream.core.pose import Skeleton
from deeplabstream.training.data.labels import LabelsError, read_labels
from deeplabstream.training.data.projects import open_project

MICE = 2
PARTS = ("nose", "rump")


def test_labels_of_several_animals_are_read_only_where_they_are_wanted(
    pairs: Path,
) -> None:
    labels = read_labels(pairs, several=True)
    assert labels.animals == MICE
    assert labels.skeleton.bodyparts == PARTS
    assert labels.points.shape == (16, 4, 2)
    assert labels.known.all()
    with pytest.raises(LabelsError, match="labels several animals; one per image"):
        read_labels(pairs)


@pytest.mark.parametrize(
    ("owners", "parts", "sentence"),
    [
        ("a a b b", "x x y y", "b has y, a x"),
        ("a a b b a a b b", "x x x x y y y y", "are not adjacent"),
    ],
)
def test_animals_that_do_not_fit_together_are_refused(
    tmp_path: Path, owners: str, parts: str, sentence: str
) -> None:
    count = len(owners.split())
    rows = [
        ["scorer", *["me"] * count],
        ["individuals", *owners.split()],
        ["bodyparts", *parts.split()],
        ["coords", *["x", "y"] * (count // 2)],
        ["a.png", *["1"] * count],
    ]
    file = tmp_path / "CollectedData.csv"
    with file.open("w", newline="") as lines:
        csv.writer(lines).writerows(rows)
    with pytest.raises(LabelsError, match=sentence):
        read_labels(file, with_images=False, several=True)


def test_points_of_no_animal_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "CollectedData.csv"
    file.write_text(
        "scorer,me,me,me,me,me,me\nindividuals,a,a,single,single,b,b\n"
        "bodyparts,x,x,box,box,x,x\ncoords,x,y,x,y,x,y\nimg.png,1,2,3,4,5,6\n"
    )
    labels = read_labels(file, with_images=False, several=True)
    assert labels.individuals == ("a", "b")
    assert labels.points.tolist() == [[[1, 2], [5, 6]]]
    assert labels.left_out == ("box",)


def test_animals_of_several_clips_are_placed_by_name(tmp_path: Path) -> None:
    for clip, owners, cells in (("c1", "b,b,a,a", "1,1,2,2"), ("c2", "a,a", "3,3")):
        folder = tmp_path / "labeled-data" / clip
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "img.png"), np.zeros((30, 40), np.uint8))
        count = len(owners.split(","))
        head = f"scorer,,{',me' * count}\nindividuals,,,{owners}\n"
        head += f"bodyparts,,{',x' * count}\ncoords,,{',x,y' * (count // 2)}\n"
        row = f"labeled-data,{clip},img.png,{cells}\n"
        (folder / "CollectedData_me.csv").write_text(head + row)
    words = "scorer: me\nmultianimalproject: true\nindividuals: [a, b]\n"
    (tmp_path / "config.yaml").write_text(words + "multianimalbodyparts: [x]\n")
    labels = open_project(tmp_path, tmp_path, several=True).labels
    assert labels.individuals == ("b", "a")
    assert np.array_equal(labels.points[:, 1, 0], [2, 3]), "a is a in both clips"


def test_a_deeplabcut_project_of_several_animals_is_read(
    pairs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "dlc"
    clip = folder / "labeled-data" / "film"
    clip.mkdir(parents=True)
    rows = (pairs / "CollectedData.csv").read_text().splitlines()
    for line in rows[4:]:
        name = line.split(",")[0]
        (clip / name).write_bytes((pairs / name).read_bytes())
    head = [line.replace(",", ",,,", 1) for line in rows[:4]]
    told = [f"labeled-data,film,{line}" for line in rows[4:]]
    (clip / "CollectedData_me.csv").write_text("\n".join([*head, *told]))
    (folder / "config.yaml").write_text(
        "scorer: me\nmultianimalproject: true\nindividuals: [one, two]\n"
        "bodyparts: MULTI!\nmultianimalbodyparts: [rump, nose]\nuniquebodyparts: []\n"
        "skeleton: [[nose, rump]]\n"
    )
    labels = open_project(folder, folder, several=True).labels
    assert labels.animals == MICE
    assert labels.skeleton == Skeleton(("rump", "nose"), (("nose", "rump"),))
    plain = read_labels(pairs, several=True)
    np.testing.assert_array_equal(labels.points[:, [1, 0, 3, 2]], plain.points)
    with pytest.raises(LabelsError, match="labels several animals; one per image"):
        open_project(folder, folder)


def test_unique_body_parts_beside_animals_are_left_out(
    pairs: Path, tmp_path: Path
) -> None:
    plain = read_labels(pairs, several=True)
    own = Path(shutil.copytree(pairs, tmp_path / "own"))
    table = own / "CollectedData.csv"
    ends = ("me,me", "single,single", "corner,corner", "x,y")
    rows = table.read_text().splitlines()
    head = [f"{row},{end}" for row, end in zip(rows[:4], ends, strict=True)]
    table.write_text("\n".join([*head, *(f"{row},1,2" for row in rows[4:])]))
    labels = read_labels(own, several=True)
    assert labels.left_out == ("corner",)
    assert labels.skeleton == plain.skeleton
    np.testing.assert_array_equal(labels.points, plain.points)


def test_a_sleap_package_has_as_many_animals_as_its_fullest_picture(
    tmp_path: Path,
) -> None:
    file = tmp_path / "two.pkg.slp"
    words = {
        "nodes": [{"name": "nose"}, {"name": "rump"}],
        "skeletons": [{"nodes": [{"id": 0}, {"id": 1}], "links": []}],
    }
    frame = [(n, "u8") for n in ("frame_id", "video", "frame_idx")]
    frame += [(f"instance_id_{end}", "u8") for end in ("start", "end")]
    one = [("instance_type", "u1"), ("point_id_start", "u8"), ("point_id_end", "u8")]
    picture = cv2.imencode(".png", np.zeros((30, 40), np.uint8))[1].ravel()
    with h5py.File(file, "w") as content:
        content.create_group("metadata").attrs["json"] = json.dumps(words)
        content["frames"] = np.array([(0, 0, 0, 0, 1), (1, 0, 1, 1, 3)], frame)
        instances = [(0, 2 * i, 2 * i + 2) for i in range(3)]
        content["instances"] = np.array(instances, one)
        points = [(float(i), 2.0, True) for i in range(6)]
        kind = [("x", "f8"), ("y", "f8"), ("visible", "?")]
        content["points"] = np.array(points, kind)
        stored = content.create_dataset(
            "video0/video", (2,), h5py.special_dtype(vlen=np.int8)
        )
        stored[0], stored[1] = picture.view(np.int8), picture.view(np.int8)
        content["video0/frame_numbers"] = [0, 1]
    labels = open_project(file, tmp_path / "unpacked", several=True).labels
    assert labels.animals == 2
    assert labels.points[:, :, 0].tolist()[1] == [2, 3, 4, 5]
    assert np.isnan(labels.points[0, 2:]).all()
    with pytest.raises(LabelsError, match="labels several animals"):
        open_project(file, tmp_path / "again")


def test_a_row_of_individuals_with_an_extra_cell_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "CollectedData.csv"
    file.write_text(
        "scorer,me,me\nindividuals,one,one,two\nbodyparts,a,a\ncoords,x,y\na.png,1,2\n"
    )
    with pytest.raises(LabelsError) as refusal:
        read_labels(file, several=True)
    assert len(refusal.value.problems) == 1
    assert "line 2 has 4 cells and the first row 3" in str(refusal.value)


@pytest.mark.parametrize("spread", [False, True])
def test_hdf5_says_the_same_as_the_csv_beside_it(
    pairs: Path, tmp_path: Path, spread: bool
) -> None:
    pandas = pytest.importorskip("pandas")
    plain = read_labels(pairs, several=True)
    columns = pandas.MultiIndex.from_product(
        [["me"], ["one", "two"], PARTS, ["x", "y"]],
        names=["scorer", "individuals", "bodyparts", "coords"],
    )
    index = list(plain.names)
    if spread:
        index = pandas.MultiIndex.from_tuples([(".", name) for name in plain.names])
    table = pandas.DataFrame(plain.points.reshape(16, -1), index, columns)
    table.iloc[3, :2] = np.nan
    file = tmp_path / "CollectedData_me.h5"
    table.astype(np.float64).to_hdf(file, key="df_with_missing", mode="w")
    labels = read_labels(file, root=pairs, several=True)
    assert labels.animals == MICE
    assert labels.skeleton == plain.skeleton
    assert np.isnan(labels.points[3, 0]).all()
    expected = plain.points.copy()
    expected[3, 0] = np.nan
    np.testing.assert_array_equal(labels.points, expected)
    found = read_labels(tmp_path, with_images=False, several=True)
    assert found.file == file


def test_hdf5_that_is_no_table_of_labels_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "CollectedData.h5"
    file.write_bytes(b"none")
    with pytest.raises(LabelsError, match="can't be read"):
        read_labels(file)
    with h5py.File(file, "w") as content:
        content["other"] = [1]
    with pytest.raises(LabelsError, match="holds no table df_with_missing"):
        read_labels(file)
