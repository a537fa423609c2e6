import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.decoders.multi_animal import MultiAnimalDecoder
from deeplabstream.pose.decoders.paf_grouping import PafGrouper
from deeplabstream.pose.image_fitting import Fitting
from deeplabstream.pose.model.model_folder import (
    ModelFolder,
    load_model_folder,
    network_hash,
    save_description,
)
from deeplabstream.pose.network_estimator import ConfidenceScale, decode_poses


@pytest.fixture
def model(tmp_path: Path) -> ModelFolder:
    (tmp_path / "network.onnx").write_bytes(b"not a network, but a file")
    model = ModelFolder(
        tmp_path,
        Skeleton(("snout", "tailbase"), (("snout", "tailbase"),)),
        Fitting(240, 320),
        Heatmaps(4, 1.25),
        0.4,
        network_hash(tmp_path / "network.onnx"),
        {"command": "python utils/TrainNetwork.py", "steps": 3},
    )
    save_description(model)
    return model


def test_what_was_saved_is_loaded(model: ModelFolder) -> None:
    assert load_model_folder(model.path) == model


def test_calibrated_confidences_are_kept_and_read(model: ModelFolder) -> None:
    scale = ConfidenceScale(0.8, -0.5, 5.0)
    calibrated = replace(model, confidence=scale)
    save_description(calibrated)
    loaded = load_model_folder(model.path)
    assert loaded == calibrated
    maps = np.zeros((1, 2, 60, 80), np.float32)
    maps[0, :, 30, 40] = [0.9, 0.2]
    points, sure = decode_poses(loaded, maps)
    as_it_came = decode_poses(model, maps)
    np.testing.assert_array_equal(points, as_it_came[0])
    np.testing.assert_allclose(sure, scale(as_it_came[1]))
    text = (model.path / "model.json").read_text().replace('"slope": 0.8', '"slope": 0')
    (model.path / "model.json").write_text(text)
    with pytest.raises(ModelError, match="confidence → slope"):
        load_model_folder(model.path)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"not a model folder: it has no model\.json"):
        load_model_folder(tmp_path)


def test_a_changed_network_is_refused(model: ModelFolder) -> None:
    model.network.write_bytes(b"another network")
    with pytest.raises(ModelError, match="its sha256 begins with"):
        load_model_folder(model.path)


def _with_weights_elsewhere(file: Path, location: str, *, nested: bool) -> None:
    """Write a network whose weights are in another file, also in an inner graph."""
    weights = numpy_helper.from_array(np.ones(4, np.float32), "weights")
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    kept = helper.make_node("Constant", [], ["kept"], value=weights)
    inner = helper.make_graph([kept], "inner", [], [])
    node = helper.make_node("If", ["x"], ["y"], then_branch=inner) if nested else kept
    graph = helper.make_graph([node], "network", [], [])
    file.write_bytes(helper.make_model(graph).SerializeToString())


@pytest.mark.parametrize("nested", [False, True])
def test_weights_in_another_file_belong_to_the_network(
    model: ModelFolder, nested: bool
) -> None:
    weights = model.path / "weights.bin"
    weights.write_bytes(bytes(16))
    _with_weights_elsewhere(model.network, "weights.bin", nested=nested)
    save_description(replace(model, sha256=network_hash(model.network)))
    load_model_folder(model.path)

    weights.write_bytes(bytes(15) + b"1")
    with pytest.raises(ModelError, match="its sha256 begins with"):
        load_model_folder(model.path)
    weights.unlink()
    with pytest.raises(
        ModelError, match=r"weights\.bin, which .* names, can't be read"
    ):
        load_model_folder(model.path)
    _with_weights_elsewhere(model.network, "../weights.bin", nested=nested)
    with pytest.raises(ModelError, match=r"names weights elsewhere: .* outside"):
        load_model_folder(model.path)


