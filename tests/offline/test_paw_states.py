"""The paws' states: what goes into the networks, and what is made of what they say."""

from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper

from deeplabstream.core.errors import DeepLabStreamError, ModelError
from deeplabstream.offline import lightning_action
from deeplabstream.offline.ibl.paw_states import (
    STATES,
    butterworth,
    evenly,
    wheel_velocity,
)

FRAMES = 300


def network(file: Path, gain: float, states: int = 5) -> None:
    """Write one that gives, for each time: gain · (x, y, velocity, 0, 0)."""
    weights = np.zeros((3, states), np.float32)
    weights[range(3), range(3)] = gain
    take = helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, "time", 3])
    give = helper.make_tensor_value_info(
        "states", TensorProto.FLOAT, [1, "time", states]
    )
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "w"], ["states"])],
        "paws", [take], [give], [numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 9
    file.parent.mkdir(parents=True)
    onnx.save(made, str(file))


def session(root: Path, camera: str, rate: float) -> list[Path]:
    """Write poses, their times, and a wheel that turns at 2 rad/s; return the files."""
    alf = root / "alf"
    alf.mkdir()
    times, wheel_s = 5 + np.arange(FRAMES) / rate, np.arange(0, 30, 0.0137)
    rows = np.arange(FRAMES, dtype=float)
    columns = [f"{paw}_{axis}" for paw in ("paw_l", "paw_r") for axis in "xy"]
    poses = dict.fromkeys(columns, 100 + rows / 10)
    named = f"_ibl_{camera}Camera.lightningPose.pqt", "times.npy", "w.npy", "t.npy"
    files = [alf / name for name in named]
    pd.DataFrame(poses).to_parquet(files[0])
    for file, values in zip(files[1:], (times, 2 * wheel_s, wheel_s), strict=True):
        np.save(file, values)
    return files


@pytest.mark.parametrize(("camera", "rate"), [("left", 60.1), ("right", 150.8)])
def test_means_of_the_networks_a_row_for_each_frame(
    tmp_path: Path, camera: str, rate: float
) -> None:
    for paw in ("paw_l", "paw_r"):
        for number, gain in enumerate((1.0, 3.0)):
            network(tmp_path / f"{paw}_networks/network-{number}/network.onnx", gain)
    files = session(tmp_path, camera, rate)
    path = lightning_action(*files, ckpts_path=tmp_path, sequence_length=70)
    assert path == tmp_path / f"alf/lightningaction/_ibl_{camera}Camera.pawstates.pqt"
    table = pd.read_parquet(path)
    assert len(table) == FRAMES
    x = 100 + np.arange(FRAMES) / 10
    right = camera == "right"
    inner = slice(0, FRAMES - 5)  # 60 Hz end before the last frames do
    expected = {
        "background": 2 * (640 - x if right else x),
        "still": 2 * x,
        "move": np.full(FRAMES, -4.0 if right else 4.0),
        "groom": np.zeros(FRAMES),
    }
    for state, values in expected.items():
        told = table[f"paw_r_{state}"]
        np.testing.assert_allclose(told[inner], values[inner], atol=1e-3)
    np.testing.assert_allclose(
        table["paw_l_still_ens_var"][inner], 2 * x[inner] ** 2, rtol=1e-3
    )
    assert len(table.columns) == 2 * 2 * len(STATES)
    before = path.stat().st_mtime_ns
    assert lightning_action(*files, ckpts_path=tmp_path) == path
    assert path.stat().st_mtime_ns == before


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    files = session(tmp_path, "left", 60)
    with pytest.raises(ModelError, match=r"no networks for paw states: name a fol"):
        lightning_action(*files)
    network(tmp_path / "paw_l_networks/network-0/network.onnx", 1, states=4)
    with pytest.raises(ModelError, match="5 outputs per time, not 3 and 4"):
        lightning_action(*files, ckpts_path=tmp_path)
    np.save(files[1], np.arange(3.0))
    with pytest.raises(DeepLabStreamError, match="has 3 times"):
        lightning_action(*files, ckpts_path=tmp_path)
    with pytest.raises(DeepLabStreamError, match="1 positions but 2 times"):
        wheel_velocity(np.zeros(1), np.zeros(2))


def test_the_wheels_filter_keeps_slow_turns_and_stops_fast_ones() -> None:
    at = np.arange(0, 4, 0.001)
    for hertz, gain in (
        (2, 1.0),
        (20, 0.5),
        (80, 0.0),
    ):  # half the amplitude, twice -3 dB
        wave = np.sin(2 * np.pi * hertz * at)
        smooth = butterworth(wave, 20, 1000, 8)[1000:3000]
        np.testing.assert_allclose(smooth, gain * wave[1000:3000], atol=2e-3)


def test_poses_near_sixty_hertz_stay_as_they_are() -> None:
    near, far = np.arange(0, 10, 1 / 66), np.arange(0, 10, 1 / 150)
    assert evenly(near) is near
    assert len(evenly(far)) == 600
