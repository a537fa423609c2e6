"""Programs around training: boxes, conversion, advice, several label files."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from deeplabstream.core.clock import ManualClock
from deeplabstream.core.errors import ModelError
from deeplabstream.startup.arguments import quoted
from deeplabstream.training.callbacks import StepProgress
from deeplabstream.training.data.label_book import open_book
from deeplabstream.training.data.label_files import write_joined, write_labels
from deeplabstream.training.data.labels import LabelsError, read_labels
from deeplabstream.training.data.project_conversion import convert
from deeplabstream.training.data.projects import Project, open_project, read_label_sets
from deeplabstream.training.evaluation.network_errors import labels_of
from deeplabstream.training.evaluation.second_labels import second_labels
from deeplabstream.training.lightning_pose.train_status import STATUS, TrainStatusFile
from deeplabstream.training.recommendations import (
    ProjectFacts,
    advise,
    cropzoom_pays,
    inspect_project,
)
from utils import (
    ConvertProject,
    CropFrames,
    EvaluateNetwork,
    RecommendSettings,
    TrainNetwork,
)


def test_labelled_pictures_are_cut_and_come_back(
    labelled: Path, tmp_path: Path
) -> None:
    labels = labelled / "CollectedData.csv"
    assert CropFrames.main(["boxes", str(labels), "--output", str(tmp_path)]) == 0
    boxes = tmp_path / "bbox.csv"
    words = [
        "crop",
        str(labels),
        "--boxes",
        str(boxes),
        "--output",
        str(tmp_path / "c"),
    ]
    assert CropFrames.main(words) == 0
    cropped = tmp_path / "c" / "cropped_CollectedData.csv"
    assert len(list((tmp_path / "c").glob("clip*/*.png"))) == 8
    assert CropFrames.main(["remap", str(cropped), str(boxes)]) == 0
    before = labels.read_text().splitlines()[3:]
    after = (tmp_path / "c" / "remapped_cropped_CollectedData.csv").read_text()
    for old, new in zip(before, after.splitlines()[3:], strict=True):
        numbers = [[float(n) for n in row.split(",")[1:]] for row in (old, new)]
        assert numbers[0] == pytest.approx(numbers[1], abs=1e-6)


def dlc_project(labelled: Path, folder: Path) -> Path:
    """Return a DeepLabCut project of the same pictures."""
    labels = read_labels(labelled)
    (folder / "videos").mkdir(parents=True)
    (folder / "videos" / "mouse.avi").write_bytes(b"not looked into")
    config = {"bodyparts": ["leftear", "rightear"], "scorer": "me", "video_sets": {}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    heads = (labelled / "CollectedData.csv").read_text().splitlines()
    for clip in ("clip0", "clip1"):
        own = folder / "labeled-data" / clip
        own.mkdir(parents=True)
        for image in labels.images:
            if image.parent.name == clip:
                (own / image.name).write_bytes(image.read_bytes())
        rows = ["labeled-data/" + row for row in heads[3:] if row.startswith(clip)]
        text = "\n".join([*heads[:3], *rows]) + "\n"
        (own / "CollectedData_me.csv").write_text(text)
    return folder


def test_a_deeplabcut_project_becomes_one_of_lightning_pose(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project, target = dlc_project(labelled, tmp_path / "dlc"), tmp_path / "my project"
    assert ConvertProject.main([str(project), "--lp_dir", str(target)]) == 0
    said = capsys.readouterr().out
    assert "8 images, 2 body parts, 1 video" in said
    assert f"utils/TrainNetwork.py {quoted(target / 'config.yaml')} --output" in said
    assert quoted(target)[0] in "'\"", "a path with a space is in quotes"
    before, after = read_labels(labelled), read_labels(target)
    np.testing.assert_allclose(after.points, before.points, atol=0.01)
    words = yaml.safe_load((target / "config.yaml").read_text())
    assert words["data"]["keypoint_names"] == ["leftear", "rightear"]
    assert words["data"]["data_dir"] == str(target.resolve())
    assert words["model"]["backbone"] == "efficientnet_lite0"
    assert ConvertProject.main([str(project), "--lp_dir", str(target)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert ConvertProject.main(["nowhere", "--lp_dir", "x"]) == 2


@pytest.mark.parametrize("words", [[], ["--seeds", "0,1"], ["--cropzoom"]])
def test_a_network_of_a_deeplabcut_project_is_evaluated_on_all_its_clips(
    labelled: Path, tmp_path: Path, words: list[str]
) -> None:
    project, run = dlc_project(labelled, tmp_path / "dlc"), tmp_path / "run"
    small = ["--size", "64x48", "--steps", "2", "--batch", "2", "--stages", "4"]
    small += ["--channels", "8", "--no-imagenet", "--quiet", *words]
    given = ["--data", str(project), "--output", str(run), *small]
    assert TrainNetwork.main(given) == 0
    before = open_project(project, tmp_path).labels
    moved = tmp_path / "moved"
    for folder in (run, moved):
        labels, sets = labels_of(folder, (), tmp_path)
        assert labels.names == before.names
        np.testing.assert_allclose(labels.points, before.points, atol=0.001)
        assert sorted(sets) == ["train"] * 6 + ["validation"] * 2
        assert second_labels(labels) is None
        if folder == run:
            run.rename(moved)
    assert not list(project.glob("CollectedData*"))


def test_joined_labels_keep_what_is_unknown(labelled: Path, tmp_path: Path) -> None:
    project = dlc_project(labelled, tmp_path / "dlc")
    labels = open_project(project, tmp_path).labels
    assert labels.tables == 2
    known = labels.known.copy()
    known[-1, 0] = False
    file = write_joined(replace(labels, known=known), tmp_path / "new").file
    after = read_labels(file, root=project)
    np.testing.assert_array_equal(after.known, known)
    assert after.names == labels.names


@pytest.mark.parametrize("animals", [1, 2])
def test_unknown_points_are_kept_by_conversion_or_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], animals: int
) -> None:
    source = tmp_path / "source"
    (source / "clip").mkdir(parents=True)
    rows = [
        "scorer" + ",me" * 6,
        "bodyparts,a,a,a,b,b,b",
        "coords" + ",x,y,visible" * 2,
    ]
    rows += ["clip/img0.png,1,2,2,,,0", "clip/img1.png,3,4,2,,,1"]
    if animals > 1:
        rows.insert(1, "individuals,one,one,one,two,two,two")
        rows[2] = "bodyparts" + ",a" * 6
    (source / "CollectedData.csv").write_text("\n".join(rows) + "\n")
    for index in range(2):
        cv2.imwrite(
            str(source / "clip" / f"img{index}.png"), np.zeros((48, 64, 3), np.uint8)
        )
    target = tmp_path / "target"
    assert ConvertProject.main([str(source), "--output", str(target)]) == 0
    said = capsys.readouterr().out
    after = open_project(target, target, several=True).labels
    if animals == 1:
        assert after.known.tolist() == [[True, False], [True, True]]
    else:
        assert "1 unknown point (visible 0): DeepLabCut's" in said
    package = tmp_path / "labels.pkg.slp"
    assert ConvertProject.main([str(source), "--output", str(package)]) == 0
    assert "1 unknown point (visible 0): SLEAP's" in capsys.readouterr().out


@pytest.mark.parametrize("embedded", [True, False])
def test_labels_of_sleaps_own_library_become_a_project(
    labelled: Path, tmp_path: Path, embedded: bool
) -> None:
    import sleap_io

    labels = read_labels(labelled)
    skeleton = sleap_io.Skeleton(nodes=list(labels.skeleton.bodyparts))
    video = sleap_io.Video.from_filename([str(image) for image in labels.images])
    frames = [
        sleap_io.LabeledFrame(
            video=video, frame_idx=place,
            instances=[sleap_io.Instance.from_numpy(xy.astype(float), skeleton=skeleton)],
        )
        for place, xy in enumerate(labels.points)
    ]  # fmt: skip
    package, target = tmp_path / "dots.slp", tmp_path / "project"
    if embedded:
        package = tmp_path / "dots.pkg.slp"
    how = {"embed": "user" if embedded else False, "verbose": False}
    sleap_io.Labels(frames).save(str(package), **how)
    assert ConvertProject.main([str(package), "--output", str(target)]) == 0
    after = read_labels(target)
    assert after.skeleton.bodyparts == labels.skeleton.bodyparts
    np.testing.assert_allclose(after.points, labels.points, atol=0.01)
    for one, other in zip(after.images, labels.images, strict=True):
        pictures = [cv2.imread(str(file)) for file in (one, other)]
        np.testing.assert_array_equal(*pictures)


@pytest.mark.parametrize("tracks", [("bob", "anna"), ("bob", ""), ("single", "anna")])
def test_labels_of_several_animals_become_a_deeplabcut_project(
    pairs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tracks: tuple[str, str],
) -> None:
    import sleap_io

    labels = read_labels(pairs, several=True)
    skeleton = sleap_io.Skeleton(nodes=list(labels.skeleton.bodyparts))
    video = sleap_io.Video.from_filename([str(image) for image in labels.images])
    named = [sleap_io.Track(name) for name in tracks]
    frames = []
    for place, own in enumerate(labels.points.reshape(16, 2, 2, 2).astype(float)):
        both = [
            sleap_io.Instance.from_numpy(xy, skeleton=skeleton, track=track)
            for xy, track in zip(own, named, strict=True)
        ]
        shown = both[::-1] if place % 2 else both  # in any order
        frame = sleap_io.LabeledFrame(
            video=video, frame_idx=place, instances=shown[: 1 if place == 5 else 2]
        )
        frames.append(frame)
    package, target = tmp_path / "pair.slp", tmp_path / "project"
    sleap_io.Labels(frames).save(str(package), embed=False, verbose=False)
    assert ConvertProject.main([str(package), "--output", str(target)]) == 0
    assert f"--data {target} --output" in capsys.readouterr().out
    after = open_project(target, target, several=True).labels
    book = open_book(target)
    good = tracks == ("bob", "anna")
    assert book.individuals == (tracks if good else ("animal1", "animal2"))
    assert after.animals == 2
    if good:
        same = np.delete(np.arange(16), 5)
        np.testing.assert_allclose(after.points[same], labels.points[same], atol=0.01)
        assert np.isnan(after.points[5, :2]).all(), "anna alone"
    assert ConvertProject.main([str(package), "--output", str(target)]) == 2
    again = tmp_path / "again"
    assert ConvertProject.main([str(target), "--output", str(again)]) == 0
    twice = open_project(again, again, several=True).labels
    np.testing.assert_array_equal(twice.points, after.points)
    assert twice.individuals == after.individuals


@pytest.mark.parametrize("name", ["pair.slp", "pair.pkg.slp"])
def test_labels_of_several_animals_become_sleaps_file(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    import sleap_io

    data = tmp_path / "labels"
    shutil.copytree(pairs, data)
    labels = read_labels(data, several=True)
    first, missing = labels.points.copy(), (3, slice(2, 4))
    first[missing] = first[7] = np.nan
    first[9, 1] = np.nan
    write_labels(
        data / "CollectedData.csv", "me", labels.skeleton.bodyparts, labels.names, first,
        individuals=("anna", "bob"), digits=3,
    )  # fmt: skip
    big = cv2.imread(str(labels.images[5]))
    cv2.imwrite(str(labels.images[5]), cv2.resize(big, None, fx=2, fy=2))
    file = tmp_path / name
    assert ConvertProject.main([str(data), "--output", str(file)]) == 0
    assert f"15 labelled frames of 16 images: {file}" in capsys.readouterr().out

    theirs = sleap_io.load_file(str(file))
    assert theirs.skeleton.node_names == list(labels.skeleton.bodyparts)
    assert [track.name for track in theirs.tracks] == ["anna", "bob"]
    assert [len(video) for video in theirs.videos] == [15, 1], "two sizes of images"
    order = [n for n in range(16) if n != 5] + [5]
    shown = [n for n in order if n != 7]
    assert len(theirs) == 15
    for number, frame in zip(shown, theirs, strict=True):
        own = {each.track.name: each.numpy() for each in frame.user_instances}
        for animal, xy in zip(
            ("anna", "bob"), first[number].reshape(2, 2, 2), strict=True
        ):
            if np.isnan(xy).all():
                assert animal not in own
            else:
                np.testing.assert_allclose(own[animal], xy, atol=1e-3)
        image = cv2.imread(str(labels.images[number]))
        their = np.broadcast_to(frame.image[..., ::-1], image.shape)
        np.testing.assert_array_equal(their, image)

    assert ConvertProject.main([str(data), "--output", str(file)]) == 2
    assert "already exists" in capsys.readouterr().err
    if name.endswith(".pkg.slp"):
        shutil.rmtree(data)
    again = open_project(file, tmp_path / "unpacked", several=True).labels
    np.testing.assert_allclose(again.points, first[shown], atol=1e-3)
    assert again.individuals == ("anna", "bob")
    other = tmp_path / "other.slp"
    assert ConvertProject.main([str(file), "--output", str(other)]) == 2
    assert "name it other.pkg.slp" in capsys.readouterr().err
    assert not other.exists()


def test_files_that_would_replace_each_other_are_not_copied(
    labelled: Path, tmp_path: Path
) -> None:
    labels = read_labels(labelled)
    twice = Project(labels, (tmp_path / "a" / "one.mp4", tmp_path / "b" / "one.mp4"))
    with pytest.raises(LabelsError, match=r"two videos are named one\.mp4"):
        convert(twice, tmp_path / "new", {})
    first = labels.images[0]
    alike = first, tmp_path / "x" / first.parent.name / first.name, *labels.images[2:]
    with pytest.raises(LabelsError, match="the same folder and name"):
        convert(Project(replace(labels, images=alike)), tmp_path / "new", {})
    assert not (tmp_path / "new").exists()


def test_lightning_pose_starts_with_what_is_recommended(
    labelled: Path, tmp_path: Path
) -> None:
    """By the rules of its own validation (2.4.3) for schedules counted in steps."""
    file = tmp_path / "config.yaml"
    assert RecommendSettings.main([str(labelled), "--output", str(file)]) == 0
    words = yaml.safe_load(file.read_text())
    training = words["training"]
    assert training["min_steps"] == training["max_steps"]
    steps = training["lr_scheduler_params"]["multisteplr"]["milestone_steps"]
    assert max(steps) <= training["max_steps"]
    assert {"unfreezing_step", "num_gpus", "val_batch_size", "rng_seed_data_pt"} <= set(
        training
    )
    assert not {"min_epochs", "max_epochs", "unfreezing_epoch"} & set(training)
    assert set(words) == {
        "data", "training", "model", "dali", "losses", "callbacks", "eval"
    }  # fmt: skip


def test_advice_has_reasons_and_can_be_trained_with(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from deeplabstream.training.lightning_pose.project import read_pose_project

    file = tmp_path / "config.yaml"
    assert RecommendSettings.main([str(labelled), "--output", str(file)]) == 0
    told = capsys.readouterr().out
    before = file.read_bytes()
    assert RecommendSettings.main([str(labelled), "--output", str(file)]) == 2
    assert "already exists" in capsys.readouterr().err
    assert file.read_bytes() == before
    assert "training.max_steps = 600" in told
    assert "8 images, each seen about 600 times" in told
    project = read_pose_project(file)
    assert project.settings(6).steps == 600
    assert project.labels().skeleton.bodyparts == ("leftear", "rightear")


def test_faults_of_pictures_set_apart_are_told_before_training(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "labels"
    shutil.copytree(labelled, folder)
    text = (labelled / "CollectedData.csv").read_text()
    (folder / "CollectedData_new.csv").write_text(text.replace("img00", "none"))
    (folder / "CollectedData_test.csv").write_text(text.replace("ear", "tail"))
    words = [
        "--data",
        str(folder),
        "--output",
        str(tmp_path / "run"),
        "--size",
        "64x48",
    ]
    assert TrainNetwork.main(words) == 2
    told = capsys.readouterr().err
    assert "there is no image" in told
    assert "CollectedData_test.csv labels no body part" in told
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_recommendations_follow_the_facts_of_a_project(labelled: Path) -> None:
    facts = inspect_project(open_project(labelled, labelled), 0)
    assert (facts.images, facts.clips, facts.height, facts.width) == (8, 2, 96, 128)
    small = ProjectFacts(500, 9, ("a",) * 4, 1080, 1920, 60.0, 0.1, (), 24.0)
    words = {each.key: each.value for each in advise(small)}
    assert words["data.image_resize_dims"] == {"height": 288, "width": 512}
    assert words["training.train_batch_size"] == 32
    assert words["training.imgaug"] == "dlc-top-down"
    assert words["training.uniform_heatmaps_for_nan_keypoints"] is True
    assert cropzoom_pays(small)
    large = ProjectFacts(500, 9, ("a",) * 4, 480, 640, 400.0, 0.0, (), 0.0, False)
    assert not cropzoom_pays(large)
    words = {each.key: each.value for each in advise(large)}
    assert words["data.image_resize_dims"] == {"height": 96, "width": 128}
    assert words["training.imgaug"] == "dlc"


def test_several_label_files_are_sets_of_their_own(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (labelled / "CollectedData.csv").read_text().splitlines()
    files = [labelled / "first.csv", labelled / "rest.csv"]
    for file, rows in zip(files, (text[3:6], text[6:]), strict=True):
        file.write_text("\n".join([*text[:3], *rows]) + "\n")
    labels, sets = read_label_sets(files, tmp_path)
    assert sets == ("first",) * 3 + ("rest",) * 5
    assert len(labels.images) == 8
    page = tmp_path / "both.html"
    words = ["--model", "openfield", "--report", str(page), "--device", "cpu"]
    assert EvaluateNetwork.main([*words, "--data", *map(str, files)]) == 0
    assert "first" in capsys.readouterr().out
    assert '<option value="rest">' in page.read_text() or ">rest<" in page.read_text()
    files[1].write_text("\n".join(text).replace("rightear", "tail"))
    with pytest.raises(LabelsError, match="do not label the same body parts"):
        read_label_sets(files, tmp_path)
    for file in files:
        file.unlink()


def test_the_app_sees_how_far_training_is(tmp_path: Path) -> None:
    told: list[StepProgress] = []
    clock = ManualClock()
    (tmp_path / STATUS).write_text('{"pid": 12, "status": "STARTED", "more": 1}')
    status = TrainStatusFile(tmp_path, 300, told.append, clock)

    def read() -> dict[str, object]:
        words = json.loads((tmp_path / STATUS).read_text())
        return {**words, "done": words["progress"]["completed"]}

    status(StepProgress(1, 0.5))
    status(StepProgress(2, 0.5))
    assert read()["done"] == 1
    clock.set(2_000_000_000)
    status(StepProgress(40, 0.4))
    assert read()["done"] == 40
    assert (read()["pid"], read()["status"], read()["more"]) == (
        os.getpid(), "TRAINING", 1
    )  # fmt: skip
    for fault, word in (
        (ModelError("no"), "FAILED"),
        (KeyboardInterrupt(), "CANCELED"),
    ):
        with pytest.raises(type(fault)), status.watched():
            assert read()["status"] == "STARTED"
            status.write("TRAINING", 40)
            raise fault
        assert (read()["status"], read()["done"]) == (word, 40)
    assert [progress.step for progress in told] == [1, 2, 40]
