import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.training.losses.supervised import heatmap_loss
from deeplabstream.training.networks.context import ContextNetwork
from deeplabstream.training.networks.efficientnet import EfficientNetLite
from deeplabstream.training.networks.pose_network import (
    Architecture,
    PoseNetwork,
    build_network,
    check_size,
    to_maps,
)
from deeplabstream.training.networks.regression import RegressionNetwork
from utils import TrainNetwork

SMALL = {"channels": 8}


@pytest.mark.parametrize(
    "how",
    [
        Architecture(stages=4, **SMALL),
        Architecture("efficientnet_lite1", **SMALL),
        Architecture("efficientnet_lite2", **SMALL),
        Architecture("resnet18", **SMALL),
        Architecture("resnet18", head="deconvolution", scale="mass"),
        Architecture("resnet50", **SMALL),
        Architecture("vit_tiny", **SMALL),
        Architecture("unet", **SMALL),
        Architecture(kind="regression", stages=4),
        Architecture(kind="context", stages=4, **SMALL),
    ],
    ids=lambda how: f"{how.backbone} {how.kind} {how.head}",
)
def test_there_is_one_cell_per_four_pixels(how: Architecture) -> None:
    network = build_network(3, how).eval()
    check_size(how, 64, 96)
    with torch.inference_mode():
        maps = network.maps(torch.zeros(2, 64, 96, 3, dtype=torch.uint8))
    assert maps.shape == (2, 3, 16, 24)
    assert 0 <= maps.min() <= maps.max() <= 1


def test_a_size_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ModelError, match="multiples of 32, not 96x80; 96x64 would do"):
        check_size(Architecture("resnet18"), 80, 96)
    with pytest.raises(ModelError, match="no backbone 'resnet19'; known are eff"):
        check_size(Architecture("resnet19"), 80, 96)


def test_a_network_of_timms_needs_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelError, match="timm:resnet34 needs the package timm"):
        PoseNetwork(2, Architecture("timm:resnet34"))


@pytest.mark.parametrize("size", [0, 1, 2])
def test_imagenets_weights_fit_and_know_their_colours(size: int) -> None:
    network = PoseNetwork(2, Architecture(f"efficientnet_lite{size}", channels=8))
    network.load_imagenet()
    first = next(iter(network.backbone()))
    red, blue = first.detach()[:, 2].abs().mean(), first.detach()[:, 0].abs().mean()
    assert red != blue
    assert first.abs().mean() > 0.05


def test_other_weights_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    torch.save({"stem.weight": torch.zeros(3, 3)}, file)
    with pytest.raises(ModelError, match="does not hold EfficientNet"):
        EfficientNetLite().load_imagenet(file)
    with pytest.raises(ModelError, match="no ImageNet weights for ResNet"):
        PoseNetwork(2, Architecture("resnet18")).load_imagenet()


def test_a_frozen_backbone_gets_no_gradient_and_keeps_its_means() -> None:
    network = PoseNetwork(2, Architecture(stages=4, channels=8)).train()
    pictures = torch.randint(0, 255, (2, 32, 32, 3), dtype=torch.uint8)
    before = {k: v.clone() for k, v in network.body.state_dict().items()}
    network.freeze(True)
    network(pictures).sum().backward()
    assert all(parameter.grad is None for parameter in network.backbone())
    assert all((network.body.state_dict()[k] == v).all() for k, v in before.items())
    network.freeze(False)
    network(pictures).sum().backward()
    assert all(parameter.grad is not None for parameter in network.backbone())


def test_a_map_of_all_the_mass_in_one_gaussian_has_height_one() -> None:
    how = Architecture(scale="mass", sigma=1.5)
    maps = torch.from_numpy(Heatmaps(4, 1.5).gaussians(np.array([[60, 40]]), 24, 32))
    logits = maps.clamp(min=1e-12).log() + 7
    torch.testing.assert_close(to_maps(logits, how), maps, atol=2e-3, rtol=0)
    spread = to_maps(torch.zeros(1, 24, 32), how)
    assert spread.max() < 0.02


def test_coordinates_are_drawn_where_they_are() -> None:
    network = RegressionNetwork(2, Architecture(kind="regression", stages=4)).eval()
    pictures = torch.randint(0, 255, (3, 64, 96, 3), dtype=torch.uint8)
    with torch.inference_mode():
        found, maps = network(pictures), network.maps(pictures)
    points, sure = Heatmaps(4, network.how.sigma).peaks(maps.flatten(0, 1).numpy())
    expected = found[..., :2] * torch.tensor([96, 64]) - 0.5
    np.testing.assert_allclose(points, expected.flatten(0, 1), atol=0.05)
    assert (sure <= torch.sigmoid(found[..., 2]).flatten().numpy() + 1e-6).all()


def test_context_adds_nothing_before_it_has_learned() -> None:
    network = ContextNetwork(2, Architecture(kind="context", stages=4, channels=8))
    frames = torch.randint(0, 255, (2, 5, 32, 32, 3), dtype=torch.uint8)
    with torch.inference_mode():
        alone, together = network.eval().in_context(frames)
        live = network(frames[:, 2])
    torch.testing.assert_close(alone, together)
    torch.testing.assert_close(alone, live, atol=1e-4, rtol=1e-4)


def test_the_target_itself_has_the_least_loss() -> None:
    target = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    target = target.clamp(0.01, 0.99)
    best = heatmap_loss(torch.logit(target), target)
    for shift in (-0.3, 0.3):
        assert heatmap_loss(torch.logit(target) + shift, target) > best


class Features(torch.nn.Module):
    """A network as timm gives it, of one layer that ONNX does not have."""

    feature_info = SimpleNamespace(reduction=lambda: [2, 16], channels=lambda: [3, 3])

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        small = torch.nn.functional.interpolate(
            x, scale_factor=1 / 16, mode="bicubic", antialias=True
        )
        return [x, small]


def test_what_can_not_be_exported_is_refused_before_training(
    monkeypatch: pytest.MonkeyPatch,
    labelled: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    timm = SimpleNamespace(create_model=lambda *name, **how: Features())
    monkeypatch.setitem(sys.modules, "timm", timm)
    folder = tmp_path / "new"
    words = ["--data", str(labelled), "--output", str(folder), "--size", "64x48"]
    words += ["--backbone", "timm:odd", "--no-imagenet", "--quiet"]
    assert TrainNetwork.main(words) == 2
    told = capsys.readouterr().err
    assert told.startswith(
        "the network can't be written as network.onnx: Exporting the"
    )
    assert told.count("\n") == 1
    assert not folder.exists()
