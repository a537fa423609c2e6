"""Foreign ONNX networks, made here with onnx alone, through their description."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.decoders.multi_animal import MultiAnimalDecoder
from deeplabstream.pose.importers.network_description import read_description
from deeplabstream.pose.importers.onnx_import import import_onnx
from deeplabstream.pose.importers.original_network import original
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.network_estimator import NetworkEstimator
from deeplabstream.pose.runtimes.runtime_list import Runtime, load_network
from tests.pose.importers.described_networks import (
    HEATMAPS,
    INPUT,
    PARTS,
    described,
    network,
)
from utils.ImportModel import main

OFFSETS = {"scores": "part", "offsets": "locref", "values": "logits", "stride": 8}
OFFSETS |= {"origin": 4, "scale": 7.2801}


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("colour", ["RGB", "BGR"])
def test_heat_maps_are_the_originals_whatever_its_layout_and_colour(
    tmp_path: Path, last: bool, colour: str
) -> None:
    layout = "NHWC" if last else "NCHW"
    words = described(
        tmp_path / "it.json",
        input=INPUT | {"layout": layout, "colour": colour},
        heatmaps=HEATMAPS | {"layout": layout},
    )
    file = network(tmp_path / "it.onnx", {"maps": 2}, last)
    code = main(
        [str(file), "--description", str(words), "--output", str(tmp_path / "m")]
    )
    assert code == 0
    said = json.loads((tmp_path / "m" / "model.json").read_text("utf-8"))
    assert said["heatmaps"] == {"stride": 8, "sigma": 1.0, "origin": 4.0}
    assert said["about"]["licence"] == "CC0-1.0"
    assert said["about"]["imported_from"]["file"] == "it.onnx"


@pytest.mark.parametrize("batch", [1, 4])
def test_a_network_with_a_fixed_batch_size_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], batch: int
) -> None:
    words = described(tmp_path / "it.json", heatmaps=HEATMAPS)
    file = network(tmp_path / "it.onnx", {"maps": 2})
    fixed = onnx.load(str(file))
    for value in (*fixed.graph.input, *fixed.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    weights = np.array([batch, 2, 4, 8], np.int64)  # it computes for this batch alone
    fixed.graph.initializer.append(numpy_helper.from_array(weights, "shape"))
    fixed.graph.node[0].output[0] = "before"
    fixed.graph.node.append(helper.make_node("Reshape", ["before", "shape"], ["maps"]))
    onnx.save(fixed, str(file))
    given = [file, "--description", words, "--output", tmp_path / "m"]
    assert main([*map(str, given)]) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    if batch == 1:
        assert "can't take 2 images at once; export it with an open batch size" in told
    else:
        assert "can't be run as described" in told


def test_offsets_are_read_as_deeplabcut_means_them(tmp_path: Path) -> None:
    words = read_description(described(tmp_path / "it.json", offsets=OFFSETS))
    file = network(tmp_path / "it.onnx", {"part": 2, "locref": 4})
    model = import_onnx(file, words, tmp_path / "m", {})
    estimator = NetworkEstimator(model, load_network(model, "cpu", 1))
    picture = np.random.default_rng(3).integers(0, 256, (32, 64, 3), np.uint8)
    (pose,) = estimator.estimate([picture])
    theirs = original(file, words, picture[None])[0]
    for part in range(2):
        row, column = divmod(int(theirs[part].argmax()), 8)
        x = column * 8 + 4 + theirs[2 + part, row, column] * 7.2801
        y = row * 8 + 4 + theirs[4 + part, row, column] * 7.2801
        assert pose.points[0, part] == pytest.approx([x, y], rel=1e-3)
        assert pose.confidence[0, part] == pytest.approx(theirs[part].max(), rel=1e-3)


def test_coordinates_are_scaled_to_pixels(tmp_path: Path) -> None:
    file = tmp_path / "it.onnx"
    weights = np.random.default_rng(0).normal(0, 1e-3, (4, 3, 32, 64))
    held = [numpy_helper.from_array(weights.astype(np.float32), "w")]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["picture", "w"], ["whole"], name="c"),
            helper.make_node("Flatten", ["whole"], ["points"]),
        ],
        "foreign",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["b", 3, 32, 64])],
        [helper.make_tensor_value_info("points", TensorProto.FLOAT, ["b", 4])],
        held,
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(file))
    say = {"scale": [64, 32], "origin": -0.5}
    words = read_description(described(tmp_path / "it.json", coordinates=say))
    model = import_onnx(file, words, tmp_path / "m", {})
    estimator = NetworkEstimator(model, load_network(model, "cpu", 1))
    picture = np.random.default_rng(3).integers(0, 256, (32, 64, 3), np.uint8)
    (pose,) = estimator.estimate([picture])
    theirs = original(file, words, picture[None])[0]
    np.testing.assert_allclose(pose.points[0], theirs[:, :2], rtol=1e-3, atol=1e-3)
    assert (pose.confidence == 1).all()


@pytest.mark.parametrize("runtime", ["openvino"])
def test_an_imported_network_runs_everywhere(tmp_path: Path, runtime: str) -> None:
    words = read_description(described(tmp_path / "it.json", heatmaps=HEATMAPS))
    file = network(tmp_path / "it.onnx", {"maps": 2})
    model = import_onnx(file, words, tmp_path / "m", {})
    picture = np.random.default_rng(3).integers(0, 256, (1, 32, 64, 3), np.uint8)
    reference = load_network(model, "cpu", 1).run(picture)
    other = load_network(model, runtime, 1).run(picture)  # type: ignore[arg-type]
    np.testing.assert_allclose(other, reference, atol=1e-4)


ANIMALS = {"fields": "fields", "edges": [PARTS], "most": 2, "floor": 0.3}


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("runtime", ["cpu", "openvino"])
def test_fields_of_other_cells_are_the_originals_in_every_runtime(
    tmp_path: Path, runtime: Runtime, stride: int
) -> None:
    animals = ANIMALS | ({"stride": stride} if stride != 8 else {})
    words = read_description(
        described(tmp_path / "it.json", heatmaps=HEATMAPS, animals=animals)
    )
    outputs, strides = {"maps": 2, "fields": 2}, {"fields": stride}
    file = network(tmp_path / "it.onnx", outputs, strides=strides)
    model = import_onnx(file, words, tmp_path / "m", {})
    assert isinstance(model.decoder, MultiAnimalDecoder)
    assert (model.animals, model.decoder.grouping.floor) == (2, 0.3)
    assert model.output_shapes[0] == (4, 4, 8)
    picture = np.random.default_rng(3).integers(0, 256, (1, 32, 64, 3), np.uint8)
    reference = original(file, words, picture)
    other = load_network(model, runtime, 1).run(picture)
    np.testing.assert_allclose(other, reference, atol=1e-3)
    if stride == 16:
        each = reference[0, 2:]
        np.testing.assert_allclose(each[:, :, 1], (each[:, :, 0] + each[:, :, 2]) / 2)


def test_coordinates_of_several_animals(tmp_path: Path) -> None:
    outputs, strides = {"points": 1, "sure": 2}, {"sure": 16}
    file = network(tmp_path / "it.onnx", outputs, strides=strides)
    say = {"output": "points", "confidences": "sure", "animals": 8}
    words = read_description(described(tmp_path / "it.json", coordinates=say))
    model = import_onnx(file, words, tmp_path / "m", {})
    assert (model.animals, model.output_shapes) == (8, ((16, 3),))
    assert load_model_folder(tmp_path / "m").animals == 8
    estimator = NetworkEstimator(model, load_network(model, "cpu", 1))
    picture = np.random.default_rng(3).integers(0, 256, (32, 64, 3), np.uint8)
    (pose,) = estimator.estimate([picture])
    theirs = original(file, words, picture[None])[0].reshape(8, 2, 3)
    np.testing.assert_allclose(pose.confidence, theirs[..., 2].clip(0, 1), atol=1e-3)
    unseen = theirs[..., 2] <= 0
    assert 0 < unseen.sum() < unseen.size
    assert (np.isnan(pose.points[..., 0]) == unseen).all()
    seen = theirs[~unseen][:, :2]
    np.testing.assert_allclose(pose.points[~unseen], seen, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({}, "say one of heatmaps, offsets, centres and coordinates"),
        ({"heatmaps": HEATMAPS, "coordinates": {}}, "say one of"),
        ({"heatmaps": HEATMAPS, "bodyparts": ["a", "a"]}, "named twice"),
        ({"heatmaps": HEATMAPS, "edges": [["snout", "paw"]]}, "no body part paw"),
        (
            {"heatmaps": HEATMAPS, "input": INPUT | {"std": [0]}},
            "std: 0 can't be divided by",
        ),
        (
            {"heatmaps": HEATMAPS, "input": INPUT | {"mean": [1, 2]}},
            "mean: expected one number",
        ),
        ({"heatmaps": HEATMAPS, "input": INPUT | {"colour": "XYZ"}}, "input → colour"),
        ({"heatmaps": HEATMAPS, "animals": ANIMALS}, "has no output fields"),
        (
            {"heatmaps": HEATMAPS, "animals": ANIMALS | {"edges": []}},
            "no edges connect snout to tailbase",
        ),
        (
            {"coordinates": {}, "animals": ANIMALS},
            "coordinates → animals says how many",
        ),
        ({"heatmaps": HEATMAPS | {"output": "no"}}, "has no output no; it has maps"),
        (
            {"heatmaps": HEATMAPS | {"stride": 4}},
            "output of 2x4x8 (channels, rows, columns)",
        ),
        (
            {"heatmaps": HEATMAPS, "bodyparts": ["a", "b", "c"], "edges": []},
            "make 3x4x8",
        ),
        (
            {"heatmaps": HEATMAPS, "input": INPUT | {"layout": "NHWC"}},
            "be run as described",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_leaves_nothing(
    tmp_path: Path,
    words: dict[str, Any],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = network(tmp_path / "it.onnx", {"maps": 2})
    say = described(tmp_path / "it.json", **words)
    out = tmp_path / "m"
    assert main([str(file), "--description", str(say), "--output", str(out)]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.strip().splitlines()) == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["it.json", "it.onnx"]


def test_no_network_no_description_and_a_full_folder_are_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say = described(tmp_path / "it.json", heatmaps=HEATMAPS)
    (tmp_path / "no.onnx").write_bytes(b"nonsense")
    out = str(tmp_path / "m")
    words = ["--description", str(say), "--output", out]
    assert main([str(tmp_path / "no.onnx"), *words]) == 2
    assert main([str(tmp_path / "gone.onnx"), *words]) == 2
    assert main([str(tmp_path / "it.json"), "--output", out]) == 2
    file = network(tmp_path / "it.onnx", {"maps": 2})
    assert main([str(file), "--output", out]) == 2
    assert main([str(file), *words]) == 0
    assert main([str(file), *words]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert "not a valid ONNX network" in said[0]
    assert "gone.onnx: no such file or folder" in said[1]
    assert "expected an .onnx file" in said[2]
    assert "--description is needed" in said[3]
    assert "already contains a model" in said[4]
    with pytest.raises(ModelError, match="can't be read"):
        read_description(tmp_path / "gone.json")


@pytest.mark.parametrize(
    "kind", ["ConstantOfShape", "Expand", "Tile", "Resize", "by its input"]
)
def test_a_small_file_that_asks_for_much_memory_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    foreign = onnx.load(str(network(tmp_path / "it.onnx", {"maps": 2})))
    graph, side = foreign.graph, 2**17

    def hold(name: str, values: Any) -> None:
        graph.initializer.append(numpy_helper.from_array(np.array(values), name))

    def add(kind: str, given: list[str], made: str, **words: Any) -> None:
        graph.node.append(helper.make_node(kind, given, [made], name=made, **words))

    hold("shape", np.array([1, 1, side, side], np.int64))
    hold("scales", np.array([1, 1, side, side], np.float32))
    hold("one", np.ones((1, 1, 1, 1), np.float32))
    if kind == "ConstantOfShape":
        add(kind, ["shape"], "much")
    elif kind == "Expand":
        add(kind, ["one", "shape"], "much")
    elif kind == "Tile":
        add(kind, ["maps", "shape"], "much")
    elif kind == "Resize":
        add(kind, ["maps", "", "scales"], "much")
    else:  # a size that no check of the file can know
        add("ReduceMax", ["picture"], "light", keepdims=0)
        add("Mul", ["light", "scales"], "sizes")
        add("Abs", ["sizes"], "positive")
        add("Cast", ["positive"], "whole", to=TensorProto.INT64)
        add("ConstantOfShape", ["whole"], "much")
    add("ReduceMax", ["much"], "most", keepdims=0)
    add("Add", ["maps", "most"], "out")
    graph.output[0].name = "out"
    onnx.save(foreign, str(tmp_path / "it.onnx"))
    words = described(tmp_path / "it.json", heatmaps=HEATMAPS)
    say = ["--description", str(words), "--output", str(tmp_path / "m")]
    assert main([str(tmp_path / "it.onnx"), *say]) == 2
    told = capsys.readouterr().err
    assert "needs more than 4 GB of memory" in told
    assert len(told.strip().splitlines()) == 1
    assert not (tmp_path / "m").exists()
