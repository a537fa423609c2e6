"""Networks in torch, from the same `network.onnx` as in the other runtimes.

Each ONNX operation has its counterpart in torch (`torch_plan.py`). Nothing is
unpickled. Any network can use torch's memory layout, half precision and CUDA graphs,
also where ONNX Runtime has no GPU package.
"""

import os
import threading
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.model.model_folder import ModelFolder
from deeplabstream.pose.runtimes.compute_packages import package

Precision: TypeAlias = Literal["float32", "float16", "bfloat16"]
_RECORDING = threading.Lock()
"""Held while a CUDA graph is recorded: only one thread at a time may record."""


class TorchNetwork:
    """A network in torch, on the CPU or a GPU.

    On a GPU, the computation is one CUDA graph per shape: images go over the bus as
    uint8 from pinned memory, outputs come back into pinned memory.
    """

    def __init__(
        self,
        model: ModelFolder,
        device: str = "cpu",
        threads: int = 0,
        precision: Precision = "float32",
    ) -> None:
        # torch's threads look out for more work in between, and hold up other programs
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        onnx, torch = (
            package(name, "running the network in torch") for name in ("onnx", "torch")
        )
        from deeplabstream.pose.runtimes.torch_plan import Graph, computed

        if device == "cuda" and not torch.cuda.is_available():
            raise ModelError(
                "the network was to run in torch on CUDA, but torch finds no GPU"
            )
        if threads:
            torch.set_num_threads(threads)
        self._torch: Any = torch
        self._compute = computed
        self._device = torch.device(device, 0)
        self._type: Any = getattr(torch, precision)
        self._graph = Graph(model.network, onnx.load(str(model.network)).graph)
        self._weights: dict[str, Any] = {}
        self._plans: dict[tuple[int, ...], tuple[Any, dict[str, Any]]] = {}
        self._recorded: dict[tuple[int, ...], tuple[Any, Any, Any]] = {}
        self._plan((1, model.fitting.height, model.fitting.width, 3))
        where = torch.cuda.get_device_name(0) if device == "cuda" else "CPU"
        self.provider = f"torch {where} {precision}"
        self.on_gpu = device == "cuda"
        """Whether a GPU computes."""

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the output for `images`; see `Network.run`."""
        with self._torch.inference_mode():
            tensor = self._torch.from_numpy(images)
            try:
                if self._device.type == "cuda":
                    return self._replayed(tensor)
                maps = self._computed(tensor)
            except RuntimeError as error:
                reason = str(error).splitlines()[0]
                raise ModelError(
                    f"{self._graph.network}: torch says {reason}"
                ) from error
            return np.asarray(maps.float().numpy(), np.float32)

    def _plan(self, shape: tuple[int, ...]) -> tuple[Any, dict[str, Any]]:
        """Return the steps for images of a shape, and their constants on the device."""
        if shape not in self._plans:
            plan = self._graph.planned(shape, self._type)
            constants = {}
            for name, array in plan.constants.items():
                if name not in self._graph.weights:
                    constants[name] = self._tensor(array)
                    continue
                if name not in self._weights:
                    self._weights[name] = self._tensor(array)
                constants[name] = self._weights[name]
            self._plans[shape] = plan.steps, constants
        return self._plans[shape]

    def _computed(self, images: Any) -> Any:
        steps, constants = self._plan(tuple(images.shape))
        values: dict[str, Any] = {"images": images, **constants}
        for step in steps:
            values |= self._compute(step, values)
            for name in step.spent:
                values.pop(name, None)
        return values[self._graph.result]

    def _replayed(self, images: Any) -> NDArray[np.float32]:
        """Run on the GPU: recorded as one graph at the first call with a shape."""
        torch = self._torch
        recorded, (there, maps), (back, forth) = self.recorded(tuple(images.shape))
        forth.copy_(images)
        there.copy_(forth, non_blocking=True)
        recorded.replay()
        back.copy_(maps, non_blocking=True)
        torch.cuda.current_stream().synchronize()
        return np.asarray(back.numpy(), np.float32)

    def recorded(self, shape: tuple[int, ...]) -> Any:
        """Return the CUDA graph for images of a shape, with its memory on both sides."""
        if shape not in self._recorded:
            self._recorded[shape] = self._record(shape)
        return self._recorded[shape]

    def _record(self, shape: tuple[int, ...]) -> Any:
        """Return the computation as a CUDA graph, with its memory on both sides.

        cuDNN tunes its convolutions in the warm-up, and the graph keeps the result.
        TF32 is off: by default, float32 would be rounded to it. Other threads may use the
        GPU meanwhile: only what this one does belongs to the graph.
        """
        torch = self._torch
        there = torch.zeros(shape, dtype=torch.uint8, device=self._device)
        recorded = torch.cuda.CUDAGraph()
        flags = torch.backends.cudnn.flags(
            enabled=True, benchmark=True, deterministic=False, allow_tf32=False
        )
        with _RECORDING, flags:
            aside = torch.cuda.Stream()
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(3):
                    self._computed(there)
            torch.cuda.current_stream().wait_stream(aside)
            with torch.cuda.graph(recorded, capture_error_mode="thread_local"):
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
