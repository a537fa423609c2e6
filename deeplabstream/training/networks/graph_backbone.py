"""A backbone from the ONNX graph of a network of any program.

The operations run in torch, as in `pose.runtimes.torch_plan`; the weights of its layers
are parameters. The features are the last ones of 4, 8, 16 and 32 pixels per cell before the
layers that make the network's outputs, and that all of these depend on. Statistics of batch
normalisation stay as they are: an exported network mostly has them in the weights of its
convolutions. So do constants that depend on the size or the number of the images, such as
the position and class embeddings of transformers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.model.model_folder import ModelFolder, load_model_folder
from deeplabstream.training.networks.backbone import Backbone
from deeplabstream.training.networks.heads import STRIDE
from deeplabstream.training.networks.torch_operations import OPERATIONS
from deeplabstream.training.networks.torch_plan import (
    Graph,
    GraphPlan,
    GraphStep,
    computed,
)

STRIDES = (4, 8, 16, 32)
OURS = "ours/"
"""Prefix of the names of constants that the import added."""
_ADVICE = "start from another network, or label with it (utils/DistillNetwork.py)"
_LAYERS = {
    OPERATIONS[name]: (1,) for name in ("Conv", "ConvTranspose", "Gemm", "MatMul")
}
_TAUGHT = {
    **dict.fromkeys(_LAYERS, (1, 2)),
    **{OPERATIONS[it]: (1, 2) for it in ("BatchNormalization", "LayerNormalization")},
    **{OPERATIONS[it]: (0, 1) for it in ("Add", "Mul", "MatMul", "PRelu")},
}
"""Operations with weights that are learned, and which of their inputs these are."""


class GraphBackbone(Backbone):
    """The layers of a model folder's network, without those that make its outputs."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._layers = _layers_of(load_model_folder(folder))
        self.taps, self.channels = self._layers.taps, self._layers.channels
        self.last = self._layers.last
        self.strides = tuple(self.taps)
        self.multiple = max(self.strides)
        self._places = {name: place for place, name in enumerate(self._layers.weights)}
        self.weights = nn.ParameterList(
            nn.Parameter(torch.from_numpy(it.copy()))
            for it in self._layers.weights.values()
        )

    def normalised(self, images: Tensor) -> Tensor:
        """Return the images as they are: the graph itself normalises them."""
        return images

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return features of images (n, height, width, 3), uint8 BGR."""
        planned = self._layers.planned(int(x.shape[1]), int(x.shape[2]))
        count = x.shape[0]
        held = {name: value.to(x.device) for name, value in planned.constants.items()}
        for name in planned.repeated:
            held[name] = held[name].expand(count, *held[name].shape[1:])
        for name, place in self._places.items():
            held[name] = self.weights[place]
        values = _run([_for_batch(step, count) for step in planned.steps], x, held)
        return [values[name] for name in self.taps.values()]

    def check_size(self, height: int, width: int) -> None:
        """Raise ModelError when the graph does not take images of this size."""
        try:
            with torch.no_grad():
                found = self(_images((height, width)))
            shapes = [tuple(feature.shape[2:]) for feature in found]
        except (ModelError, RuntimeError):
            shapes = []
        if shapes != [(height // stride, width // stride) for stride in self.strides]:
            own = load_model_folder(self.folder).fitting
            raise ModelError(
                f"{self.folder} takes images of {own.width}x{own.height} only, not "
                f"{width}x{height}: train with --size {own.width}x{own.height}"
            )


def _layers_of(model: ModelFolder) -> "_Layers":
    """Return the layers of a network; a training opens the same one several times."""
    size = model.fitting.height, model.fitting.width
    bodyparts = len(model.skeleton.bodyparts)
    return _found(model.path, model.network, model.sha256, size, bodyparts)


@lru_cache(maxsize=2)
def _found(
    folder: Path, network: Path, sha256: str, size: tuple[int, int], bodyparts: int
) -> "_Layers":
    del sha256  # a changed network is another one
    # Tensors made in inference mode can't be used by a later training.
    with torch.inference_mode(False), torch.no_grad():
        return _Layers(folder, network, size, bodyparts)


class _Layers:
    """The layers of a network up to its features, and what is found from its graph."""

    def __init__(
        self, folder: Path, network: Path, size: tuple[int, int], bodyparts: int
    ) -> None:
        self._folder = folder
        graph = onnx.load(str(network)).graph
        whole = Graph(network, graph, _ADVICE)
        plan = whole.planned((1, *size, 3), torch.float32)
        self.taps, self.channels = _features(
            folder, plan, whole.result, size, bodyparts
        )
        self.last = _last_layer(plan, whole.result, self.taps.get(STRIDE, ""))

        _cut(graph, [*self.taps.values()])
        self._graph = Graph(network, graph, _ADVICE)
        one, two = self._for_one_and_two(*size)
        names = _fixed(_taught(one), one, [two, self._larger(size)])
        self.weights = {name: one.constants[name] for name in names}
        """Constants that are learned, by name."""
        self._plans = {size: self._of_any_number(one, two)}

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs: it finds the operations itself."""
        return {**self.__dict__, "_plans": {}}

    def planned(self, height: int, width: int) -> "_Planned":
        """Return the operations for images of a size, found once."""
        if (height, width) not in self._plans:
            with torch.inference_mode(False), torch.no_grad():
                plans = self._for_one_and_two(height, width)
                self._plans[height, width] = self._of_any_number(*plans)
        return self._plans[height, width]

    def _for_one_and_two(self, height: int, width: int) -> tuple[GraphPlan, GraphPlan]:
        """Return the operations for one image of a size, and for two."""
        one, two = (
            self._graph.planned((count, height, width, 3), torch.float32)
            for count in (1, 2)
        )
        return one, two

    def _of_any_number(self, one: GraphPlan, two: GraphPlan) -> "_Planned":
        """Return the operations for any number of images, and the constants.

        ModelError when they can't be done for any number of images.
        """
        try:
            steps = [
                replace(a, given=tuple(map(_per_image, a.given, b.given)))
                for a, b in zip(one.steps, two.steps, strict=True)
            ]
            repeated = _repeated_by_image(one.constants, two.constants)
        except ValueError as error:
            raise ModelError(
                f"{self._folder} can't be started from: its layers depend on the number "
                f"of images in a way that can't be exported again; {_ADVICE}"
            ) from error
        held = {k: it for k, it in _tensors(one).items() if k not in self.weights}
        return _Planned(steps, held, repeated)

    def _larger(self, size: tuple[int, int]) -> GraphPlan | None:
        """Return the operations for two images of twice the size; None: not possible."""
        try:
            return self._graph.planned((2, 2 * size[0], 2 * size[1], 3), torch.float32)
        except ModelError:
            return None


