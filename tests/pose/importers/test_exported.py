"""Networks of DeepLabCut and SLEAP-NN see what these programs themselves saw.

The archives were made by the programs (`foreign/make_*.py`), which no test needs.
"""

import shutil
import tarfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from core.errors import ModelError
from pose.importers.exported import SCRIPTS
from pose.model_folder import load_model_folder
from pose.network_estimator import NetworkEstimator
from pose.opening import open_estimator, open_live_crop
from pose.runtimes import load_network
from tests.pose.importers.foreign.make_sleap_nn import drawn
from utils.ImportModel import main

FOREIGN = Path(__file__).parent / "foreign"


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return what each program exported, by name."""
    root = tmp_path_factory.mktemp("foreign")
    for file in FOREIGN.glob("*.tar.xz"):
        with tarfile.open(file) as archive:
            archive.extractall(root / file.name.partition(".")[0], filter="data")
    return {folder.name: folder for folder in root.iterdir()}


def poses(folder: Path, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, part, 2) and confidences, as live."""
    model = load_model_folder(folder)
    estimator = NetworkEstimator(model, load_network(model, "cpu", 1))
    found = [estimator.estimate([picture])[0] for picture in pictures]
    points = np.stack([pose.points[0] for pose in found])
    return points, np.stack([pose.confidence[0] for pose in found])


def truth() -> np.ndarray:
    """Return where the dots are in the pictures of SLEAP-NN's reference."""
    rng = np.random.default_rng(7)
    return np.stack([drawn(rng)[1] for _ in range(12)])


@pytest.mark.parametrize(
    "name", ["deeplabcut3_maps", "deeplabcut3_axes", "deeplabcut2"]
)
def test_deeplabcuts_points_are_ours(
    unpacked: dict[str, Path], tmp_path: Path, name: str
) -> None:
    out = tmp_path / "model"
    assert main([str(unpacked[name]), "--output", str(out), "--licence", "MIT"]) == 0
    with np.load(unpacked[name] / "reference.npz") as theirs:
        points, sure = poses(out, theirs["pictures"])
        np.testing.assert_allclose(points, theirs["points"], atol=0.01)
        np.testing.assert_allclose(sure, theirs["confidences"], atol=0.002)
        assert np.ptp(theirs["points"][..., 0]) > 20  # they are not all at one place
    about = load_model_folder(out).about
    assert about["licence"] == "MIT"
    assert str(about["source"]).startswith("DeepLabCut ")
    assert about["compared"]["max_px"] < 0.01  # type: ignore[index]


@pytest.mark.parametrize("kind", ["regression", "heatmap_mhcrnn"])
def test_lightning_poses_points_are_ours(
    unpacked: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    source, out = unpacked[f"lightning_pose_{kind}"], tmp_path / "model"
    assert main([str(source), "--output", str(out)]) == 0
    with np.load(source / "reference.npz") as theirs:
        points, _ = poses(out, theirs["pictures"])
        away = np.linalg.norm(points - theirs["points"], axis=2)
    if kind == "regression":
        assert away.max() < 0.01
        with pytest.raises(ModelError, match="LIVE_CROP = no"):
            open_live_crop(open_estimator(out, "cpu", 1), None, 0.5, 100)
    else:  # where a map has two peaks, theirs is between them: its weights are random
        assert np.percentile(away, 95) < 0.1


def test_another_reference_is_not_believed(
    unpacked: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = shutil.copytree(unpacked["deeplabcut3_maps"], tmp_path / "source")
    with np.load(source / "reference.npz") as theirs:
        held = dict(theirs)
    np.savez(source / "reference.npz", **held | {"points": held["points"] + 1})
    out = tmp_path / "model"
    assert main([str(source), "--output", str(out)]) == 2
    assert "from where the original sees them" in capsys.readouterr().err
    assert not (out / "model.json").exists()
    nothing = held | {"confidences": held["confidences"] * 0}
    np.savez(source / "reference.npz", **nothing)
    assert main([str(source), "--output", str(out)]) == 2
    assert "sees no body part" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("description.json", b"{", "description.json: "),
        ("reference.npz", b"PK", "reference.npz is damaged"),
        ("reference.npz", None, "reference.npz can't be read"),
        ("network.onnx", b"\x08", "no sound ONNX network"),
        ("network.onnx", None, "network.onnx can't be read"),
    ],
)
def test_a_damaged_export_is_a_sentence(
    unpacked: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    content: bytes | None,
    sentence: str,
) -> None:
    source = shutil.copytree(unpacked["deeplabcut3_maps"], tmp_path / "source")
    (source / file).unlink()
    if content is not None:
        (source / file).write_bytes(content)
    assert main([str(source), "--output", str(tmp_path / "model")]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "model" / "model.json").exists()


