import json
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from deeplabstream.api.evaluation import evaluate
from deeplabstream.files.paths import ROOT
from deeplabstream.pose.image_files import read_image
from deeplabstream.training.data.labels import LabelsError
from deeplabstream.training.data.projects import (
    open_project,
    read_label_sets,
    read_yaml,
)
from tests.cameras.videos import numbered_image, write_video
from tests.training.foreign_projects import PICTURE, deeplabcut, sleap, sleap_of
from utils import EvaluateNetwork, TrainNetwork


def test_a_deeplabcut_project_is_one_table(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.AVI").touch()
    (tmp_path / "videos" / "notes.txt").touch()
    project = open_project(deeplabcut(tmp_path), tmp_path)
    assert project.labels.skeleton.bodyparts == ("snout", "tail")
    assert project.labels.skeleton.edges == (("snout", "tail"),)
    expected = [[[1, 2], [3, 4]], [[3, 4], [1, 2]]]
    np.testing.assert_array_equal(project.labels.points, expected)
    assert project.labels.names[1] == "labeled-data/b/img1.png"
    assert [video.name for video in project.videos] == ["a.AVI"]


@pytest.mark.parametrize("empty", [",,,", "nan,nan,nan,nan"])
def test_frames_of_a_deeplabcut_project_without_labels_are_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], empty: str
) -> None:
    folder = deeplabcut(tmp_path / "project")
    for clip in ("a", "b"):
        file = folder / "labeled-data" / clip / "CollectedData_me.csv"
        for number in (0, 2):
            cv2.imwrite(str(file.parent / f"img{number}.png"), PICTURE)
        header = file.read_text().splitlines()[:3]
        rows = [f"labeled-data,{clip},img{n}.png,{empty}" for n in (0, 2)]
        if clip == "a":
            rows.insert(1, "labeled-data,a,img1.png,1,2,,")
        file.write_text("\n".join([*header, *rows]) + "\n")
    labels = open_project(folder, tmp_path / "unpacked").labels
    assert labels.names == ("labeled-data/a/img1.png",)
    assert (labels.unlabelled, labels.tables) == (4, 1)
    assert labels.known.all(), "a part that is not visible in a labelled frame"
    words = ["--data", str(folder), "--output", str(tmp_path / "new")]
    assert TrainNetwork.main(words) == 2
    told = capsys.readouterr()
    assert "left out: 4 frames without any label" in told.out
    assert "is all that is labelled" in told.err


def test_the_faults_of_all_clips_come_together(tmp_path: Path) -> None:
    folder = deeplabcut(tmp_path)
    (folder / "labeled-data" / "a" / "img1.png").unlink()
    other = folder / "labeled-data" / "b" / "CollectedData_me.csv"
    other.write_text(other.read_text().replace("snout", "nose"))
    with pytest.raises(LabelsError) as refusal:
        open_project(folder, tmp_path)
    assert "there is no image" in refusal.value.problems[0]
    assert "nose, snout" in refusal.value.problems[1]