@dataclass(frozen=True, slots=True)
class _Planned:
    """The operations for images of one size."""

    steps: Sequence[GraphStep]
    """Numbers in `given` that are `_PerImage` are multiplied by the number of images."""
    constants: Mapping[str, Tensor]
    repeated: tuple[str, ...]
    """Constants that are repeated for each image."""


@dataclass(frozen=True, slots=True)
class _PerImage:
    """A number that is proportional to the number of images."""

    number: int


def _per_image(one: Any, two: Any) -> Any:
    """Return a value of a plan for one image that also holds for more; see `_PerImage`.

    `two` is its value for two images. ValueError: more images can't be derived.
    """
    if one == two:
        return one
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        return [_per_image(a, b) for a, b in zip(one, two, strict=True)]
    if isinstance(one, int) and two == 2 * one:
        return _PerImage(one)
    raise ValueError(f"{one} for one image, {two} for two")


def _for_batch(step: GraphStep, count: int) -> GraphStep:
    """Return the step for a number of images."""

    def of(value: Any) -> Any:
        if isinstance(value, list):
            return [of(item) for item in value]
        return value.number * count if isinstance(value, _PerImage) else value

    return replace(step, given=tuple(of(value) for value in step.given))


def _repeated_by_image(
    one: Mapping[str, NDArray[Any]], two: Mapping[str, NDArray[Any]]
) -> tuple[str, ...]:
    """Return the constants that two images have twice; ValueError: others differ."""
    differ = [name for name in one if not np.array_equal(one[name], two[name])]
    for name in differ:
        row = one[name]
        if row.ndim == 0 or not np.array_equal(np.repeat(row[:1], 2, 0), two[name]):
            raise ValueError(name)
    return tuple(differ)


def _fixed(
    names: Sequence[str], one: GraphPlan, others: Sequence[GraphPlan | None]
) -> list[str]:
    """Return the names of constants that are the same in all plans."""
    return [
        name
        for name in names
        for own in [one.constants[name]]
        if all(it is None or np.array_equal(own, it.constants[name]) for it in others)
    ]


