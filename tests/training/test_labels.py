from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.pose.image_files import image_size, read_image
from deeplabstream.training.data.labels import LabelsError, read_labels, read_rows
from tests.files.image_headers import declaring, with_orientation

HEADER = "scorer,me,me,me,me\nbodyparts,snout,snout,tail,tail\ncoords,x,y,x,y\n"


def write(folder: Path, text: str) -> Path:
    for name in ("a.png", "b.png"):
        (folder / "clip").mkdir(exist_ok=True)
        picture = np.zeros((30, 40, 3), np.uint8)
        cv2.imwrite(str(folder / "clip" / name), picture)
    (folder / "CollectedData.csv").write_text(text, encoding="utf-8")
    return folder


def problems(path: Path) -> tuple[str, ...]:
    with pytest.raises(LabelsError) as refusal:
        read_labels(path)
    return refusal.value.problems


def test_labels_are_read_and_what_is_empty_is_nan(tmp_path: Path) -> None:
    labels = read_labels(
        write(tmp_path, HEADER + "clip/a.png,1,2,3.5,4\nclip\\b.png,,,5,6")
    )
    assert labels.skeleton.bodyparts == ("snout", "tail")
    assert [image.name for image in labels.images] == ["a.png", "b.png"]
    expected = [[[1, 2], [3.5, 4]], [[np.nan, np.nan], [5, 6]]]
    np.testing.assert_array_equal(labels.points, np.array(expected, np.float32))


def test_a_path_may_be_spread_over_columns(tmp_path: Path) -> None:
    text = (
        "scorer,,,me,me\nbodyparts,,,snout,snout\ncoords,,,x,y\n"
        "labeled-data,clip,a.png,1,2\n"
    )
    (tmp_path / "labeled-data" / "clip").mkdir(parents=True)
    picture = tmp_path / "labeled-data" / "clip" / "a.png"
    cv2.imwrite(str(picture), np.zeros((30, 40, 3), np.uint8))
    labels = read_labels(write(tmp_path, text))
    assert labels.images == (tmp_path / "labeled-data" / "clip" / "a.png",)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    rows = [
        "clip/a.png,1,2,3,4",
        "clip/c.png,1,2,3,4",
        "clip/b.png,1,two,3,4",
        "clip/b.png,1,2,3",
        "clip/b.png,1,,3,4",
        "clip/a.png,1,2,3,4",
    ]
    told = problems(write(tmp_path, HEADER + "\n".join(rows)))
    for part, problem in zip(
        [
            "line 5: there is no image",
            "line 6: 'two' is not a number",
            "line 7: 4 columns instead of 5",
            "line 8: a point needs both x and y",
            "a.png has 2 rows",
        ],
        told,
        strict=True,
    ):
        assert part in problem


def test_labels_that_a_spreadsheet_saved_are_the_same(tmp_path: Path) -> None:
    text = HEADER + "clip/a.png,1,2,3.5,4\nclip/b.png,,,5.25,6\n,,,,\n"
    wanted = read_labels(write(tmp_path, text))
    text = text.replace(",", ";").replace("5.25", "5,25").replace("3.5", "3,5")
    found = read_labels(write(tmp_path, f"\ufeff{text}"))
    assert found.names == wanted.names
    np.testing.assert_array_equal(found.points, wanted.points)
    file = tmp_path / "CollectedData.csv"
    file.write_bytes(text.replace("clip", "Käfig").encode("cp1252"))
    assert problems(tmp_path) == (
        f"{file} can't be read: it is not UTF-8 text: save it as CSV UTF-8",
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "does not begin with the rows"),
        (HEADER, "labels no image"),
        ("a,b\nc,d\n", "does not begin with the rows"),
        ("scorer,me\nindividuals,one\nbodyparts,snout\ncoords,x\n", "several animals"),
        (
            "scorer,me,me\nbodyparts,snout,snout\ncoords,y,x\n",
            "a column x and a column y",
        ),
        ("scorer,me\nbodyparts\ncoords\n", "names no body part"),
        (
            "scorer,a,a,a,a\nbodyparts,ear,ear,ear,ear\ncoords,x,y,x,y\n",
            "the body part ear twice",
        ),
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    assert sentence in problems(write(tmp_path, text))[0]


def test_a_number_of_damage_is_one_sentence(tmp_path: Path) -> None:
    (told,) = problems(write(tmp_path, HEADER + "clip/a.png,1,2,1e300,4"))
    assert told.endswith("line 4: 1e300 is too large for a position in an image")