def test_a_damaged_configuration_is_told(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    for text, sentence in (("a: [", "is not valid YAML"), ("- 1", "holds no settings")):
        file.write_text(text)
        with pytest.raises(LabelsError, match=sentence):
            read_yaml(file)


def test_a_sleap_package_is_unpacked(tmp_path: Path) -> None:
    project = open_project(sleap(tmp_path / "a.pkg.slp"), tmp_path / "unpacked")
    labels = project.labels
    assert labels.skeleton.bodyparts == ("snout", "tail")
    assert labels.skeleton.edges == (("snout", "tail"),)
    np.testing.assert_array_equal(labels.points[0], [[1, 2], [np.nan, np.nan]])
    assert labels.names[1] == "labeled-data/video0/img00000009.png"
    read = cv2.imread(str(labels.images[1]))
    assert read is not None
    assert read.shape == (30, 40, 3)


def test_packages_with_images_of_the_same_name_stay_apart(tmp_path: Path) -> None:
    files = [sleap(tmp_path / f"set{number}.pkg.slp") for number in range(2)]
    with h5py.File(files[0], "a") as content:
        bright = cv2.imencode(".png", PICTURE + 200)[1].ravel().view(np.int8)
        content["video0/video"][0] = bright
    labels, sets = read_label_sets(files, tmp_path / "unpacked")
    assert len(set(labels.images)) == 4
    grey = [int(read_image(image).mean()) for image in labels.images]  # type: ignore[union-attr]
    assert grey == [200, 0, 0, 0]
    assert sets == ("set0.pkg", "set0.pkg", "set1.pkg", "set1.pkg")


def test_an_evaluation_leaves_the_labels_of_the_network_alone(tmp_path: Path) -> None:
    network = tmp_path / "network"
    shutil.copytree(ROOT / "models" / "openfield", network)
    own = network / "labels/CollectedData.csv"
    own.parent.mkdir()
    own.write_text("of its training")
    before = sorted(network.rglob("*"))
    package = sleap(tmp_path / "other.pkg.slp")
    errors = evaluate(network, package, threads=1)
    assert "snout" in set(errors.bodypart)
    words = ["--model", str(network), "--data", str(package), "--device", "cpu"]
    assert EvaluateNetwork.main([*words, "--report", str(tmp_path / "all.html")]) == 0
    assert own.read_text() == "of its training"
    assert sorted(network.rglob("*")) == before


@pytest.mark.parametrize(
    ("version", "order", "raw", "swapped"),
    [
        (1.2, None, False, True),
        (1.4, "BGR", False, True),
        (1.4, "RGB", False, False),
        (1.4, None, False, False),
        (1.2, None, True, True),
        (1.4, "RGB", True, True),
    ],
)
def test_colours_of_a_sleap_package_are_read_in_the_order_that_it_declares(
    tmp_path: Path, version: float, order: str | None, raw: bool, swapped: bool
) -> None:
    blue = np.full((30, 40, 3), (200, 50, 0), np.uint8)
    written = blue[..., ::-1] if swapped else blue  # encoded by OpenCV from RGB
    file = sleap(tmp_path / "a.pkg.slp")
    with h5py.File(file, "a") as content:
        content["metadata"].attrs["format_id"] = version
        if raw:
            del content["video0/video"]
            content["video0/video"] = np.stack([written, written])
        else:
            encoded = cv2.imencode(".png", written)[1].ravel().view(np.int8)
            content["video0/video"][0] = content["video0/video"][1] = encoded
        if order:
            content["video0/video"].attrs["channel_order"] = order
    labels = open_project(file, tmp_path / "unpacked").labels
    read = cv2.imread(str(labels.images[0]))
    assert read is not None
    np.testing.assert_array_equal(read, blue)


def test_a_sleap_file_that_can_not_be_used_says_why(tmp_path: Path) -> None:
    file = tmp_path / "a.slp"
    for made, sentence in (
        (lambda: sleap(file, animals=2), "several animals; one per image"),
        (
            lambda: sleap(file, embedded=False),
            "2 labelled frames are not in it; in SLEAP",
        ),
        (lambda: file.write_bytes(b"none"), "can't be unpacked"),
    ):
        made()
        with pytest.raises(LabelsError, match=sentence):
            open_project(file, tmp_path / "unpacked")


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("tests/data\\clip.mkv", "clip.mkv"),
        ("D:/else/where/clip.mkv", "videos/clip.mkv"),
        ("tests/data/clip.mkv", "tests/data/clip.mkv"),
    ],
)
def test_frames_of_a_plain_sleap_file_come_from_the_video_beside_it(
    tmp_path: Path, name: str, there: str
) -> None:
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    write_video(tmp_path / there, 12)
    labels = open_project(sleap_of(tmp_path / "a.slp", filename=name), tmp_path).labels
    np.testing.assert_array_equal(labels.points[1, 0], [1, 2])
    for image, frame in zip(labels.images, (7, 9), strict=True):
        np.testing.assert_array_equal(cv2.imread(str(image)), numbered_image(frame))


def test_images_that_a_sleap_file_names_are_found_beside_it(tmp_path: Path) -> None:
    names = [f"D:\\images\\{n}.png" for n in range(10)]
    file = sleap_of(tmp_path / "a.slp", filename=names[0], filenames=names)
    with pytest.raises(LabelsError, match=r"2 of 2 labelled images are not there"):
        open_project(file, tmp_path / "unpacked")
    for n in (7, 9):
        cv2.imwrite(str(tmp_path / f"{n}.png"), PICTURE + n)
    labels = open_project(file, tmp_path / "unpacked").labels
    read = cv2.imread(str(labels.images[1]))
    np.testing.assert_array_equal(read, PICTURE + 9)


@pytest.mark.parametrize(
    ("backend", "frames", "sentence"),
    [
        ({"filename": "D:/x/clip.mkv"}, 0, "Put clip.mkv beside a.slp; or in SLEAP"),
        (
            {"filename": "clip.h5", "dataset": "box"},
            0,
            "'clip.h5', which is not a video",
        ),
        ({"filename": "/etc/passwd"}, 0, "'/etc/passwd', which is not a video file"),
        ({"filename": "../clip.mkv"}, 0, "the video ../clip.mkv of 2 labelled frames"),
        ({"filename": "clip.mkv"}, 9, "has 9 frames: it is not the video"),
    ],
)
def test_a_sleap_file_without_its_video_is_one_sentence(
    tmp_path: Path, backend: dict[str, str], frames: int, sentence: str
) -> None:
    if frames:
        write_video(tmp_path / "clip.mkv", frames)
    file = sleap_of(tmp_path / "a.slp", **backend)
    with pytest.raises(LabelsError, match=sentence) as refusal:
        open_project(file, tmp_path / "unpacked")
    assert len(refusal.value.problems) == 1