def _features(
    folder: Path, plan: GraphPlan, result: str, size: tuple[int, int], bodyparts: int
) -> tuple[dict[int, str], tuple[int, ...]]:
    """Return names of features by stride, and their channels; see the module."""
    with torch.inference_mode():
        values = _run(plan.steps, _images(size), _tensors(plan))
    before = _before_last_layers(plan, result)
    found: dict[int, str] = {}
    for name, value in values.items():
        if (
            name not in before
            or name in plan.constants
            or value.ndim != 4
            or len(value) != 1
        ):
            continue
        stride = size[0] // max(1, value.shape[2])
        fits = (stride * value.shape[2], stride * value.shape[3]) == size
        maps = value.shape[1] == bodyparts
        if stride in STRIDES and fits and not maps and value.is_floating_point():
            found[stride] = name
    if not found:
        raise ModelError(
            f"{folder} can't be started from: it has no features of 4, 8, 16 or 32 "
            "pixels per cell"
        )
    found = dict(sorted(found.items()))
    return found, tuple(values[name].shape[1] for name in found.values())


def _cut(graph: Any, outputs: Sequence[str]) -> None:
    """Keep only the operations that the outputs depend on."""
    needed, kept = set(outputs), []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    kept.reverse()
    del graph.node[:], graph.output[:]
    graph.node.extend(kept)
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)


def _before_last_layers(plan: GraphPlan, result: str) -> set[str]:
    """Return the values that all of the last layers before the result are made from."""
    makers = {name: step for step in plan.steps for name in step.results}
    last: list[GraphStep] = []
    seen, todo = set[str](), [result]
    while todo:
        name = todo.pop()
        if name in seen or name not in makers:
            continue
        seen.add(name)
        step = makers[name]
        if any(it in plan.constants for it in _inputs(step, _LAYERS)):
            last.append(step)
        else:
            todo += _names(step)
    return set.intersection(*(_origins(step, makers) for step in last), {*makers})


def _origins(step: GraphStep, makers: Mapping[str, GraphStep]) -> set[str]:
    """Return the values that a step's result is made from."""
    found, todo = set[str](), _names(step)
    while todo:
        name = todo.pop()
        if name not in found and name in makers:
            found.add(name)
            todo += _names(makers[name])
    return found


def _names(step: GraphStep) -> list[str]:
    """Return the names of the values that a step takes."""
    return [name for name in step.given if isinstance(name, str)]


def _last_layer(
    plan: GraphPlan, result: str, features: str
) -> tuple[Tensor, Tensor] | None:
    """Return weight and bias of the convolution that makes the maps of the features.

    None: the result is not the sigmoid of a convolution of them with as many cells.
    """
    makers = {name: step for step in plan.steps for name in step.results}

    def made(name: Any, by: str) -> GraphStep | None:
        step = makers.get(name)
        while step is not None and step.run is OPERATIONS["Cast"]:
            step = makers.get(step.given[0])
        return step if step is not None and step.run is OPERATIONS[by] else None

    sigmoid = made(result, "Sigmoid")
    step = None if sigmoid is None else made(sigmoid.given[0], "Conv")
    if step is None or step.given[0] != features or len(step.given) < 3:
        return None
    weight, bias = (plan.constants.get(name) for name in step.given[1:3])
    if weight is None or bias is None:
        return None
    side = weight.shape[-1]
    same = {"pads": [side // 2] * 4, "strides": [1, 1], "dilations": [1, 1], "group": 1}
    if side % 2 == 0 or weight.shape[-2] != side or weight.shape[0] != len(bias):
        return None
    if any(step.attributes.get(key, value) != value for key, value in same.items()):
        return None
    return torch.from_numpy(weight.copy()), torch.from_numpy(bias.copy())


def _taught(plan: GraphPlan) -> list[str]:
    """Return the names of the weights: constants of layers, more than one number."""
    names: dict[str, None] = {}
    for step in plan.steps:
        for name in _inputs(step, _TAUGHT):
            array = plan.constants.get(name)
            if array is None or name.startswith(OURS):
                continue
            if array.dtype.kind == "f" and array.size > 1:
                names[name] = None
    return list(names)


def _inputs(step: GraphStep, known: Mapping[Any, tuple[int, ...]]) -> list[str]:
    places = known.get(step.run, ())
    given = [step.given[place] for place in places if place < len(step.given)]
    return [name for name in given if isinstance(name, str)]


def _tensors(plan: GraphPlan) -> dict[str, Tensor]:
    return {name: torch.from_numpy(it.copy()) for name, it in plan.constants.items()}


def _images(size: tuple[int, int]) -> Tensor:
    return torch.zeros((1, *size, 3), dtype=torch.uint8)


def _run(
    steps: Sequence[GraphStep], images: Tensor, held: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return all values of the graph, by name."""
    values = {"images": images, **held}
    for step in steps:
        values |= computed(step, values)
    return values
