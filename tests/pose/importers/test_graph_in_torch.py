"""Imported networks give in torch, from which they are fine-tuned, what ONNX Runtime gives."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.tracking.pose_matching import match_animals
from tests.pose.importers.estimated import estimated, frames_of, rounding
from tests.pose.importers.foreign_networks import FOREIGN
from tests.training.torch_network import TorchNetwork


def test_all_of_them_are_here(unpacked: dict[str, Path]) -> None:
    assert {*FOREIGN, "deeplabcut3_boxes"} == set(unpacked)


def test_a_faster_rcnn_is_refused_with_what_torch_lacks(
    imported: Callable[..., Path],
) -> None:
    folder = load_model_folder(imported("deeplabcut3_boxes") / "detector")
    with pytest.raises(ModelError, match="NonMaxSuppression, RoiAlign"):
        TorchNetwork(folder.network)


@pytest.mark.parametrize("name", [*FOREIGN, "deeplabcut3_axes/detector"])
def test_torch_sees_what_onnx_runtime_sees(
    unpacked: dict[str, Path], imported: Callable[..., Path], name: str
) -> None:
    name, _, inner = name.partition("/")
    folder = imported(name, *FOREIGN[name]) / inner
    with np.load(unpacked[name] / inner / "reference.npz") as theirs:
        pictures = frames_of(theirs)[:6]
    points, sure = estimated(folder, pictures)
    ours, sures = estimated(folder, pictures, lambda model: TorchNetwork(model.network))
    assert np.isfinite(points).any()
    most_px, most = rounding(folder, pictures, points, sure)
    assert most_px < 0.5  # else a peak jumps: an archive needs peaks that are unique
    for place in range(len(points)):
        order = match_animals(points[place], ours[place])
        np.testing.assert_allclose(ours[place, order], points[place], atol=most_px)
        np.testing.assert_allclose(sures[place, order], sure[place], atol=most)
