"""Networks run by torch, from the same `network.onnx` as everything else.

The graph's operations are said in torch one by one (`torch_operations.py`): nothing is
unpickled, and torch's memory layout, half precision and CUDA graphs are there for any
network, where ONNX Runtime for the card is not.
"""

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError
from pose.model_folder import ModelFolder

Precision: TypeAlias = Literal["float32", "float16", "bfloat16"]


class TorchNetwork:
    """A network in torch, on the processor or a card.

    On a card the whole computation is one CUDA graph per shape: pictures go over the bus
    as uint8 from pinned memory, maps come back into pinned memory.
    """

    def __init__(
        self,
        model: ModelFolder,
        device: str = "cpu",
        threads: int = 0,
        precision: Precision = "float32",
    ) -> None:
        try:
            import onnx
            import torch

            from pose.torch_operations import OPERATIONS, SAID
        except ImportError as error:
            raise ModelError(
                f"the network was to run in torch, but the package {error.name} is not "
                f"installed: pip install {error.name}"
            ) from error
        if device == "cuda" and not torch.cuda.is_available():
            raise ModelError(
                "the network was to run in torch on CUDA, but torch finds no card"
            )
        if threads:
            torch.set_num_threads(threads)
        self._torch: Any = torch
        self._device = torch.device(device, 0)
        self._type: Any = getattr(torch, precision)
        self._network = model.network
        graph = onnx.load(str(model.network)).graph
        unknown = {node.op_type for node in graph.node} - {*OPERATIONS, "Constant"}
        unknown -= {"Cast"}
        if unknown:
            names = ", ".join(sorted(unknown))
            raise ModelError(f"{model.network}: torch was not taught {names} here")
        kept = {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}
        on_device: dict[str, Any] = {}
        self._steps: list[tuple[Any, dict[str, Any], list[Any], str]] = []
        for node in graph.node:
            said = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            said = {
                k: v.decode() if isinstance(v, bytes) else v for k, v in said.items()
            }
            if node.op_type == "Constant":
                kept[node.output[0]] = onnx.numpy_helper.to_array(said["value"])
                continue
            given: list[Any] = []
            for place, name in enumerate(node.input):
                if place in SAID.get(node.op_type, ()):
                    if name and name not in kept:
                        raise ModelError(
                            f"{model.network}: torch was not taught a {node.op_type} "
                            "whose numbers are computed by the network"
                        )
                    given.append(kept[name].tolist() if name else None)
                elif name in kept:
                    if name not in on_device:
                        on_device[name] = self._tensor(kept[name])
                    given.append(on_device[name])
                else:
                    given.append(name or None)
            run = OPERATIONS.get(node.op_type)
            self._steps.append((run, said, given, node.output[0]))
        self._last = graph.output[0].name
        self._graphs: dict[tuple[int, ...], tuple[Any, Any, Any]] = {}
        where = torch.cuda.get_device_name(0) if device == "cuda" else "CPU"
        self.provider = f"torch {where} {precision}"

    def run(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the maps of `pictures`; see `Network.run`."""
        with self._torch.inference_mode():
            images = self._torch.from_numpy(pictures)
            try:
                if self._device.type == "cuda":
                    return self._replayed(images)
                maps = self._computed(images)
            except RuntimeError as error:
                reason = str(error).splitlines()[0]
                raise ModelError(f"{self._network}: torch says {reason}") from error
            return np.asarray(maps.float().numpy(), np.float32)

    def _computed(self, images: Any) -> Any:
        values: dict[str, Any] = {"images": images}
        for run, said, inputs, result in self._steps:
            given = [values[it] if isinstance(it, str) else it for it in inputs]
            # the only step without an operation is Cast: to the one type used here
            first: Any = given[0]
            out = first.to(self._type) if run is None else run(said, *given)
            if out.ndim == 4 and run is not None and out.shape[1] == 3:
                out = out.to(memory_format=self._torch.channels_last)
            values[result] = out
        return values[self._last]

    def _replayed(self, images: Any) -> NDArray[np.float32]:
        """Run on the card: recorded as one graph when a shape comes first."""
        torch = self._torch
        shape = tuple(images.shape)
        if shape not in self._graphs:
            self._graphs[shape] = self._recorded(shape)
        recorded, (there, maps), (back, forth) = self._graphs[shape]
        forth.copy_(images)
        there.copy_(forth, non_blocking=True)
        recorded.replay()
        back.copy_(maps, non_blocking=True)
        torch.cuda.current_stream().synchronize()
        return np.asarray(back.numpy(), np.float32)

    def _recorded(self, shape: tuple[int, ...]) -> Any:
        """Return the computation as a CUDA graph, with its memory on both sides.

        cuDNN tries its ways of convolving in the warm-up, which the graph then keeps, and
        float32 is float32: left to itself, it would round to TF32 and say nothing.
        """
        torch = self._torch
        there = torch.zeros(shape, dtype=torch.uint8, device=self._device)
        recorded = torch.cuda.CUDAGraph()
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=True, deterministic=False, allow_tf32=False
        ):
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(3):
                    self._computed(there)
            torch.cuda.current_stream().wait_stream(aside)
            with torch.cuda.graph(recorded):
                maps = self._computed(there).float()
        back = torch.empty(maps.shape, pin_memory=True)
        forth = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        return recorded, (there, maps), (back, forth)

    def _tensor(self, array: NDArray[Any]) -> Any:
        tensor = self._torch.from_numpy(np.array(array))
        if tensor.is_floating_point():
            tensor = tensor.to(self._type)
            if tensor.ndim == 4:
                tensor = tensor.to(memory_format=self._torch.channels_last)
        return tensor.to(self._device)