def test_no_folder_and_no_file_are_refused(tmp_path: Path) -> None:
    assert "there is no file or folder" in problems(tmp_path / "nowhere")[0]
    assert "holds no labels. Name a folder" in problems(tmp_path)[0]
    (tmp_path / "CollectedData.csv").write_bytes(b"\xff\xfe\x00")
    assert "can't be read" in problems(tmp_path)[0]


def test_whoever_is_invisible_is_absent_and_whoever_is_unsure_is_left_out(
    tmp_path: Path,
) -> None:
    text = (
        "scorer,me,me,me,me,me,me\nbodyparts,snout,snout,snout,tail,tail,tail\n"
        "coords,x,y,visible,x,y,visible\nclip/a.png,1,2,2,3,4,1\nclip/b.png,1,2,0,,,\n"
    )
    labels = read_labels(write(tmp_path, text), with_images=False)
    assert labels.skeleton.bodyparts == ("snout", "tail")
    np.testing.assert_array_equal(labels.points[0], [[1, 2], [np.nan, np.nan]])
    np.testing.assert_array_equal(labels.known, [[True, True], [False, True]])
    assert np.isnan(labels.points[1]).all()


def test_two_scorers_and_points_outside_are_faults(tmp_path: Path) -> None:
    text = HEADER.replace("scorer,me,me", "scorer,you,you")
    rows = "clip/a.png,41.2,2,3,4\nclip/b.png,1,2,3,-7"
    told = problems(write(tmp_path, text + rows))
    assert "the labels of 2 scorers, me, you" in told[0]
    assert "line 4: snout at x 41.2, y 2 lies outside of a.png (40x30)" in told[1]
    assert "line 5: tail at x 3, y -7 lies outside" in told[2]
    assert len(told) == 3


def test_a_picture_that_declares_too_much_is_a_fault(tmp_path: Path) -> None:
    file = write(tmp_path, HEADER + "clip/a.png,1,2,3,4")
    (tmp_path / "clip/a.png").write_bytes(declaring(30000, 30000))
    with pytest.raises(LabelsError, match=r"a\.png declares 30000x30000 pixels, more"):
        read_labels(file)
    assert read_image(tmp_path / "clip/a.png") is None


def test_labels_lie_in_the_image_as_its_exif_data_turn_it(tmp_path: Path) -> None:
    written = write(tmp_path, HEADER + "clip/a.jpg,1,2,25,35")
    content = cv2.imencode(".jpg", np.zeros((30, 40, 3), np.uint8))[1].tobytes()
    (tmp_path / "clip/a.jpg").write_bytes(with_orientation(content, 6, ">"))
    (image,) = read_labels(written).images
    read = read_image(image)
    assert read is not None
    assert image_size(image) == read.shape[:2] == (40, 30)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
def test_the_size_of_a_picture_is_known(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    cv2.imwrite(str(file), np.zeros((31, 47, 3), np.uint8))
    assert image_size(file) == (31, 47)
    file.write_bytes(b"\xff\xd8\xffno picture at all")
    assert image_size(file) is None


@pytest.mark.parametrize("name", ["../other/a.png", "..\\other\\a.png", "{absolute}"])
def test_a_picture_outside_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    other = write(tmp_path, HEADER) / "clip" / "a.png"
    (tmp_path / "other").mkdir()
    other.rename(tmp_path / "other" / "a.png")
    project = tmp_path / "project"
    project.mkdir()
    row = name.format(absolute=(tmp_path / "other" / "a.png").as_posix())
    (told,) = problems(write(project, f"{HEADER}{row},1,2,3,4\n"))
    assert "CollectedData.csv, line 4" in told
    assert "is outside the folder" in told


@pytest.mark.parametrize("header", [0, 1, 2, 3])
def test_header_rows_of_unequal_length_are_a_fault(tmp_path: Path, header: int) -> None:
    rows = (HEADER + "clip/a.png,1,2,3,4").splitlines()
    rows.insert(1, "individuals,m1,m1,m2,m2")
    rows[2] = "bodyparts,snout,snout,snout,snout"
    rows[header] += ",more"
    with pytest.raises(LabelsError):
        read_labels(write(tmp_path, "\n".join(rows)), several=True)


def test_a_video_given_as_labels_is_refused_with_the_way_out(tmp_path: Path) -> None:
    file = tmp_path / "mouse.mp4"
    file.write_bytes(b"\x00\x00\x00\x18ftyp\xff\xfe")
    with pytest.raises(LabelsError, match="are labelled after PickFrames"):
        read_rows(file)
    file = tmp_path / "annotations.xml"
    file.write_text("<annotations/>\n")
    with pytest.raises(LabelsError, match=r"SLEAP's \.slp or COCO's \.json"):
        read_labels(file)