def test_a_missing_network_is_refused(model: ModelFolder) -> None:
    model.network.unlink()
    with pytest.raises(ModelError, match=r"network\.onnx can't be read"):
        load_model_folder(model.path)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda words: words.pop("input"), "input: Field required"),
        (lambda words: words.update(threshold=1.5), "threshold: Input should be less"),
        (lambda words: words.update(threshold="high"), "threshold: Input should be a"),
        (lambda words: words.update(format=2), "format: "),
        (lambda words: words.update(colour="red"), "colour: there is no such key"),
        (
            lambda words: words["skeleton"].update(bodyparts=["a", "a"], bones=[]),
            "names a body part twice",
        ),
        (
            lambda words: words["skeleton"].update(bones=[["snout", "paw"]]),
            "an edge ends at an unknown body part paw",
        ),
    ],
)
def test_a_wrong_description_is_refused_in_one_sentence(
    model: ModelFolder, spoil: Callable[[dict[str, object]], object], sentence: str
) -> None:
    file = model.path / "model.json"
    words = json.loads(file.read_text(encoding="utf-8"))
    spoil(words)
    file.write_text(json.dumps(words), encoding="utf-8")
    with pytest.raises(ModelError) as refusal:
        load_model_folder(model.path)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_half_a_description_is_refused(model: ModelFolder) -> None:
    file = model.path / "model.json"
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(ModelError, match=r"model\.json is damaged: Invalid JSON"):
        load_model_folder(model.path)


@pytest.fixture
def several(model: ModelFolder) -> ModelFolder:
    """For up to three animals of three parts."""
    heatmaps = Heatmaps(4, 1.0)
    skeleton = Skeleton(("snout", "ear", "tailbase"), (("snout", "tailbase"),))
    grouping = PafGrouper(3, ((0, 1), (1, 2)), 3, 4, 1.5, longest=(40.0, 60.0))
    how = replace(
        model, skeleton=skeleton, decoder=MultiAnimalDecoder(heatmaps, grouping)
    )
    save_description(how)
    return how


def test_a_network_of_several_animals_is_loaded_as_saved(several: ModelFolder) -> None:
    loaded = load_model_folder(several.path)
    assert loaded == several
    assert loaded.animals == 3
    assert loaded.output_shapes[0] == (3 + 2 * 2, 60, 80)
    points, sure = decode_poses(loaded, np.zeros((2, 7, 60, 80), np.float32))
    assert points.shape == (2, 3, 3, 2)
    assert np.isnan(points).all()
    assert not sure.any()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"most": 0}, "animals → most: Input should be greater"),
        ({"edges": [["snout", "paw"]]}, "animals → edges: there is no body part paw"),
        ({"edges": [["ear", "ear"]]}, "animals → edges: ear is joined to itself"),
        (
            {"edges": [["snout", "ear"]]},
            "animals → edges: no edges connect snout to tailbase",
        ),
        (
            {"edges": [["snout", "ear"], ["ear", "tailbase"], ["ear", "snout"]]},
            "animals → edges: an edge is listed twice",
        ),
        ({"longest": [40.0]}, "animals → longest: expected one length per edge"),
        ({"names": ["A"]}, "animals → names: Extra inputs"),
    ],
)
def test_animals_that_contradict_themselves_are_refused(
    several: ModelFolder, change: dict[str, object], sentence: str
) -> None:
    file = several.path / "model.json"
    words = json.loads(file.read_text(encoding="utf-8"))
    words["animals"].update(change)
    file.write_text(json.dumps(words), encoding="utf-8")
    with pytest.raises(ModelError) as refusal:
        load_model_folder(several.path)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_coordinates_know_no_several_animals(several: ModelFolder) -> None:
    file = several.path / "model.json"
    words = json.loads(file.read_text(encoding="utf-8"))
    words["coordinates"] = {}
    del words["heatmaps"]
    file.write_text(json.dumps(words), encoding="utf-8")
    with pytest.raises(ModelError, match="fields need heatmaps or offsets"):
        load_model_folder(several.path)
