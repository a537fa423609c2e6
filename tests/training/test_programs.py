import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.training import training_job
from deeplabstream.training.train_config import TrainConfig
from tests.training.foreign_projects import deeplabcut, sleap
from utils import CheckNetwork, EvaluateNetwork, PredictFrames, TrainNetwork

CPU = ["--device", "cpu"]  # nothing needs to be measured
SMALL = ["--size", "64x48", "--steps", "2", "--batch", "2", "--stages", "4", "--quiet"]


@pytest.fixture(scope="module")
def model(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    words = ["--data", str(labelled), "--output", str(folder), *SMALL]
    words += ["--bones", "leftear:rightear", "--moved", "0.5", "--channels", "8"]
    assert TrainNetwork.main(words) == 0
    return folder


def test_training_writes_a_model_folder_that_says_how(model: Path) -> None:
    loaded = load_model_folder(model)
    assert loaded.skeleton.edges == (("leftear", "rightear"),)
    assert str(loaded.about["command"]).startswith(
        "python utils/TrainNetwork.py --data"
    )
    assert loaded.about["pictures"] == {"trained_on": 6, "held_out": 2}


def test_size_and_turns_are_as_the_labels_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["scorer" + ",me" * 6, "bodyparts,a,a,b,b,c,c", "coords" + ",x,y" * 3]
    for n in range(20):  # a hook, always the same way up
        cv2.imwrite(str(tmp_path / f"{n}.png"), np.full((90, 90, 3), n, np.uint8))
        rows.append(f"{n}.png,{20 + n},20,{60 + n},20,{60 + n},35")
    (tmp_path / "CollectedData.csv").write_text("\n".join(rows), encoding="utf-8")
    words = ["--data", str(tmp_path), "--output", str(tmp_path / "model"), *SMALL]
    assert TrainNetwork.main([*words, "--size", "small"]) == 0
    loaded = load_model_folder(tmp_path / "model")
    assert (loaded.fitting.width, loaded.fitting.height) == (192, 192)
    assert "up to 15 degrees, never mirrored" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--data", "nowhere"], "there is no file or folder nowhere"),
        (["--edges", "leftear:tail"], "--edges leftear:tail: expected A:B, two of"),
        (["--device", "abacus"], "torch has no device 'abacus'"),
    ],
)
def test_what_can_not_be_trained_is_told_in_a_sentence(
    labelled: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    start = ["--data", str(labelled), "--output", str(tmp_path / "model"), *SMALL]
    assert TrainNetwork.main([*start, *words]) == 2
    told = capsys.readouterr().err
    assert told.startswith(sentence)
    assert told.count("\n") == 1
    assert not (tmp_path / "model").exists()


def test_labels_are_not_replaced_by_a_networks_tables(
    labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beside = str(labelled / "clip0" / "..")
    assert TrainNetwork.main(["--data", str(labelled), "--output", beside, *SMALL]) == 2
    assert "name another folder" in capsys.readouterr().err
    assert not (labelled / "config.yaml").exists()


def test_overrides_without_a_configuration_are_refused(
    labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(labelled), "--output", str(tmp_path / "model"), *SMALL]
    assert TrainNetwork.main([*words, "--overrides", "training.max_epochs=50"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("--overrides training.max_epochs=50: they change")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("seeds", [(), (0, 1)])
@pytest.mark.parametrize("overwrite", [True, False])
def test_only_a_resumed_training_continues_from_what_the_folder_holds(
    labelled: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seeds: tuple[int, ...],
    overwrite: bool,
) -> None:
    output = tmp_path / "model"
    folders = [output, *(output / f"seed{seed}" for seed in seeds)]
    earlier = [
        folder / own / name
        for folder in folders
        for own in ("", "detector", "context")
        for name in ("checkpoints/last.ckpt", "predictions.csv", "model.json")
    ]
    for file in earlier:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    begun: list[Path] = []

    def stopped(run: object, folder: Path, *rest: object) -> None:
        begun.append(folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(training_job, "_train_network", stopped)
    config = TrainConfig(
        data=labelled, output=output, seeds=seeds, size="64x48", imagenet=False,
        overwrite=overwrite, resume=not overwrite, progress="none",
    )  # fmt: skip
    if overwrite or not seeds:
        with pytest.raises(KeyboardInterrupt):
            training_job.train(config)
        assert begun == [folders[-len(seeds) or 0]]
    else:
        training_job.train(config)
        assert begun == [], "both are already trained"
    assert [file.exists() for file in earlier] == [not overwrite] * len(earlier)


def test_a_network_that_a_training_over_it_starts_from_stays(
    labelled: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "model"
    shutil.copytree(model, output)

    def stopped(run: object, folder: Path, *rest: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training_job, "_train_network", stopped)
    config = TrainConfig(
        data=labelled, output=output, size="64x48", start_from=output,
        overwrite=True, progress="none",
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        training_job.train(config)
    assert (output / "model.json").is_file()
    assert not (output / "checkpoints" / "last.ckpt").exists()


def test_an_ensemble_is_not_trained_over_a_single_network(
    labelled: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(labelled), "--output", str(model), "--seeds", "0,1"]
    assert TrainNetwork.main([*words, *SMALL]) == 2
    assert "model.json already exists" in capsys.readouterr().err
    assert not (model / "seed0").exists()


@pytest.mark.parametrize(
    "words",
    [["--size", "big"], ["--size", "50x50"], ["--steps", "0"], ["--moved", "2"]],
)
def test_odd_words_are_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        TrainNetwork.main(["--data", "a", "--output", "b", *words])
    assert repr(words[1]) in capsys.readouterr().err


def test_the_package_of_outputs_is_no_place_for_networks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = Path(TrainNetwork.__file__).parents[1] / "outputs" / "2026-11-21"
    with pytest.raises(SystemExit):
        TrainNetwork.main(["--data", "a", "--output", str(place)])
    assert "contains programs; name another folder" in capsys.readouterr().err
    assert not place.exists()


@pytest.fixture(scope="module")
def video(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("video") / "dots.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 30, (128, 96))
    for picture in sorted(labelled.glob("*/*.png")):
        frame = cv2.imread(str(picture))
        assert frame is not None
        writer.write(frame)
    writer.release()
    return file


def test_a_network_is_measured_against_a_video(
    model: Path,
    labelled: Path,
    video: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels, sheet = str(labelled / "CollectedData.csv"), tmp_path / "sheet.png"
    words = ["--model", str(model), "--video", str(video), "--labels", labels]
    assert CheckNetwork.main([*words, *CPU, "--sheet", str(sheet)]) == 0
    told = capsys.readouterr().out
    assert "8 frames with points placed by hand; runs on" in told
    assert "rightear     median" in told
    assert sheet.is_file()


def test_frames_that_the_video_lacks_are_named(
    model: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = "scorer,a,a\nbodyparts,leftear,leftear\ncoords,x,y\n"
    labels = tmp_path / "check.csv"
    words = ["--model", str(model), "--video", str(video), "--labels", str(labels)]
    labels.write_text(header + "img03.png,1,2\nimg99.png,1,2\n", encoding="utf-8")
    assert CheckNetwork.main([*words, *CPU]) == 2
    assert "has 8 frames, but not 99" in capsys.readouterr().err
    labels.write_text(header + "first.png,1,2\n", encoding="utf-8")
    assert CheckNetwork.main([*words, *CPU]) == 2
    assert "the name must end with a frame number" in capsys.readouterr().err
    labels.write_text(header.replace("leftear", "paw") + "img1.png,1,2\n")
    assert CheckNetwork.main([*words, *CPU]) == 2
    assert "the network has no body part paw" in capsys.readouterr().err


def test_pictures_and_label_files_are_predicted(
    model: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", str(model), "--output", str(tmp_path), *CPU]
    inputs = [str(labelled / "CollectedData.csv"), str(labelled / "clip0")]
    assert PredictFrames.main([*words, *inputs]) == 0
    assert "8 images" in capsys.readouterr().out
    table = (tmp_path / "CollectedData.csv" / "predictions.csv").read_text()
    assert table.splitlines()[3].startswith("clip0/img00.png,")
    assert len((tmp_path / "clip0" / "predictions.csv").read_text().splitlines()) == 7
    errors = tmp_path / "CollectedData.csv" / "predictions_pixel_error.csv"
    assert errors.read_text().splitlines()[0] == ",leftear,rightear"
    (tmp_path / "empty").mkdir()
    assert PredictFrames.main([*words, str(tmp_path / "empty")]) == 2
    assert "holds no image" in capsys.readouterr().err


def test_two_inputs_of_one_name_are_refused_before_a_table_is_written(
    model: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = [str(labelled / "clip0"), str(tmp_path / "other" / "clip0")]
    words = ["--model", str(model), "--output", str(tmp_path / "out"), *CPU]
    with pytest.raises(SystemExit, match="2"):
        PredictFrames.main([*words, *inputs])
    assert f"{inputs[0]} and {inputs[1]} have the same name" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_labels_of_other_programs_are_predicted(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--model", str(model), "--output", str(tmp_path / "out"), *CPU]
    project = deeplabcut(tmp_path / "project")
    file = sleap(tmp_path / "labels.pkg.slp")
    for given in (project, project / "config.yaml", file):
        assert PredictFrames.main([*words, str(given)]) == 0
        told = capsys.readouterr().out
        assert "2 images" in told
        assert "no labelled body part is one of the network's" in told
    (tmp_path / "a.mp4").touch()
    assert PredictFrames.main([*words, str(tmp_path / "a.mp4")]) == 2
    assert "PredictVideos.py" in capsys.readouterr().err


def test_a_run_is_evaluated_by_set(
    model: Path, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "errors.csv"
    assert EvaluateNetwork.main(["--model", str(model), "--csv", str(table), *CPU]) == 0
    assert "confidence calibration error" in capsys.readouterr().out
    rows = [line.split(",")[:3] for line in table.read_text().splitlines()]
    assert ["train", "together", "12"] in rows
    assert ["validation", "leftear", "2"] in rows
    own = ["--model", "openfield", "--data", str(labelled)]
    assert EvaluateNetwork.main(["--model", "openfield", *CPU]) == 2
    assert (
        "does not contain the path of its labels; use --data" in capsys.readouterr().err
    )
    assert EvaluateNetwork.main([*own, *CPU]) == 0
