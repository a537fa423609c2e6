"""All decoders keep the protocol; a new one needs its file and a line in the registry."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from pydantic import Field

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.decoders import registry
from deeplabstream.pose.decoders.centres import Centres
from deeplabstream.pose.decoders.coordinates import Coordinates
from deeplabstream.pose.decoders.decoder import (
    DecodedPoses,
    Decoder,
    SectionDecoder,
    Sections,
)
from deeplabstream.pose.decoders.heatmaps import Heatmaps
from deeplabstream.pose.decoders.multi_animal import MultiAnimalDecoder
from deeplabstream.pose.decoders.offsets import Offsets
from deeplabstream.pose.decoders.paf_grouping import PafGrouper
from deeplabstream.pose.decoders.part_relations import PartRelations
from deeplabstream.pose.decoders.registry import decoder_from_json
from deeplabstream.pose.decoders.sleap_grouping import SleapGrouper
from deeplabstream.pose.image_fitting import Fitting, whole
from deeplabstream.pose.importers.network_description import read_description
from deeplabstream.pose.importers.onnx_import import import_onnx
from deeplabstream.pose.model.model_folder import (
    ModelFolder,
    load_model_folder,
    network_hash,
    save_description,
)
from deeplabstream.pose.network_estimator import NetworkEstimator
from deeplabstream.training.data.batches import to_batch
from deeplabstream.training.data.dataset import Dataset
from deeplabstream.training.data.learned_relations import learned_relations
from deeplabstream.training.lightning_module import decoded

PARTS = ("snout", "leftear", "tailbase")
EDGES = ((0, 1), (1, 2))
HEIGHT, WIDTH = 240, 320
Points = NDArray[np.float32]

strides = st.sampled_from([1, 2, 4, 8])
limits = st.none() | st.floats(0.1, 0.9)


@st.composite
def heatmaps(draw: st.DrawFn) -> Heatmaps:
    stride = draw(strides)
    origin = draw(st.none() | st.floats(0, stride - 1))
    centroid = draw(st.sampled_from([None, 3, 5, 7, 9]))
    return Heatmaps(stride, draw(st.floats(0.8, 3)), origin, draw(limits), centroid)


@st.composite
def related(draw: st.DrawFn) -> Heatmaps:
    """Heat maps with relations of the poses that `poses` returns."""
    relations = relations_of_poses(draw(st.booleans()))
    return Heatmaps(draw(strides), draw(st.floats(0.8, 3)), relations=relations)


@lru_cache
def relations_of_poses(every_direction: bool) -> PartRelations | None:
    rng = np.random.default_rng(0)
    seen = [poses(Heatmaps(4, 1.0), 1, rng)[:, 0] for _ in range(99)]
    return learned_relations(np.concatenate(seen), every_direction)


@st.composite
def offsets(draw: st.DrawFn) -> Offsets:
    stride = draw(strides)
    return Offsets(stride, draw(st.floats(0, stride)), draw(st.floats(0.5, 50)))


@st.composite
def several(draw: st.DrawFn) -> MultiAnimalDecoder:
    stride = draw(st.sampled_from([2, 4, 8]))
    maps = draw(
        st.sampled_from([Heatmaps(stride, 1.0), Offsets(stride, stride / 2, 7.28)])
    )
    common = (
        3, EDGES, draw(st.integers(2, 5)), stride, maps.first_px,
        draw(st.floats(0.05, 0.3)), draw(st.floats(0.1, 0.25)),
        draw(st.integers(1, 4)), draw(st.sampled_from([(), (300.0, 400.5)])),
    )  # fmt: skip
    if draw(st.booleans()):
        return MultiAnimalDecoder(maps, SleapGrouper(*common, fields_stride=stride))
    return MultiAnimalDecoder(maps, PafGrouper(*common))


@st.composite
def centres(draw: st.DrawFn) -> Centres:
    return Centres(
        draw(st.integers(1, 5)), draw(st.sampled_from([2, 4, 8])),
        draw(st.sampled_from(["centre", "part", "product"])),
        draw(st.none() | st.floats(2, 75)), draw(st.none() | st.floats(0.01, 0.2)),
    )  # fmt: skip


coordinates = st.builds(Coordinates, st.integers(1, 5), limits)
decoders = heatmaps() | related() | offsets() | centres() | coordinates | several()


def poses(decoder: Decoder, count: int, rng: np.random.Generator) -> Points:
    """Return up to two animals (count, animal, 3, 2) that do not touch; px."""
    animals = min(2, decoder.animals)
    points = np.full((count, decoder.animals, 3, 2), np.nan, np.float32)
    shape = np.array([[0, -36], [36, 0], [0, 40]]) + rng.uniform(-3, 3, (3, 2))
    middles = np.array([[80, 120], [240, 120]]) + rng.uniform(-20, 20, (count, 2, 2))
    points[:, :animals] = (middles[:, :, None] + shape)[:, :animals]
    return points


def sorted_animals(points: Points) -> Points:
    """Return the animals of each image from left to right; those not found last."""
    order = np.argsort(points[..., 0, 0], axis=1)  # NaN comes last
    return np.take_along_axis(points, order[..., None, None], axis=1)


@settings(max_examples=80, deadline=None)
@given(decoders, st.integers(0, 3), st.integers(0, 2**31))
def test_decoding_what_was_encoded_gives_the_points(
    decoder: Decoder, count: int, seed: int
) -> None:
    points = poses(decoder, count, np.random.default_rng(seed))
    if not count:
        return
    output = decoder.encode(points, HEIGHT, WIDTH)
    assert output.dtype == np.float32
    assert np.isfinite(output).all()
    assert output.shape == (count, *decoder.output_shapes(3, HEIGHT, WIDTH)[0])
    found, confidences = decoder.decode(output)
    assert found.shape == points.shape
    assert confidences.shape == points.shape[:3]
    assert ((confidences >= 0) & (confidences <= 1)).all()
    truth, own = sorted_animals(points), sorted_animals(found)
    assert (np.isfinite(own) == np.isfinite(truth)).all()
    away = np.abs(own - truth)[np.isfinite(truth)]
    assert away.max() <= decoder.tolerance_px + 1e-3
    assert (confidences[np.isfinite(found[..., 0])] > 0.3).all()


@settings(max_examples=80, deadline=None)
@given(decoders)
def test_a_decoder_is_restored_from_its_json(decoder: Decoder) -> None:
    sections = decoder.to_json(PARTS)
    assert decoder_from_json(json.loads(json.dumps(sections)), PARTS) == decoder
    assert decoder.section in sections


@settings(max_examples=30, deadline=None)
@given(decoders)
def test_a_point_that_is_not_visible_has_no_confidence(decoder: Decoder) -> None:
    points = np.full((1, decoder.animals, 3, 2), np.nan, np.float32)
    points[0, 0, 0] = -30, 1000  # outside the image
    found, confidences = decoder.decode(decoder.encode(points, HEIGHT, WIDTH))
    assert not confidences.any()
    assert np.isfinite(found).all() == (decoder.animals == 1)


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({}, "it must say one of heatmaps, offsets, centres and coordinates"),
        ({"heatmaps": None}, "it must say one of"),
        ({"heatmaps": {"stride": 4, "sigma": 1}, "coordinates": {}}, "must say one of"),
        ({"heatmaps": {"stride": 4}}, "heatmaps → sigma: Field required"),
        ({"heatmaps": {"stride": 4.5, "sigma": 1}}, "heatmaps → stride: Input should"),
        ({"heatmaps": {"stride": 65, "sigma": 1}}, "heatmaps → stride: Input should"),
        ({"heatmaps": [4, 1]}, "heatmaps: Input should be"),
        ({"coordinates": {"animal": 2}}, "coordinates → animal: "),
        ({"animals": {}}, "animals: part affinity fields need heatmaps or offsets"),
    ],
)
def test_a_faulty_section_is_one_sentence(sections: Sections, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        decoder_from_json(sections, PARTS)
    assert "\n" not in str(refusal.value)


@dataclass(frozen=True, slots=True)
class Projections(SectionDecoder):
    """A toy decoder: for each body part the weights of all columns, then of all rows."""

    power: Annotated[float, Field(gt=0, le=4)] = 1.0
    """A field to be kept in `model.json`."""

    section: ClassVar[str] = "projections"
    animals: ClassVar[int] = 1
    any_size: ClassVar[bool] = False
    tolerance_px: ClassVar[float] = 0.01

    def output_shapes(
        self, bodyparts: int, height: int, width: int
    ) -> tuple[tuple[int, ...], ...]:
        return ((bodyparts, width + height),)

    def decode(self, output: NDArray[np.float32]) -> DecodedPoses:
        weights = np.maximum(output, 0) ** (1 / self.power)
        split = weights[..., : SIDE[1]], weights[..., SIDE[1] :]
        sums = [each.sum(axis=-1) for each in split]
        middles = [
            (each * np.arange(each.shape[-1])).sum(axis=-1) / np.maximum(total, 1e-9)
            for each, total in zip(split, sums, strict=True)
        ]
        points = np.stack(middles, axis=-1).astype(np.float32)
        confidences = np.clip(np.minimum(*sums), 0, 1).astype(np.float32)
        return points[:, None], confidences[:, None]

    def encode(
        self, points: NDArray[np.float32], height: int, width: int
    ) -> NDArray[np.float32]:
        axes = []
        for axis, side in enumerate((width, height)):
            away = np.abs(np.arange(side) - points[:, 0, :, axis, None])
            axes.append(np.nan_to_num(np.maximum(1 - away, 0)) ** self.power)
        return np.concatenate(axes, axis=-1).astype(np.float32)


SIDE = 32, 48
TRUTH = np.array([[[[5.25, 6.5], [20, 11.75], [40.5, 29]]]], np.float32)


class PerfectNetwork:
    """A network that gives what a decoder makes of some points."""

    provider, on_gpu = "perfect", False

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder

    def run(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.decoder.encode(np.repeat(TRUTH, len(pictures), axis=0), *SIDE)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Projections:
    """The toy decoder, registered in one line."""
    monkeypatch.setattr(registry, "DECODERS", [*registry.DECODERS, Projections])
    return Projections(0.5)


def model_of(decoder: Decoder, folder: Path) -> ModelFolder:
    (folder / "network.onnx").write_bytes(b"any file")
    return ModelFolder(
        folder, Skeleton(PARTS), Fitting(*SIDE), decoder, 0.5,
        network_hash(folder / "network.onnx"), {},
    )  # fmt: skip


def test_a_new_decoder_is_kept_in_model_json(tmp_path: Path, toy: Projections) -> None:
    model = model_of(toy, tmp_path)
    save_description(model)
    assert json.loads((tmp_path / "model.json").read_text("utf-8"))["projections"] == {
        "power": 0.5
    }
    assert load_model_folder(tmp_path) == model
    text = (tmp_path / "model.json").read_text("utf-8").replace("0.5\n  }", "5.0\n  }")
    (tmp_path / "model.json").write_text(text, "utf-8")
    with pytest.raises(ModelError, match="projections → power: Input should be less"):
        load_model_folder(tmp_path)


def test_a_new_decoder_decodes_live(tmp_path: Path, toy: Projections) -> None:
    estimator = NetworkEstimator(model_of(toy, tmp_path), PerfectNetwork(toy))
    frame = np.zeros((2 * SIDE[0], 2 * SIDE[1], 3), np.uint8)
    for pose in estimator.estimate([frame, frame]):
        np.testing.assert_allclose(pose.points, TRUTH[0] * 2 + 0.5, atol=0.02)
        np.testing.assert_allclose(pose.confidence, 1, atol=1e-3)


def test_a_new_decoder_makes_training_targets(toy: Projections) -> None:
    pictures = np.zeros((2, *SIDE, 3), np.uint8)
    points = np.repeat(TRUTH[0], 2, axis=0)
    points[1, 2] = np.nan
    known = np.ones((2, 3), np.bool_)
    data = Dataset(
        Skeleton(PARTS), Fitting(*SIDE), pictures, points, known,
        (whole(SIDE, Fitting(*SIDE)),) * 2, ("c", "c"),
    )  # fmt: skip
    batch = to_batch(data, toy, pictures, points, known, None)
    assert batch.targets.shape == (2, 3, SIDE[0] + SIDE[1])
    found = decoded(toy, batch.targets, batch.points).numpy()
    seen = np.isfinite(points)
    np.testing.assert_allclose(found[seen], points[seen], atol=toy.tolerance_px)
    assert toy.decode(batch.targets.numpy())[1][1, 0, 2] == 0


def test_a_network_for_a_new_decoder_is_imported(
    tmp_path: Path, toy: Projections
) -> None:
    height, width = SIDE
    weights = np.random.default_rng(0).normal(0, 1e-3, (3 * 80, 3, height, width))
    held = [
        numpy_helper.from_array(weights.astype(np.float32), "w"),
        numpy_helper.from_array(np.array([-1, 3, 80]), "shape"),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["picture", "w"], ["flat"], name="c"),
            helper.make_node("Reshape", ["flat", "shape"], ["sums"]),
        ],
        "foreign",
        [info("picture", TensorProto.FLOAT, ["b", 3, height, width])],
        [info("sums", TensorProto.FLOAT, ["b", 3, 80])],
        held,
    )
    opsets = [helper.make_opsetid("", 17)]
    file = tmp_path / "it.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(file))
    words = {
        "bodyparts": PARTS,
        "input": {"width": width, "height": height},
        "projections": {"outputs": ["sums"], "power": 0.5},
    }
    (tmp_path / "it.json").write_text(json.dumps(words), "utf-8")
    described = read_description(tmp_path / "it.json")
    model = import_onnx(file, described, tmp_path / "m", {})
    assert model.decoder == toy
    assert load_model_folder(tmp_path / "m").decoder == toy
