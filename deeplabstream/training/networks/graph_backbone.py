"""A backbone from the ONNX graph of a network of any program.

The operations run in torch, as in `pose.runtimes.torch_plan`; the weights of its layers
are parameters. The features are the last ones of 4, 8, 16 and 32 pixels per cell before the
layers that make the network's outputs. Statistics of batch normalisation stay as they are:
an exported network mostly has them in the weights of its convolutions.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.model.model_folder import ModelFolder, load_model_folder
from deeplabstream.pose.runtimes.torch_operations import OPERATIONS
from deeplabstream.pose.runtimes.torch_plan import Graph, Plan, Step, computed
from deeplabstream.training.networks.backbone import Backbone
from deeplabstream.training.networks.heads import STRIDE

STRIDES = (4, 8, 16, 32)
OURS = "ours/"
"""Begins the names of constants that the import added."""
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
        model = load_model_folder(folder)
        self.folder = folder
        graph = onnx.load(str(model.network)).graph
        size = model.fitting.height, model.fitting.width
        whole = Graph(model.network, graph)
        plan = whole.planned((1, *size, 3), torch.float32)
        self.taps, channels = _features(model, plan, whole.result, size)
        self.last = _last_layer(plan, whole.result, self.taps.get(STRIDE, ""))
        _cut(graph, [*self.taps.values()])
        self._graph = Graph(model.network, graph)
        plan = self._graph.planned((1, *size, 3), torch.float32)
        self._check_batches(plan, size)
        self.strides, self.channels = tuple(self.taps), channels
        self.multiple = max(self.strides)
        names = _taught(plan)
        self._places = {name: place for place, name in enumerate(names)}
        self.weights = nn.ParameterList(
            nn.Parameter(torch.from_numpy(plan.constants[name].copy()))
            for name in names
        )
        self._plans: dict[
            tuple[int, int], tuple[Sequence[Step], dict[str, Tensor]]
        ] = {}

    def normalised(self, images: Tensor) -> Tensor:
        """Return the images as they are: the graph itself normalises them."""
        return images

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return features of images (n, height, width, 3), uint8 BGR."""
        steps, constants = self._planned(int(x.shape[1]), int(x.shape[2]))
        held = {name: value.to(x.device) for name, value in constants.items()}
        for name, place in self._places.items():
            held[name] = self.weights[place]
        values = _run(steps, x, held)
        return [values[name] for name in self.taps.values()]

    def check_size(self, height: int, width: int) -> None:
        """Raise ModelError when the graph does not take images of this size."""
        try:
            with torch.no_grad():
                found = self(_images((height, width)))
            shapes = [tuple(each.shape[2:]) for each in found]
        except (ModelError, RuntimeError):
            shapes = []
        if shapes != [(height // stride, width // stride) for stride in self.strides]:
            own = load_model_folder(self.folder).fitting
            raise ModelError(
                f"{self.folder} takes images of {own.width}x{own.height} only, not "
                f"{width}x{height}: train with --size {own.width}x{own.height}"
            )

    def _planned(
        self, height: int, width: int
    ) -> tuple[Sequence[Step], dict[str, Tensor]]:
        """Return the operations, and the constants that are no weights.

        They are found once for each size, for one image: see `_check_batches`.
        """
        if (height, width) not in self._plans:
            plan = self._graph.planned((1, height, width, 3), torch.float32)
            held = _tensors(plan)
            self._plans[height, width] = (
                plan.steps,
                {name: held[name] for name in held if name not in self._places},
            )
        return self._plans[height, width]

    def _check_batches(self, one: Plan, size: tuple[int, int]) -> None:
        """Raise ModelError when operations hold the number of images: export fixes it."""
        two = self._graph.planned((2, *size, 3), torch.float32)
        for a, b in zip(one.steps, two.steps, strict=True):
            if (a.given, a.results) != (b.given, b.results):
                raise ModelError(
                    f"{self.folder} can't be started from: its layers are computed from "
                    "the number of images, as in transformers and in DEKR networks"
                )


def _features(
    model: ModelFolder, plan: Plan, result: str, size: tuple[int, int]
) -> tuple[dict[int, str], tuple[int, ...]]:
    """Return names of features by stride, and their channels; see the module."""
    with torch.inference_mode():
        values = _run(plan.steps, _images(size), _tensors(plan))
    after = _after_last_layers(plan, result)
    found: dict[int, str] = {}
    for name, value in values.items():
        if (
            name in after
            or name in plan.constants
            or value.ndim != 4
            or len(value) != 1
        ):
            continue
        stride = size[0] // max(1, value.shape[2])
        fits = (stride * value.shape[2], stride * value.shape[3]) == size
        maps = value.shape[1] == len(model.skeleton.bodyparts)
        if stride in STRIDES and fits and not maps and value.is_floating_point():
            found[stride] = name
    if not found:
        raise ModelError(
            f"{model.path} can't be started from: it has no features of 4, 8, 16 or 32 "
            "pixels per cell"
        )
    found = dict(sorted(found.items()))
    return found, tuple(values[name].shape[1] for name in found.values())


def _cut(graph: Any, outputs: Sequence[str]) -> None:
    """Leave only the operations that the outputs come from."""
    wanted, kept = set(outputs), []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            kept.append(node)
    kept.reverse()
    del graph.node[:], graph.output[:]
    graph.node.extend(kept)
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)


def _after_last_layers(plan: Plan, result: str) -> set[str]:
    """Return the values that the last layers before the result make, and all from them."""
    makers = {name: step for step in plan.steps for name in step.results}
    after: set[str] = set()
    seen, todo = set[str](), [result]
    while todo:
        name = todo.pop()
        if name in seen or name not in makers:
            continue
        seen.add(name)
        step = makers[name]
        if any(it in plan.constants for it in _inputs(step, _LAYERS)):
            after.update(step.results)
        else:
            todo += [it for it in step.given if isinstance(it, str)]
    for step in plan.steps:
        if after.intersection(it for it in step.given if isinstance(it, str)):
            after.update(step.results)
    return after


def _last_layer(plan: Plan, result: str, features: str) -> tuple[Tensor, Tensor] | None:
    """Return weight and bias of the convolution that makes the maps of the features.

    None: the result is not the sigmoid of a convolution of them with as many cells.
    """
    makers = {name: step for step in plan.steps for name in step.results}

    def made(name: Any, by: str) -> Step | None:
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
    if any(step.said.get(key, value) != value for key, value in same.items()):
        return None
    return torch.from_numpy(weight.copy()), torch.from_numpy(bias.copy())


def _taught(plan: Plan) -> list[str]:
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


def _inputs(step: Step, known: Mapping[Any, tuple[int, ...]]) -> list[str]:
    places = known.get(step.run, ())
    given = [step.given[place] for place in places if place < len(step.given)]
    return [name for name in given if isinstance(name, str)]


def _tensors(plan: Plan) -> dict[str, Tensor]:
    return {name: torch.from_numpy(it.copy()) for name, it in plan.constants.items()}


def _images(size: tuple[int, int]) -> Tensor:
    return torch.zeros((1, *size, 3), dtype=torch.uint8)


def _run(
    steps: Sequence[Step], images: Tensor, held: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return all values of the graph, by name."""
    values = {"images": images, **held}
    for step in steps:
        values |= computed(step, values)
    return values
