"""Checkpoints of Lightning Pose's vision transformers, in our layers.

The archives beside this file hold what its real classes computed, exported, of small
networks. Their weights are written as a checkpoint again, and the maps must be the same.
"""

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from deeplabstream.core.pose import Skeleton
from deeplabstream.training.networks import learned_vit
from deeplabstream.training.networks.backbone import open_backbone
from deeplabstream.training.networks.learned_vit import weights_of
from deeplabstream.training.networks.pose_network import build_network
from deeplabstream.training.start_network import open_start, take_over
from tests.training.configurations import CONFIG
from tests.training.conftest import labelled
from utils import ImportModel, TrainNetwork

__all__ = ["labelled"]
BACKBONES = {"vits_dino": "lightning_pose_vit", "vits_dinov2": "lightning_pose_dinov2"}
WIDTH, DEPTH, HEADS, HIDDEN = 96, 2, 3, 192
"""Of the networks in the archives; in ours the hidden layer is four times the width."""


def state_of(network: Path) -> dict[str, torch.Tensor]:
    """Return the weights of an exported network by their names in the checkpoint."""
    graph = onnx.load(str(network)).graph
    held = {it.name: onnx.numpy_helper.to_array(it) for it in graph.initializer}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in held:
            held[node.output[0]] = held[node.input[0]]
    state = {
        name: it for name, it in held.items() if re.match(r"(backbone|head)\.", name)
    }
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in held:
            place = node.name.removeprefix("/").removesuffix("/MatMul")
            state[f"{place.replace('/', '.')}.weight"] = held[node.input[1]].T
    own = "backbone.vision_encoder."
    token, places = (
        next(it for name, it in held.items() if name.startswith(f"onnx::{kind}_"))
        for kind in ("Concat", "Reshape")
    )
    state[f"{own}embeddings.position_embeddings"] = np.concatenate([token, places], 1)
    for name, it in state.items():  # units without weights change nothing
        if "fc1" in name or "fc2.weight" in name:
            axis = int("fc2" in name)
            more = [(0, 0)] * it.ndim
            more[axis] = (0, 4 * WIDTH - HIDDEN)
            state[name] = np.pad(it, more)
    return {name: torch.from_numpy(it.copy()) for name, it in state.items()}


@pytest.fixture(params=BACKBONES)
def checkpoint(
    request: pytest.FixtureRequest,
    unpacked: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Path, Path]:
    """Return the folder of a training, and the same network as it was exported."""
    backbone = str(request.param)
    _, _, _, grid, scaled = learned_vit.SIZES[backbone]
    monkeypatch.setitem(
        learned_vit.SIZES, backbone, (WIDTH, DEPTH, HEADS, grid, scaled)
    )
    folder = tmp_path / "trained"
    folder.mkdir()
    words = CONFIG.replace("resnet18", backbone)
    (folder / "config.yaml").write_text(words, "utf-8")
    network = unpacked[BACKBONES[backbone]] / "network.onnx"
    torch.save({"state_dict": state_of(network)}, folder / "it-best.ckpt")
    return folder, network


def prepared(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return BGR images as Lightning Pose gives them to its networks."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    rgb = images[..., ::-1].astype(np.float32) / 255
    return ((rgb - np.float32(mean)) / np.float32(std)).transpose(0, 3, 1, 2)


def test_maps_are_those_of_lightning_pose(checkpoint: tuple[Path, Path]) -> None:
    folder, exported = checkpoint
    images = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), np.uint8)
    session = onnxruntime.InferenceSession(
        str(exported), providers=["CPUExecutionProvider"]
    )
    (theirs,) = session.run(None, {"picture": prepared(images)})
    start = open_start(folder)
    with torch.no_grad():
        ours = start.network.maps(torch.from_numpy(images)).numpy()
    theirs = theirs * (2 * np.pi * 1.25**2)
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * theirs.max())
    assert theirs.max() > 2 * theirs.mean()
    own = build_network(2, start.how)
    taken = take_over(own, Skeleton(("tail", "ear")), start)
    assert (taken.head, taken.bodyparts, taken.new) == (True, ("tail",), ("ear",))


def test_a_network_is_trained_from_it_at_another_size(
    checkpoint: tuple[Path, Path],
    labelled: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--data", str(labelled), "--output", str(tmp_path / "new"), "--quiet"]
    words += ["--start-from", str(checkpoint[0]), "--size", "96x64", "--steps", "2"]
    assert TrainNetwork.main([*words, "--batch", "4"]) == 0
    assert "backbone and head; new: leftear, rightear\n" in capsys.readouterr().out
    again = open_start(tmp_path / "new")
    before = open_start(checkpoint[0]).network.backbone()
    pairs = zip(again.network.backbone(), before, strict=True)
    moved = [not torch.equal(mine, old) for mine, old in pairs]
    assert sum(moved) > 0.8 * len(moved)


def test_it_is_imported_without_lightning_pose(
    checkpoint: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(checkpoint[0]), "--output", str(tmp_path / "new")]
    assert ImportModel.main(words) == 0
    assert "licence: not known" in capsys.readouterr().out
    assert open_start(tmp_path / "new").head


def test_names_of_earlier_versions_of_transformers_are_known() -> None:
    body = open_backbone("vits_dinov2")
    width, state = body.channels[0], body.state_dict()
    old = {"embeddings.mask_token": torch.zeros(1, width)}
    to = {"token": "cls_token", "places": "position_embeddings"}
    to |= {"patches": "patch_embeddings.projection"}
    parts = {"own.0": "mlp.fc1", "own.2": "mlp.fc2", "out": "attention.output.dense"}
    for name, value in state.items():
        first, _, rest = name.partition(".")
        if first == "blocks":
            number, _, own = rest.partition(".")
            layer = f"encoder.layer.{number}."
            if own.startswith("qkv"):
                kind = own.rpartition(".")[2]
                for each, part in zip(
                    ("query", "key", "value"), value.chunk(3), strict=True
                ):
                    old[f"{layer}attention.attention.{each}.{kind}"] = part
                continue
            if own.startswith("scale"):
                own = f"layer_scale{own[-1]}.lambda1"
            for mine, theirs in parts.items():
                own = own.replace(mine, theirs)
            old[layer + own] = value
        elif first == "norm":
            old[f"layernorm.{rest}"] = value
        else:
            old[f"embeddings.{name.replace(first, to[first], 1)}"] = value
    found = weights_of(old)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)
