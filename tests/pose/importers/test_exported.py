"""Networks of DeepLabCut and Lightning Pose see what these programs themselves saw.

The archives were made by the programs (`foreign/make_*.py`), which no test needs.
"""

import io
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydantic import JsonValue

from deeplabstream.core.errors import ModelError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.offline.video_inference import predict
from deeplabstream.pose.decoders.centres import Centres
from deeplabstream.pose.decoders.multi_animal import MultiAnimalDecoder
from deeplabstream.pose.filters.animal_crops import AnimalCrops
from deeplabstream.pose.filters.live_crop import BOX, LiveCrop, look
from deeplabstream.pose.image_fitting import ImageWindow, zoomed
from deeplabstream.pose.importers.script_export import SCRIPTS
from deeplabstream.pose.model.model_folder import IMPORTED, load_model_folder
from deeplabstream.pose.model.model_opening import (
    CONTEXT,
    open_estimator,
    open_for_videos,
    open_live_crop,
)
from deeplabstream.pose.network_estimator import NetworkEstimator
from deeplabstream.pose.tracking.pose_matching import match_animals
from tests.offline.films import write_film
from tests.pose.importers.conftest import FOREIGN
from tests.pose.importers.estimated import estimated, frames_of, poses, rounding
from tests.pose.importers.foreign.drawing import drawn_animals, random_maps
from utils.ImportModel import main


@pytest.mark.parametrize(
    "name",
    ["deeplabcut3_maps", "deeplabcut3_hrnet", "deeplabcut3_axes", "deeplabcut2"],
)
def test_deeplabcuts_points_are_ours(
    unpacked: dict[str, Path], imported: Callable[..., Path], name: str
) -> None:
    out = imported(name)
    with np.load(unpacked[name] / "reference.npz") as theirs:
        points, sure = poses(out, frames_of(theirs))
        np.testing.assert_allclose(points, theirs["points"], atol=0.01)
        np.testing.assert_allclose(sure, theirs["confidences"], atol=0.002)
        assert np.ptp(theirs["points"][..., 0]) > 20  # they are not all at one place
    about = load_model_folder(out).about
    assert str(about["source"]).startswith("DeepLabCut ")
    assert about["compared"]["max_px"] < 0.01  # type: ignore[index]


def test_deeplabcuts_animals_are_ours(
    unpacked: dict[str, Path], imported: Callable[..., Path]
) -> None:
    source, out = unpacked["deeplabcut3_fields"], imported("deeplabcut3_fields")
    model = load_model_folder(out)
    assert (out / "reference.npz").is_file()  # it stays with the network
    assert model.imported == IMPORTED
    assert isinstance(model.decoder, MultiAnimalDecoder)
    assert model.animals == 3
    with np.load(source / "reference.npz") as theirs:
        pictures, seen, said = (
            frames_of(theirs),
            theirs["points"],
            theirs["confidences"],
        )
    points, sure = estimated(out, pictures)
    rng, errors = np.random.default_rng(7), []
    for place, where in enumerate(seen):
        order = match_animals(where, points[place])
        told = np.isfinite(where[..., 0])
        ours, sures = points[place, order], sure[place, order]
        np.testing.assert_allclose(ours[told], where[told], atol=0.01)
        np.testing.assert_allclose(sures[told], said[place][told], atol=0.002)
        _, drawn = drawn_animals(rng, 1 + place % 3, 160, 192, scale=2.0)
        truth = np.full_like(where, np.nan)
        truth[: len(drawn)] = drawn
        order = match_animals(truth, points[place])
        away = np.linalg.norm(points[place, order] - truth, axis=2)[: len(drawn)]
        errors += away[np.isfinite(away)].tolist()
    assert len(errors) >= 70  # of 72
    assert (
        np.percentile(errors, 95) < 4
    )  # one point is told of the wrong animal, by both
    about = model.about["compared"]
    assert isinstance(about, dict)
    assert about["missed"] == 0
    assert about["more"] <= 2  # of an animal with one edge, which DeepLabCut drops