def test_the_template_skeleton_of_a_sleap_file_is_read(tmp_path: Path) -> None:
    file = sleap(tmp_path / "a.pkg.slp")
    with h5py.File(file, "a") as content:
        attributes = content["metadata"].attrs
        words = json.loads(attributes["json"])
        own = {"nx_graph": words["skeletons"][0], "description": None}
        attributes["json"] = json.dumps({**words, "skeletons": [own]})
    skeleton = open_project(file, tmp_path / "unpacked").labels.skeleton
    assert skeleton.bodyparts == ("snout", "tail")
    assert skeleton.edges == (("snout", "tail"),)


def test_a_sleap_file_of_several_skeletons_is_refused_in_one_sentence(
    tmp_path: Path,
) -> None:
    file = sleap(tmp_path / "a.pkg.slp")
    with h5py.File(file, "a") as content:
        attributes = content["metadata"].attrs
        words = json.loads(attributes["json"])
        fly = {**words["skeletons"][0], "graph": {"name": "fly"}}
        several = [fly, {"nx_graph": words["skeletons"][0]}]
        attributes["json"] = json.dumps({**words, "skeletons": several})
    with pytest.raises(LabelsError) as refusal:
        open_project(file, tmp_path / "unpacked")
    (told,) = refusal.value.problems
    assert "holds 2 skeletons (fly, without a name), and a network learns one" in told


@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        ("track_occupancy", "predictions for analysis. Give the labels"),
        ("model_weights", "a network of SLEAP's TensorFlow versions"),
        ("anything", "it has no metadata"),
    ],
)
def test_another_hdf5_file_of_sleap_is_named(
    tmp_path: Path, held: str, sentence: str
) -> None:
    with h5py.File(tmp_path / "a.slp", "w") as content:
        content[held] = [1]
    with pytest.raises(LabelsError, match=sentence):
        open_project(tmp_path / "a.slp", tmp_path)


PARTS = (
    "", "config.yaml", "labeled-data", "labeled-data/a",
    "labeled-data/b/CollectedData_me.csv",
)  # fmt: skip
WAYS = [(option, part) for option in ("", "--data") for part in PARTS]
"""What a user of DeepLabCut may name."""


def test_each_part_of_a_deeplabcut_project_is_trained_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = deeplabcut(tmp_path / "project")
    for option, part in WAYS:
        words = [word for word in (option, str(folder / part)) if word]
        words += ["--edges", "snout:ear", "--output", str(tmp_path / "new")]
        assert TrainNetwork.main(words) == 2
        told = capsys.readouterr().err
        assert "--edges snout:ear: expected A:B, two of " in told, words


@pytest.mark.parametrize(
    ("part", "images"),
    [
        ("config.yaml", 2),
        ("labeled-data", 2),
        ("labeled-data/b", 1),
        ("labeled-data/b/CollectedData_me.csv", 1),
    ],
)
def test_a_part_of_a_deeplabcut_project_is_read(
    tmp_path: Path, part: str, images: int
) -> None:
    labels = open_project(deeplabcut(tmp_path) / part, tmp_path / "unpacked").labels
    assert len(labels.images) == images
    assert all(image.is_file() for image in labels.images)
    assert set(labels.skeleton.bodyparts) == {"snout", "tail"}


def test_options_that_a_configuration_overrules_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "data: {data_dir: ., csv_file: none.csv}\nmodel: {}\ntraining: {}\n"
    )
    words = ["--data", str(file), "--output", str(tmp_path / "new")]
    assert TrainNetwork.main([*words, "--size", "64x64", "--no-mirror"]) == 2
    told = capsys.readouterr().out
    assert f"--size, --mirror changed nothing: {file} decides" in told
    assert TrainNetwork.main(words) == 2
    assert "changed nothing" not in capsys.readouterr().out