def test_pictures_of_another_size_are_a_sentence(
    unpacked: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = shutil.copytree(unpacked["deeplabcut3_maps"], tmp_path / "source")
    with np.load(source / "reference.npz") as theirs:
        held = dict(theirs)
    np.savez(source / "reference.npz", **held | {"pictures": held["pictures"][:, 1:]})
    assert main([str(source), "--output", str(tmp_path / "model")]) == 2
    assert "pictures are [12, 95, 128, 3]" in capsys.readouterr().err


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
    for given in (tmp_path, tmp_path / "weights.pt"):
        assert main([str(given), "--output", str(tmp_path / "model")]) == 2
        told = capsys.readouterr().err
        assert sentence in told
        if ".py" in sentence:
            assert (SCRIPTS / sentence).is_file()


def test_sleap_nns_network_of_one_animal(
    unpacked: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = unpacked["sleap_nn_single"], tmp_path / "model"
    assert main([str(source), "--output", str(out)]) == 2
    assert "--size 640x480" in capsys.readouterr().err
    words = [str(source), "--output", str(out), "--size", "128x96"]
    assert main(words) == 0
    model = load_model_folder(out)
    assert model.skeleton.bodyparts == ("snout", "tailbase")
    assert (model.heatmaps.sigma, model.heatmaps.first) == (1.5, 0)
    kinds = {node.op_type for node in onnx.load(str(model.network)).graph.node}
    assert not kinds & {"ArgMax", "ReduceMax"}  # the search for peaks is gone
    with np.load(source / "reference.npz") as theirs:
        points, sure = poses(out, theirs["pictures"])
        away = np.linalg.norm(points - theirs["points"], axis=2)
        assert (
            np.median(away) < 0.5
        )  # cells are 2 px wide; both find peaks between them
        assert away.max() < 1
        np.testing.assert_allclose(sure, theirs["confidences"], atol=2e-3)
        error = np.linalg.norm(points - truth(), axis=2)
        assert np.median(error) < np.median(
            np.linalg.norm(theirs["points"] - truth(), axis=2)
        )


def test_sleap_nns_top_down_pair(unpacked: dict[str, Path], tmp_path: Path) -> None:
    source, out = unpacked["sleap_nn_top_down"], tmp_path / "model"
    assert main([str(source), "--output", str(out), "--size", "128x96"]) == 0
    with np.load(source / "reference.npz") as theirs:
        points, sure = poses(out, theirs["pictures"])
    assert np.median(np.linalg.norm(points - truth(), axis=2)) < 2  # cells of 2 px
    assert sure.min() > 0.2


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"model_type": "single_instance"', '"model_type": "bottomup"', "bottomup net"),
        ('"output_stride": 2', '"output_stride": "x"', "damaged: output_stride"),
        (
            '"output_stride": 2',
            '"output_stride": 2, "edge_inds": [[0, 7]]',
            "ends at no",
        ),
        ('"tailbase"', '"snout"', "named twice"),
    ],
)
def test_sleap_nn_metadata_that_do_not_fit_are_a_sentence(
    unpacked: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    sentence: str,
) -> None:
    source = shutil.copytree(unpacked["sleap_nn_single"], tmp_path / "source")
    text = (source / "export_metadata.json").read_text("utf-8")
    assert old in text
    (source / "export_metadata.json").write_text(text.replace(old, new), "utf-8")
    words = [str(source), "--output", str(tmp_path / "model"), "--size", "128x96"]
    assert main(words) == 2
    assert sentence in capsys.readouterr().err