def test_animals_regressed_from_their_centres_are_deeplabcuts(
    unpacked: dict[str, Path], imported: Callable[..., Path]
) -> None:
    out = imported("deeplabcut3_centres")  # DEKR on an HRNet: deformable convolutions
    model = load_model_folder(out)
    assert isinstance(model.decoder, Centres)
    assert model.animals == 3
    with np.load(unpacked["deeplabcut3_centres"] / "reference.npz") as theirs:
        points, sure = estimated(out, frames_of(theirs))
        for place, where in enumerate(theirs["points"]):
            order = match_animals(where, points[place])
            told = np.isfinite(where[..., 0])
            np.testing.assert_array_equal(np.isfinite(points[place, order, :, 0]), told)
            np.testing.assert_allclose(
                points[place, order][told], where[told], atol=0.01
            )
            own = theirs["confidences"][place][told]
            np.testing.assert_allclose(sure[place, order][told], own, atol=0.002)
    about = model.about["compared"]
    assert isinstance(about, dict)
    assert about["points"] > 40
    assert about["tied"] == 0


@pytest.mark.parametrize("which", range(12))
def test_maps_are_read_as_by_deeplabcuts_predictor(which: int) -> None:
    with np.load(FOREIGN / "deeplabcut3_predictor.npz") as held:
        name = held.files[which]
        theirs = held[name]
    maps = random_maps(which)
    score, absorb, same = name.split("-")
    words: dict[str, JsonValue] = {"most": 4, "stride": 4, "score": SCORES[score]}
    words |= {"absorb": float(absorb)} if float(absorb) else {}
    words |= {"same": float(same)} if float(same) else {}
    points, sure = Centres.from_json({"centres": words}, ["a", "b", "c"]).decode(
        maps[None]
    )
    told = theirs[theirs[..., 2].max(axis=1) > 0]
    order = match_animals(told[..., :2], points[0])
    seen = told[..., 2] > 0
    np.testing.assert_allclose(points[0, order][seen], told[seen][:, :2], atol=1e-4)
    np.testing.assert_allclose(sure[0, order], np.maximum(told[..., 2], 0), atol=1e-6)
    assert np.isfinite(points[0]).any(axis=(1, 2)).sum() == len(told)


SCORES = {"combined": "product", "center": "centre", "heatmap": "part"}


def test_deeplabcuts_detector_comes_with_its_network(
    unpacked: dict[str, Path], imported: Callable[..., Path]
) -> None:
    source, out = unpacked["deeplabcut3_axes"], imported("deeplabcut3_axes")
    found = load_model_folder(out / "detector")
    assert found.skeleton.bodyparts == BOX
    with np.load(source / "detector" / "reference.npz") as theirs:
        pictures = frames_of(theirs)
        corners, sures = estimated(out / "detector", pictures)
        most_px, most = rounding(out / "detector", pictures, corners, sures)
        assert found.about["compared"]["max_px"] < most_px  # type: ignore[index]
        boxes, sure = corners[:, 0], sures[:, 0]
        np.testing.assert_allclose(boxes, theirs["points"], atol=most_px)
        np.testing.assert_allclose(sure, theirs["confidences"], atol=most)
    picture = pictures[0]
    estimator = open_estimator(out, "cpu", 1)
    assert isinstance(estimator, LiveCrop)
    (pose,) = estimator.estimate([picture], ["top"])
    assert pose.points.shape == (1, 4, 2)
    window = estimator.windows["top"]
    if sure[0, 0] >= found.threshold:
        middle = boxes[0].mean(axis=0)
        assert window.shows(middle)
        assert window.width < picture.shape[1] or window.height < picture.shape[0]


