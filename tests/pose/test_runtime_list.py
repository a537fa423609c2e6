"""Every runtime that is installed gives the reference's poses."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.model.model_folder import (
    DESCRIPTION,
    ModelFolder,
    load_model_folder,
    network_hash,
)
from deeplabstream.pose.model.model_opening import MODELS, open_estimator
from deeplabstream.pose.runtimes.runtime_comparison import compare, images_of, outputs
from deeplabstream.pose.runtimes.runtime_list import load_network, present
from deeplabstream.pose.runtimes.runtime_selection import (
    RuntimeMeasurement,
    choose,
    measure,
    open_fastest,
    remember,
    remembered,
)


@pytest.fixture(scope="module")
def model() -> ModelFolder:
    return load_model_folder(MODELS / "arena")


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    return tmp_path / "DeepLabStream" / "runtimes.json"


@pytest.mark.parametrize("name", ["openvino"])
def test_full_precision_is_the_same_in_every_runtime(
    model: ModelFolder, name: str
) -> None:
    pictures, own = images_of(model)
    reference = outputs(load_network(model, "cpu", 1), pictures)
    network = load_network(model, name, 1)  # type: ignore[arg-type]
    far = compare(model, reference, outputs(network, pictures))
    assert own
    assert far.points > 30
    assert far.max_px < 0.01
    assert far.seen_otherwise == 0
    assert far.within(0.1, own)
    two = network.run(np.ascontiguousarray(pictures[:2]))
    np.testing.assert_allclose(two, reference[:2], atol=1e-4)


@pytest.mark.parametrize("name", ["cpu", "openvino"])
def test_other_sizes_give_the_same_maps_where_the_same_is_seen(
    model: ModelFolder, name: str
) -> None:
    pictures, _ = images_of(model)
    network = load_network(model, name, 1)  # type: ignore[arg-type]
    whole = network.run(np.ascontiguousarray(pictures[:1])).copy()
    part = network.run(np.ascontiguousarray(pictures[:1, :, :160]))
    assert part.shape == (1, 4, 48, 40)
    inside = np.s_[:, :, :, :24]  # what lies 64 pixels from the cut does not know of it
    np.testing.assert_allclose(part[inside], whole[inside], atol=0.05)


def test_bf16_is_not_full_precision_and_says_so(model: ModelFolder) -> None:
    pictures, _ = images_of(model)
    reference = outputs(load_network(model, "cpu", 1), pictures)
    network = load_network(model, "openvino-bf16", 1)
    assert "bf16" in network.provider
    far = compare(model, reference, outputs(network, pictures))
    if far.output < 1e-4:  # bf16 rounds at 4e-3, f32 at 1e-7
        pytest.skip("this processor has no bf16; OpenVINO computes in f32")
    assert not far.within(0.1, own_images=False)


def test_broken_poses_are_refused(model: ModelFolder) -> None:
    pictures, own = images_of(model)
    reference = outputs(load_network(model, "cpu", 1), pictures)
    moved = np.roll(reference, 1, axis=3)
    far = compare(model, reference, moved)
    assert far.median_px == pytest.approx(4, abs=0.1)
    assert not far.within(1.0, own)
    assert not compare(model, reference, reference * np.nan).within(10, own)
    assert not compare(model, reference, reference[:, :1]).within(10, own)
    assert compare(model, reference, reference).within(0, own)


def row(
    name: str, best_ms: float, accepted: bool = True, provider: str = ""
) -> RuntimeMeasurement:
    return RuntimeMeasurement(name, provider, best_ms, best_ms, 0.1, None, accepted)


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([row("cpu", 10)], "cpu"),
        ([row("cpu", 10), row("openvino", 5)], "openvino"),
        ([row("cpu", 10), row("openvino", 9.9)], "cpu"),
        (
            [row("cpu", 10), row("openvino-bf16", 2, False), row("openvino", 6)],
            "openvino",
        ),
        (
            [row("cpu", 10), RuntimeMeasurement("cuda", problem="there is no driver")],
            "cpu",
        ),
    ],
)
def test_the_fastest_that_is_right_and_worth_it_is_chosen(
    rows: list[RuntimeMeasurement], chosen: str
) -> None:
    assert choose(rows) == chosen


def broken(*_: object, **__: object) -> None:
    raise OSError("no more processes")


def never(*_: object, **__: object) -> None:
    raise AssertionError("measured")


def test_the_choice_is_made_once_and_in_another_process(
    model: ModelFolder, memory: Path
) -> None:
    first = open_fastest(model, 1, 0.02)
    known = json.loads(memory.read_text("utf-8"))
    entry, alike = known.values()
    assert alike == {"runtime": entry["runtime"]}
    assert entry["runtime"] in present(model)
    assert {each["runtime"] for each in entry["rows"]} == set(present(model))
    again = open_fastest(model, 1, 0.02, never)
    assert again.network.provider == first.network.provider


@pytest.fixture
def sister(model: ModelFolder, tmp_path: Path) -> ModelFolder:
    """A network of the same layers with other weights."""
    folder = Path(shutil.copytree(model.path, tmp_path / "sister"))
    graph = onnx.load(str(model.network))
    for weights in graph.graph.initializer:
        held = onnx.numpy_helper.to_array(weights)
        if held.ndim == 4:
            made = onnx.numpy_helper.from_array(held * np.float32(1.001), weights.name)
            weights.CopyFrom(made)
    onnx.save(graph, str(folder / model.network.name))
    words = json.loads((folder / DESCRIPTION).read_text("utf-8"))
    words["sha256"] = network_hash(folder / model.network.name)
    (folder / DESCRIPTION).write_text(json.dumps(words), "utf-8")
    return load_model_folder(folder)


def test_of_an_ensembles_networks_one_is_measured(
    model: ModelFolder,
    sister: ModelFolder,
    memory: Path,
) -> None:
    remember(model, 1, 0.1, [row("cpu", 10), row("openvino", 5)])
    assert "OpenVINO" in open_fastest(sister, 1, 0.1, never).network.provider
    assert remembered(sister, 1, 0.1) == "openvino"
    with pytest.raises(AssertionError, match="measured"):
        open_fastest(sister, 2, 0.1, never)  # on so many threads none was measured


def test_what_is_right_for_one_network_may_be_wrong_for_its_sister(
    model: ModelFolder,
    sister: ModelFolder,
    memory: Path,
) -> None:
    remember(model, 1, 1e-9, [row("cpu", 10), row("openvino", 5)])
    opened = open_fastest(sister, 1, 1e-9, broken)
    assert opened.network.provider == "CPUExecutionProvider"
    assert remembered(sister, 1, 1e-9) is None


def test_where_nothing_can_be_found_out_the_reference_runs(
    model: ModelFolder, memory: Path
) -> None:
    assert (
        open_fastest(model, 1, 0.02, broken).network.provider == "CPUExecutionProvider"
    )
    assert not memory.exists()


def test_other_settings_another_network_are_another_choice(
    model: ModelFolder, memory: Path
) -> None:
    remember(model, 1, 0.1, [row("cpu", 10), row("openvino", 5)])
    assert remembered(model, 1, 0.1) == "openvino"
    assert remembered(model, 2, 0.1) is None
    assert remembered(model, 1, 1.0) is None
    assert remembered(replace(model, sha256="0" * 64), 1, 0.1) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}'])
def test_a_damaged_memory_is_none(model: ModelFolder, memory: Path, text: str) -> None:
    memory.parent.mkdir()
    memory.write_text(text, "utf-8")
    assert remembered(model, 1, 0.1) is None
    remember(model, 1, 0.1, [row("cpu", 10)])
    assert remembered(model, 1, 0.1) == "cpu"


def test_a_runtime_that_cannot_run_is_told_and_passed_over(model: ModelFolder) -> None:
    rows = measure(model, ["cpu-int8"], 1, 0.1, seconds=0.01)
    assert [each.runtime for each in rows] == ["cpu", "cpu-int8"]
    assert "QuantiseNetwork" in rows[1].problem
    assert choose(rows) == "cpu"


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("cpu", "onnxruntime"),
        ("openvino", "openvino"),
    ],
)
def test_a_missing_package_is_named(
    model: ModelFolder, monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModelError, match=f"pip install {package}"):
        load_network(model, name)  # type: ignore[arg-type]


def test_settings_name_their_runtime(model: ModelFolder) -> None:
    assert "f32" in open_estimator("arena", "openvino", 1).provider
    with pytest.raises(ModelError, match="no runtime 'gpu'; there are auto, cpu"):
        open_estimator("arena", "gpu")


def test_pictures_of_another_size_are_refused(
    model: ModelFolder, tmp_path: Path
) -> None:
    (tmp_path / "pictures.jpg").write_bytes(b"no picture")
    with pytest.raises(ModelError, match="must hold images 256 wide"):
        images_of(replace(model, path=tmp_path))
    drawn, own = images_of(replace(model, path=tmp_path / "nowhere"))
    assert drawn.shape[1:] == (192, 256, 3)
    assert not own
