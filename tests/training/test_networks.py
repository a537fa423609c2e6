from pathlib import Path

import pytest
import torch

from core.errors import ModelError
from training.losses import heatmap_loss
from training.networks import PoseNetwork


@pytest.mark.parametrize("stages", [4, 5])
def test_there_is_one_cell_per_four_pixels(stages: int) -> None:
    network = PoseNetwork(3, stages, 8).eval()
    with torch.inference_mode():
        logits = network(torch.zeros(2, 48, 64, 3, dtype=torch.uint8))
    assert logits.shape == (2, 3, 12, 16)


def test_imagenets_weights_fit_and_know_their_colours() -> None:
    network = PoseNetwork(2, 5, 8)
    network.load_imagenet()
    first = next(iter(network.backbone()))
    red, blue = first.detach()[:, 2].abs().mean(), first.detach()[:, 0].abs().mean()
    assert red != blue
    assert first.abs().mean() > 0.05


def test_other_weights_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.pth"
    torch.save({"stem.weight": torch.zeros(3, 3)}, file)
    with pytest.raises(ModelError, match="does not hold EfficientNet"):
        PoseNetwork(2).load_imagenet(file)


def test_the_target_itself_has_the_least_loss() -> None:
    target = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    target = target.clamp(0.01, 0.99)
    best = heatmap_loss(torch.logit(target), target)
    for shift in (-0.3, 0.3):
        assert heatmap_loss(torch.logit(target) + shift, target) > best
