"""Training starts from the layers of networks that other programs trained."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.training.networks.graph_backbone import GraphBackbone
from deeplabstream.training.start_network import open_start
from tests.pose.importers.test_in_torch import ALL
from tests.training.conftest import labelled
from utils import TrainNetwork

__all__ = ["labelled"]
FIXED_BATCH = ("deeplabcut3_centres", "lightning_pose_dinov2", "lightning_pose_vit")
"""DEKR's deformable convolutions, and transformers."""
CONVOLUTIONS = sorted({*ALL} - {*FIXED_BATCH})


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_features_are_those_of_the_original_graph(
    imported: Callable[..., Path], name: str
) -> None:
    model = load_model_folder(imported(name, *ALL[name]))
    backbone = GraphBackbone(model.path).eval()
    graph = onnx.load(str(model.network))
    taps = [onnx.ValueInfoProto(name=tap) for tap in backbone.taps.values()]
    graph.graph.output.extend(taps)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    size = model.fitting.height, model.fitting.width
    images = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
    theirs = session.run([*backbone.taps.values()], {"images": images})
    with torch.no_grad():
        ours = backbone(torch.from_numpy(images))
    for stride, own, its in zip(backbone.strides, ours, theirs, strict=True):
        assert own.shape[2:] == (size[0] // stride, size[1] // stride)
        scale = float(np.abs(its).max())
        assert scale > 0
        np.testing.assert_allclose(own.numpy(), its, atol=1e-4 * scale)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_network_is_trained_from_an_imported_one(
    imported: Callable[..., Path],
    name: str,
    labelled: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """At another input size, with other body parts; the export is compared with torch."""
    start = imported(name, *ALL[name])
    words = ["--data", str(labelled), "--output", str(tmp_path / "new"), "--quiet"]
    words += ["--start-from", str(start), "--size", "96x64", "--channels", "32"]
    assert TrainNetwork.main([*words, "--steps", "2", "--batch", "4"]) == 0
    told = capsys.readouterr().out
    assert f"starts from {start}: backbone; new: leftear, rightear" in told
    about = load_model_folder(tmp_path / "new").about["started_from"]
    assert isinstance(about, dict)
    assert about["network"] == load_model_folder(start).about["source"]
    trained, its = open_start(tmp_path / "new"), open_start(start)
    pairs = zip(trained.network.backbone(), its.network.backbone(), strict=True)
    moved = [not torch.equal(mine, old) for mine, old in pairs]
    assert sum(moved) > 0.8 * len(moved)


@pytest.mark.parametrize("name", FIXED_BATCH)
def test_what_can_not_be_exported_again_is_refused_before_training(
    imported: Callable[..., Path],
    name: str,
    labelled: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    start = imported(name, *ALL[name])
    words = ["--data", str(labelled), "--output", str(tmp_path / "new"), "--quiet"]
    assert TrainNetwork.main([*words, "--start-from", str(start)]) == 2
    assert (
        "its layers are computed from the number of images" in capsys.readouterr().err
    )
    assert not (tmp_path / "new").exists()


def test_a_network_without_features_on_a_grid_is_refused(
    imported: Callable[..., Path],
) -> None:
    detector = imported("deeplabcut3_axes") / "detector"
    with pytest.raises(ModelError, match="it has no features of 4, 8, 16 or 32 pixels"):
        GraphBackbone(detector)