def test_boxes_of_a_faster_rcnn_are_deeplabcuts(
    unpacked: dict[str, Path], imported: Callable[..., Path]
) -> None:
    """The whole top-down pair: its network has no offsets, as a SuperAnimal's."""
    out = imported("deeplabcut3_boxes")
    found = load_model_folder(out / "detector")
    assert found.skeleton.bodyparts == BOX
    assert found.animals == 3
    for inner, atol in (("", 0.01), ("detector", 0.05)):
        with np.load(unpacked["deeplabcut3_boxes"] / inner / "reference.npz") as theirs:
            seen, said = theirs["points"], theirs["confidences"]
            points, sure = estimated(out / inner, frames_of(theirs)[:3])
        for place, own in enumerate(points):
            wanted, order = seen[place].reshape(-1, *own.shape[1:]), range(len(own))
            if inner:
                order = match_animals(wanted, own)
            told = np.isfinite(wanted[..., 0])
            assert told.any()
            np.testing.assert_allclose(own[order][told], wanted[told], atol=atol)
            sures = said[place].reshape(wanted.shape[:2])[told]
            np.testing.assert_allclose(sure[place][order][told], sures, atol=0.002)


def test_each_box_of_an_imported_detector_is_a_window(
    unpacked: dict[str, Path],
    imported: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = imported("deeplabcut3_boxes")
    with np.load(unpacked["deeplabcut3_boxes"] / "detector/reference.npz") as theirs:
        frame = frames_of(theirs)[0]
    pair = open_estimator(out, "cpu", 1)
    assert isinstance(pair, AnimalCrops)
    seen: list[ImageWindow] = []

    def noted(
        network: NetworkEstimator, views: Sequence[tuple[Image, ImageWindow]]
    ) -> list[Pose]:
        seen.extend(window for _, window in views)
        return look(network, views)

    monkeypatch.setattr("deeplabstream.pose.filters.animal_crops.look", noted)
    (pose,) = pair.estimate([frame], ["top"])
    assert pose.points.shape[:2] == (3, len(pair.skeleton.bodyparts))
    detector = open_estimator(out / "detector", "cpu", 1)
    (found,) = detector.estimate([frame])
    fitting = load_model_folder(out).fitting
    boxes = found.points[(found.confidence >= detector.threshold).all(axis=1)]
    wanted = {zoomed(low, high, frame.shape, fitting) for low, high in boxes}
    assert len(wanted) > 1
    assert set(seen) == wanted


@pytest.mark.parametrize(
    ("kind", "most_px"),
    [
        ("regression", 0.01),
        ("heatmap_mhcrnn", 0.1),
        ("efficientnet", 0.01),
        ("vit", 0.1),
        ("dinov2", 0.5),
    ],
)
def test_lightning_poses_points_are_ours(
    unpacked: dict[str, Path], imported: Callable[..., Path], kind: str, most_px: float
) -> None:
    name = f"lightning_pose_{kind}"
    source, out = unpacked[name], imported(name)
    with np.load(source / "reference.npz") as theirs:
        points, _ = poses(out, frames_of(theirs))
        away = np.linalg.norm(points - theirs["points"], axis=2)
    # where a map has two peaks, theirs is between them: its weights are random
    assert np.percentile(away, 95) < most_px
    assert np.median(away) < 1e-3
    if kind == "regression":
        assert away.max() < 0.01
        with pytest.raises(ModelError, match="LIVE_CROP = no"):
            open_live_crop(open_estimator(out, "cpu", 1), None, 0.5, 100)


def test_both_heads_of_a_context_model_see_a_film_as_lightning_pose(
    unpacked: dict[str, Path], imported: Callable[..., Path], tmp_path: Path
) -> None:
    out = imported("lightning_pose_heatmap_mhcrnn")
    assert load_model_folder(out / CONTEXT).frames == 5
    file = unpacked["lightning_pose_heatmap_mhcrnn"] / CONTEXT / "reference.npz"
    with np.load(file) as theirs:
        frames, points = frames_of(theirs), theirs["points"]
        sure = theirs["confidences"]
    film = write_film(
        tmp_path / "film.avi", lambda row: frames[row], len(frames), "ffv1"
    )
    found = predict(film, open_for_videos(out, "cpu"), "lightning").table
    away = np.linalg.norm(found.points[:, 0] - points, axis=2)
    assert np.percentile(away[sure > 0.5], 95) < 0.01
    np.testing.assert_array_equal(points[:2], points[[2, 2]])  # its ends are copies
    alone = predict(film, open_estimator(out, "cpu"), "lightning").table
    assert np.linalg.norm(alone.points[:, 0] - points, axis=2).max() > 1
    with pytest.raises(ModelError, match="needs 5 consecutive frames"):
        open_estimator(out / CONTEXT, "cpu")


def test_what_the_original_tells_besides_is_said(
    unpacked: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = shutil.copytree(unpacked["deeplabcut3_maps"], tmp_path / "source")
    said = json.loads((source / "description.json").read_text("utf-8"))
    said["left_out"] = ["corner", "spout"]
    (source / "description.json").write_text(json.dumps(said), "utf-8")
    out = tmp_path / "model"
    assert main([str(source), "--output", str(out), "--licence", "MIT"]) == 0
    assert (
        "left out, because they belong to no animal: corner, spout"
        in capsys.readouterr().out
    )
    about = load_model_folder(out).about
    assert about["left_out"] == ["corner", "spout"]
    assert about["licence"] == "MIT"


@pytest.mark.parametrize(
    ("typed", "kept"), [("MIT", "MIT"), ("", "CC-BY-4.0"), (None, "CC-BY-4.0")]
)
def test_the_licence_is_asked_for_with_that_of_the_model_card(
    unpacked: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: str | None,
    kept: str,
) -> None:
    source = shutil.copytree(unpacked["deeplabcut3_axes"] / "detector", tmp_path / "it")
    said = json.loads((source / "description.json").read_text("utf-8"))
    said["licence"] = "CC-BY-4.0"
    (source / "description.json").write_text(json.dumps(said), "utf-8")
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return typed or ""

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setattr("sys.stdin.isatty", lambda: typed is not None)
    out = tmp_path / "model"
    assert main([str(source), "--output", str(out)]) == 0
    assert load_model_folder(out).about["licence"] == kept
    assert f"licence: {kept}" in capsys.readouterr().out
    shown = ["licence of the network [CC-BY-4.0], Enter if none: "]
    assert asked == (shown if typed is not None else [])


def test_another_reference_is_not_believed(
    unpacked: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = shutil.copytree(unpacked["deeplabcut3_maps"], tmp_path / "source")
    with np.load(source / "reference.npz") as theirs:
        held = dict(theirs)
    np.savez(source / "reference.npz", **held | {"points": held["points"] + 1})
    out = tmp_path / "model"
    assert main([str(source), "--output", str(out)]) == 2
    assert "from where the original finds" in capsys.readouterr().err
    assert not (out / "model.json").exists()
    nothing = held | {"confidences": held["confidences"] * 0}
    np.savez(source / "reference.npz", **nothing)
    assert main([str(source), "--output", str(out)]) == 2
    assert "finds no body part" in capsys.readouterr().err


def test_one_far_point_is_refused_by_its_name(
    unpacked: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = shutil.copytree(unpacked["deeplabcut3_maps"], tmp_path / "source")
    with np.load(source / "reference.npz") as theirs:
        held = dict(theirs)
    held["points"][5, 1] += 7
    np.savez(source / "reference.npz", **held)
    assert main([str(source), "--output", str(tmp_path / "model")]) == 2
    told = capsys.readouterr().err
    assert "leftear in frame 5 (" in told
    assert "9.9 px from where the original finds it" in told
    assert not (tmp_path / "model" / "model.json").exists()
    options = ["--output", str(tmp_path / "model"), "--accept-differences"]
    assert main([str(source), *options]) == 0
    warning = capsys.readouterr().err
    assert "WARNING: accepted differences from the original program: 1 of " in warning
    assert "leftear in frame 5 (" in warning


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("description.json", b"{", "description.json: "),
        (
            "description.json",
            None,
            "no description.json: the export script did not finish",
        ),
        ("reference.npz", b"PK", "reference.npz is damaged"),
        ("reference.npz", None, "reference.npz can't be read"),
        ("reference.npz", "old", "run the script of this version"),
        ("network.onnx", b"\x08", "not a valid ONNX network"),
        ("network.onnx", None, "network.onnx can't be read"),
    ],
)
def test_a_damaged_export_is_a_sentence(
    unpacked: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    content: bytes | str | None,
    sentence: str,
) -> None:
    source = shutil.copytree(unpacked["deeplabcut3_maps"], tmp_path / "source")
    (source / file).unlink()
    if isinstance(content, str):
        np.savez(source / file, pictures=np.zeros((1, 96, 128, 3), np.uint8))
    elif content is not None:
        (source / file).write_bytes(content)
    assert main([str(source), "--output", str(tmp_path / "model")]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "model" / "model.json").exists()


def test_frames_that_are_none_are_a_sentence(
    unpacked: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = shutil.copytree(unpacked["deeplabcut3_maps"], tmp_path / "source")
    with np.load(source / "reference.npz") as theirs:
        held = dict(theirs)
    np.savez(source / "reference.npz", **held | {"frame3": held["frame3"][..., :2]})
    assert main([str(source), "--output", str(tmp_path / "model")]) == 2
    assert "frame3 is [96, 128, 2] of uint8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("pytorch_config.yaml", "from_deeplabcut3.py"),
        ("pose_cfg.yaml", "from_deeplabcut2.py"),
        ("training_config.yaml", "sleap-nn export"),
    ],
)
def test_what_must_be_exported_first_is_told_how(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, sentence: str
) -> None:
    (tmp_path / name).write_text("{}", "utf-8")
    (tmp_path / "weights.pt").write_bytes(b"")
    size, animals = ["--size", "640x480"], ["--animals", "2"]
    for given in (tmp_path, tmp_path / "weights.pt"):
        words = [str(given), "--output", str(tmp_path / "model")]
        assert main([*words, *(size if given == tmp_path else animals)]) == 2
        told = capsys.readouterr().err
        assert sentence in told
        if ".py" in sentence:
            assert (SCRIPTS / sentence).is_file()


@pytest.mark.parametrize("more", [[], ["--size", "640x480"]])
def test_a_network_of_sleap_in_tensorflow_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    (tmp_path / "training_config.json").write_text("{}", "utf-8")
    (tmp_path / "best_model.h5").write_bytes(b"")
    for given in (tmp_path, tmp_path / "best_model.h5"):
        words = [str(given), "--output", str(tmp_path / "model"), *more]
        assert main(words) == 2
        told = capsys.readouterr().err
        assert "as SLEAP wrote it before SLEAP-NN" in told
        assert "utils/TrainNetwork.py labels.slp" in told


def test_a_detector_is_imported_by_itself(
    unpacked: dict[str, Path], tmp_path: Path
) -> None:
    source = unpacked["deeplabcut3_axes"] / "detector"
    out = tmp_path / "model"
    assert main([str(source), "--output", str(out)]) == 0
    assert load_model_folder(out).skeleton.bodyparts == BOX


def test_a_model_folder_is_none_to_import(
    imported: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = imported("deeplabcut3_maps")
    assert main([str(made), "--output", str(tmp_path / "model")]) == 2
    assert "is already a model folder: use it as MODEL" in capsys.readouterr().err


def test_of_a_project_of_deeplabcut_the_networks_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = tmp_path / "dlc-models-pytorch" / "iteration-0" / "x-shuffle1" / "train"
    train.mkdir(parents=True)
    (train / "pytorch_config.yaml").write_text("{}", "utf-8")
    (tmp_path / "config.yaml").write_text("Task: x", "utf-8")
    assert main([str(tmp_path), "--output", str(tmp_path / "model")]) == 2
    assert f"Name one of its networks: {train}" in capsys.readouterr().err


def test_a_network_of_several_cameras_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = "heatmap_multiview_transformer"
    words = {"data": {}, "model": {"model_type": kind, "backbone": "vits_dino"}}
    (tmp_path / "config.yaml").write_text(json.dumps(words), "utf-8")
    assert main([str(tmp_path), "--output", str(tmp_path / "model")]) == 2
    assert "images of several cameras" in capsys.readouterr().err
