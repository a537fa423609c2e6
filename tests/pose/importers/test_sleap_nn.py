"""Networks of SLEAP-NN see what SLEAP-NN itself saw.

The archives were made by SLEAP-NN (`foreign/make_sleap_nn.py`), which no test needs.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from deeplabstream.pose.decoders.heatmaps import LINEAR_TO, Heatmaps, confidence_of
from deeplabstream.pose.decoders.multi_animal import MultiAnimalDecoder
from deeplabstream.pose.decoders.sleap_grouping import SleapGrouper
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.tracking.pose_matching import match_animals
from tests.pose.importers.estimated import SLEAP_NN_SIZE, estimated, frames_of, poses
from tests.pose.importers.foreign.drawing import drawn
from utils.ImportModel import main

SINGLE = '"model_type": "single_instance"'


def worth(scores: np.ndarray) -> np.ndarray:
    """Return the confidences that SLEAP-NN's scores are worth here."""
    return confidence_of(scores, LINEAR_TO)


def truth() -> np.ndarray:
    """Return where the dots are in the images of SLEAP-NN's reference."""
    rng = np.random.default_rng(7)
    return np.stack([drawn(rng)[1] for _ in range(12)])


def test_sleap_nns_network_of_one_animal(
    unpacked: dict[str, Path],
    imported: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, out = (
        unpacked["sleap_nn_single"],
        imported("sleap_nn_single", *SLEAP_NN_SIZE),
    )
    words = [str(source), "--output", str(tmp_path / "model")]
    assert main(words) == 2
    assert "--size 640x480" in capsys.readouterr().err
    assert main([*words, *SLEAP_NN_SIZE, "--animals", "2"]) == 2
    assert "leave out --animals" in capsys.readouterr().err
    model = load_model_folder(out)
    assert model.skeleton.bodyparts == ("snout", "tailbase")
    assert model.decoder == Heatmaps(2, 1.5, 0, LINEAR_TO, 5)
    kinds = {node.op_type for node in onnx.load(str(model.network)).graph.node}
    assert not kinds & {"ArgMax", "ReduceMax"}  # the search for peaks is gone
    with np.load(source / "reference.npz") as theirs:
        points, sure = poses(out, frames_of(theirs))
        away = np.linalg.norm(points - theirs["points"], axis=2)
        assert away.max() < 0.05  # cells are 2 px wide
        np.testing.assert_allclose(sure, worth(theirs["confidences"]), atol=2e-3)
        error = np.linalg.norm(points - truth(), axis=2)
        assert np.median(error) < 0.5


def test_sleap_nns_network_of_windows(
    unpacked: dict[str, Path], imported: Callable[..., Path]
) -> None:
    source = unpacked["sleap_nn_windows"]
    out = imported("sleap_nn_windows", "--size", "64x64")
    with np.load(source / "reference.npz") as theirs:
        points, sure = poses(out, frames_of(theirs))
        away = np.linalg.norm(points - theirs["points"], axis=2)
        np.testing.assert_allclose(sure, worth(theirs["confidences"]), atol=2e-3)
    assert away.max() < 0.05


def test_sleap_nns_top_down_pair(unpacked: dict[str, Path], tmp_path: Path) -> None:
    source, out = unpacked["sleap_nn_top_down"], tmp_path / "model"
    assert main([str(source), "--output", str(out), "--size", "128x96"]) == 0
    with np.load(source / "reference.npz") as theirs:
        points, sure = poses(out, frames_of(theirs))
        away = np.linalg.norm(points - theirs["points"], axis=2)
    error = np.linalg.norm(points - truth(), axis=2)
    assert np.median(error) < 1
    assert away.max() < 0.05  # cells are 2 px wide
    assert sure.min() > 0.2
    many = tmp_path / "many"
    words = [str(source), "--output", str(many), "--size", "128x96", "--animals"]
    assert main([*words, "2", "--purpose", "dots from above"]) == 0
    assert load_model_folder(many).purpose == "dots from above"
    with np.load(source / "reference.npz") as theirs:
        both, confidences = estimated(many, frames_of(theirs))
    assert both.shape == (12, 2, 2, 2)
    np.testing.assert_allclose(both[:, 0], points, atol=1e-3)  # windows in a batch
    assert (np.isnan(both[:, 1, :, 0]) == (confidences[:, 1] == 0)).all()
    assert np.isnan(both[:, 1]).mean() > 0.5  # there is one animal
    assert main([*words[:2], str(tmp_path / "more"), *words[3:], "9"]) == 2


def test_how_many_animals_sleap_nn_itself_tells_is_taken(
    unpacked: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = shutil.copytree(unpacked["sleap_nn_bottom_up"], tmp_path / "exported")
    file = source / "export_metadata.json"
    said = file.read_text("utf-8").replace(
        '"max_instances": null', '"max_instances": 4'
    )
    file.write_text(said, "utf-8")
    words = [
        str(source / "model.onnx"),
        "--output",
        str(tmp_path / "m"),
        *SLEAP_NN_SIZE,
    ]
    assert main(words) == 0  # the file is taken for its folder
    assert "3 body parts of up to 4 animals" in capsys.readouterr().out
    assert load_model_folder(tmp_path / "m").animals == 4


def test_sleap_nns_animals_are_ours(
    unpacked: dict[str, Path],
    imported: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = unpacked["sleap_nn_bottom_up"]
    out = imported("sleap_nn_bottom_up", *SLEAP_NN_SIZE, "--animals", "3")
    words = [str(source), "--output", str(tmp_path / "none"), *SLEAP_NN_SIZE]
    assert main(words) == 2
    assert "does not contain the maximum number of animals" in capsys.readouterr().err
    model = load_model_folder(out)
    assert isinstance(model.decoder, MultiAnimalDecoder)
    assert model.decoder.grouping.edges == ((0, 1), (1, 2))
    assert isinstance(model.decoder.grouping, SleapGrouper)
    kinds = {node.op_type for node in onnx.load(str(model.network)).graph.node}
    assert not kinds & {"TopK", "GridSample"}  # neither peaks nor lines are theirs
    with np.load(source / "reference.npz") as theirs:
        points, sure = estimated(out, frames_of(theirs))
        for place, seen in enumerate(theirs["points"]):
            order = match_animals(seen, points[place])
            away = np.linalg.norm(points[place, order] - seen, axis=2)
            assert (np.isnan(away) == np.isnan(seen[..., 0])).all()
            assert np.isfinite(points[place, ..., 0]).sum() == np.isfinite(away).sum()
            assert np.nanmax(away) < 0.05
            np.testing.assert_allclose(
                sure[place, order],
                np.nan_to_num(worth(theirs["confidences"][place])),
                atol=3e-3,
            )
            where = np.full_like(seen, np.nan)
            count = 1 + place % 3
            where[:count] = theirs[f"truth{place}"]
            order = match_animals(where, points[place])
            error = np.linalg.norm(points[place, order] - where, axis=2)
            assert np.isfinite(error[:count]).all()
            assert np.nanmax(error) < 1


def test_a_size_that_the_network_cannot_have_is_a_sentence(
    unpacked: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(unpacked["sleap_nn_single"]), "--output", str(tmp_path / "model")]
    assert main([*words, "--size", "130x96"]) == 2
    assert "multiples of 8, which is max_stride" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("--size", "8x8"), "--size = '8x8': both sides must be from 16 to 4096"),
        (("--size", "big"), "--size = 'big': expected WIDTHxHEIGHT"),
        (("--animals", "-1"), "--animals = '-1': expected a number from 0 to 100"),
        (("--tolerance", "nan"), "--tolerance = 'nan': expected a number from 0 to"),
    ],
)
def test_options_that_are_not_possible_are_sentences(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    given: tuple[str, ...],
    sentence: str,
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["network", "--output", str(tmp_path / "model"), *given])
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (SINGLE, '"model_type": "multi_class_bottomup"', "[Animals] NAMES"),
        (SINGLE, '"model_type": "multi_class_topdown"', "[Animals] NAMES"),
        (SINGLE, '"model_type": "centroid"', "CENTERED_INSTANCE_FOLDER"),
        (SINGLE, '"model_type": "embedding"', "bottomup can"),
        ('"output_stride": 2', '"output_stride": "x"', "damaged: output_stride"),
        (
            '"output_stride": 2',
            '"output_stride": 2, "edge_inds": [[0, 7]]',
            "ends at an unknown",
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
    told = capsys.readouterr().err
    assert sentence in told
    assert len(told.strip().splitlines()) == 1
