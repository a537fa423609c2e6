"""Training starts from the layers of networks that other programs trained."""

import pickle
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.model.model_folder import load_model_folder, network_hash
from deeplabstream.training.model_export import export_untrained
from deeplabstream.training.networks.backbone import GRAPH
from deeplabstream.training.networks.graph_backbone import GraphBackbone
from deeplabstream.training.networks.pose_network import Architecture
from deeplabstream.training.start_network import open_start
from tests.pose.importers.foreign_networks import FOREIGN
from tests.training.conftest import labelled
from utils import TrainNetwork

__all__ = ["labelled"]
NETWORKS = sorted(FOREIGN)
OWN_SIZE = ("lightning_pose_dinov2", "lightning_pose_vit")
"""Lightning Pose exports transformers for one size of images."""


@pytest.mark.parametrize("name", NETWORKS)
def test_features_are_those_of_the_original_graph(
    imported: Callable[..., Path], name: str
) -> None:
    model = load_model_folder(imported(name, *FOREIGN[name]))
    backbone = GraphBackbone(model.path).eval()
    graph = onnx.load(str(model.network))
    taps = [onnx.ValueInfoProto(name=tap) for tap in backbone.taps.values()]
    graph.graph.output.extend(taps)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    size = model.fitting.height, model.fitting.width
    images = np.random.default_rng(0).integers(0, 256, (3, *size, 3), np.uint8)
    theirs = session.run([*backbone.taps.values()], {"images": images})
    with torch.no_grad():
        ours = backbone(torch.from_numpy(images))
    for stride, own, its in zip(backbone.strides, ours, theirs, strict=True):
        assert own.shape[2:] == (size[0] // stride, size[1] // stride)
        scale = float(np.abs(its).max())
        assert scale > 0
        np.testing.assert_allclose(own.numpy(), its, atol=1e-4 * scale)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_trained_from_an_imported_one(
    imported: Callable[..., Path],
    name: str,
    labelled: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With other body parts, most at another size; the export is compared with torch."""
    start = imported(name, *FOREIGN[name])
    words = ["--data", str(labelled), "--output", str(tmp_path / "new"), "--quiet"]
    size = "128x128" if name in OWN_SIZE else "96x64"
    words += ["--start-from", str(start), "--size", size, "--channels", "32"]
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


@pytest.mark.parametrize("name", ["deeplabcut3_centres", "lightning_pose_vit"])
def test_an_exported_network_takes_several_images_at_once(
    imported: Callable[..., Path], name: str, tmp_path: Path
) -> None:
    """Of transformers, class and position embeddings are repeated for each image."""
    start = imported(name, *FOREIGN[name])
    how = Architecture(backbone=f"{GRAPH}{start}")
    fitting = load_model_folder(start).fitting
    model = export_untrained(Skeleton(("a", "b")), how, fitting, tmp_path / "new")
    session = onnxruntime.InferenceSession(
        str(model.network), providers=["CPUExecutionProvider"]
    )
    shape = 3, fitting.height, fitting.width, 3
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    (together,) = session.run(None, {"images": images})
    singly = [session.run(None, {"images": image[None]})[0] for image in images]
    np.testing.assert_allclose(together, np.concatenate(singly), atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-4


def test_the_features_of_a_network_with_several_heads_are_those_before_all_of_them(
    imported: Callable[..., Path],
) -> None:
    """Of DEKR: not the branch that computes the offsets of one body part."""
    name = "deeplabcut3_centres"
    backbone = GraphBackbone(imported(name, *FOREIGN[name]))
    assert backbone.strides == (4, 8, 16, 32)
    assert backbone.channels[0] == 16 + 32 + 64 + 128
    assert not any("head" in tap for tap in backbone.taps.values())
    other = pickle.loads(pickle.dumps(backbone))  # as processes of several GPUs get it
    assert other.taps == backbone.taps


def test_a_network_that_was_looked_at_first_can_be_trained_afterwards(
    imported: Callable[..., Path], tmp_path: Path
) -> None:
    """A process finds the operations of a graph once; it may do so in inference mode."""
    folder = shutil.copytree(imported("lightning_pose_vit"), tmp_path / "copy")
    fitting = load_model_folder(folder).fitting
    images = torch.zeros((1, fitting.height, fitting.width, 3), dtype=torch.uint8)
    with torch.inference_mode():
        GraphBackbone(folder)(images)
    backbone = GraphBackbone(folder)
    sum(feature.sum() for feature in backbone(images)).backward()
    assert all(weights.grad is not None for weights in backbone.parameters())


def _insert(
    model: Path,
    copy: Path,
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto] = (),
) -> None:
    """Copy a model folder, with nodes from `before` to `after` behind its first layer."""
    shutil.copytree(model, copy)
    network = onnx.load(str(copy / "network.onnx"))
    layer = next(node for node in network.graph.node if node.op_type == "Conv")
    place = [*network.graph.node].index(layer)
    nodes[-1].output[0], layer.output[0] = layer.output[0], "before"
    for by, each in enumerate(nodes, start=1):
        network.graph.node.insert(place + by, each)
    network.graph.initializer.extend(constants)
    onnx.save(network, str(copy / "network.onnx"))
    described = (copy / "model.json").read_text("utf-8")
    new = network_hash(copy / "network.onnx")
    described = described.replace(load_model_folder(model).sha256, new)
    (copy / "model.json").write_text(described, "utf-8")


def test_a_constant_added_to_each_image_of_a_graph_of_one_size_is_no_weight(
    imported: Callable[..., Path], tmp_path: Path
) -> None:
    model = load_model_folder(imported("deeplabcut3_maps"))
    graph = onnx.load(str(model.network)).graph
    kernel = next(n for n in graph.node if n.op_type == "Conv").input[1]
    channels = next(it.dims[0] for it in graph.initializer if it.name == kernel)
    size = model.fitting.height, model.fitting.width
    table = np.random.default_rng(0).normal(
        size=(1, channels, size[0] // 2, size[1] // 2)
    )
    constants = [
        onnx.numpy_helper.from_array(table.astype(np.float32), "table"),
        onnx.numpy_helper.from_array(np.ones(3, np.int64), "ones"),
    ]
    added = [
        onnx.helper.make_node("Shape", ["images"], ["count"], start=0, end=1),
        onnx.helper.make_node("Concat", ["count", "ones"], ["shape"], axis=0),
        onnx.helper.make_node("Expand", ["table", "shape"], ["tables"]),
        onnx.helper.make_node("Add", ["before", "tables"], ["after"]),
    ]
    _insert(model.path, tmp_path / "tables", added, constants)
    backbone = GraphBackbone(tmp_path / "tables").eval()
    images = torch.from_numpy(
        np.random.default_rng(1).integers(0, 256, (3, *size, 3), np.uint8)
    )
    with torch.no_grad():
        together = backbone(images)
        for number, image in enumerate(images):
            for all_of_them, alone in zip(together, backbone(image[None]), strict=True):
                torch.testing.assert_close(
                    all_of_them[number], alone[0], atol=1e-4, rtol=1e-3
                )


def test_layers_that_compute_with_the_number_of_images_are_refused(
    imported: Callable[..., Path],
    labelled: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    start = tmp_path / "counting"
    added = [
        onnx.helper.make_node("Shape", ["images"], ["count"], start=0, end=1),
        onnx.helper.make_node("Cast", ["count"], ["number"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Mul", ["before", "number"], ["after"]),
    ]
    _insert(imported("deeplabcut3_maps"), start, added)
    words = ["--data", str(labelled), "--output", str(tmp_path / "new"), "--quiet"]
    assert TrainNetwork.main([*words, "--start-from", str(start)]) == 2
    told = capsys.readouterr().err
    assert "depend on the number of images" in told
    assert told.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_network_without_features_on_a_grid_is_refused(
    imported: Callable[..., Path],
) -> None:
    detector = imported("deeplabcut3_axes") / "detector"
    with pytest.raises(ModelError, match="it has no features of 4, 8, 16 or 32 pixels"):
        GraphBackbone(detector)