def test_a_configuration_of_another_program_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "some.yaml"
    for text, sentence in (
        (
            "data: {data_dir: .}\nmodel: {}",
            "a Lightning Pose configuration: train with",
        ),
        (
            "data_config: {}\nmodel_config: {}",
            "SLEAP-NN configuration; .*: a .slp file",
        ),
        (
            "data_config: {train_labels_path: [a.slp]}\nmodel_config: {}",
            "name the labels instead: a.slp",
        ),
        ("net_type: resnet_50\nmethod: bu", "describes a network of DeepLabCut; name"),
        ("a: 1", "is not a configuration of DeepLabCut or Lightning Pose"),
    ):
        file.write_text(text)
        with pytest.raises(LabelsError, match=sentence) as refusal:
            open_project(file, tmp_path)
        assert len(refusal.value.problems) == 1


def test_a_folder_without_labels_is_one_sentence(tmp_path: Path) -> None:
    folder = deeplabcut(tmp_path / "project")
    for n in range(2):
        (tmp_path / f"{n}.slp").touch()
    (tmp_path / "a.mp4").write_bytes(b"\xff\xfe\xfd")
    for path, sentence in (
        (folder / "videos", "there is no file or folder"),
        (tmp_path, "holds 2 files of SLEAP: name one"),
        (tmp_path / "a.mp4", "is not a table of labels"),
    ):
        with pytest.raises(LabelsError, match=sentence) as refusal:
            open_project(path, tmp_path)
        assert len(refusal.value.problems) == 1


def test_many_absent_images_are_one_sentence(tmp_path: Path) -> None:
    rows = "".join(f"clip/{n}.png,1,2,3,4\n" for n in range(90))
    text = "scorer,me,me,me,me\nbodyparts,a,a,b,b\ncoords,x,y,x,y\n" + rows
    (tmp_path / "CollectedData.csv").write_text(text)
    with pytest.raises(
        LabelsError, match=r"0\.png, nor any of the 89 others"
    ) as refusal:
        open_project(tmp_path, tmp_path)
    assert len(refusal.value.problems) == 1
    (tmp_path / "CollectedData.csv").write_text(text.replace("1,2", "1,two"))
    with pytest.raises(LabelsError, match="and 70 more problems"):
        open_project(tmp_path, tmp_path)


REAL = Path(__file__).parents[3] / "shared/data/sleap"


@pytest.mark.skipif(not REAL.exists(), reason="needs real SLEAP files")
@pytest.mark.parametrize(
    ("name", "images", "told"),
    [
        ("dance.mp4.labels.slp", 3, ""),
        ("minimal_instance.pkg.slp", 1, ""),
        ("small_robot_minimal.slp", 2, ""),
        ("minimal_instance.slp", 0, "Put centered_pair_low_quality.mp4 beside"),
        ("small_robot_siv.slp", 0, "3 of 3 labelled images are not there"),
        ("small_robot_siv_caching.slp", 0, "3 of 3 labelled images are not there"),
    ],
)
def test_real_sleap_files_are_read_or_one_sentence(
    tmp_path: Path, name: str, images: int, told: str
) -> None:
    file = REAL / "labels" / name
    if not told:
        labels = open_project(file, tmp_path, several=True).labels
        assert len(labels.images) == images
        return
    with pytest.raises(LabelsError, match=told) as refusal:
        open_project(file, tmp_path, several=True)
    assert len(refusal.value.problems) == 1


def test_only_videos_are_taken_from_the_paths_of_a_configuration(
    tmp_path: Path,
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    deeplabcut(project)
    secret, film = tmp_path / "secret.txt", tmp_path / "film.mp4"
    for file in (secret, film):
        file.write_bytes(b"x")
    words = (project / "config.yaml").read_text()
    listed = "".join(f"  {file.as_posix()}: {{}}\n" for file in (secret, film))
    (project / "config.yaml").write_text(f"{words}\n{listed}")
    assert open_project(project, tmp_path).videos == (film,)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("date: 2026-13-45", "is not valid YAML: month must be in"),
        ("date: !!float [1]", "is not valid YAML"),
        ("skeleton: [snout, tail]", "skeleton holds 'snout', and not a pair"),
        ("skeleton: 3", "skeleton holds 3, and not a pair"),
        ("video_sets: 5", "video_sets is 5, and no list of videos"),
    ],
)
def test_a_config_that_says_something_else_is_a_sentence(
    tmp_path: Path, line: str, sentence: str
) -> None:
    clip = tmp_path / "labeled-data/clip"
    clip.mkdir(parents=True)
    cv2.imwrite(str(clip / "a.png"), PICTURE)
    (clip / "CollectedData_me.csv").write_text(
        "scorer,me,me,me,me\nbodyparts,snout,snout,tail,tail\ncoords,x,y,x,y\n"
        "labeled-data/clip/a.png,1,2,3,4\n"
    )
    (tmp_path / "config.yaml").write_text(f"scorer: me\n{line}\n")
    with pytest.raises(LabelsError, match=sentence):
        open_project(tmp_path, tmp_path / "unpacked")
