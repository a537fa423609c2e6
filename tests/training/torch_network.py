"""A network of a model folder, computed by the operations that fine-tuning uses."""

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from deeplabstream.training.networks.torch_plan import Graph, GraphPlan, computed


class TorchNetwork:
    """A `Network` in torch, on the CPU, for comparison with ONNX Runtime."""

    provider = "torch"
    on_gpu = False

    def __init__(self, network: Path) -> None:
        self._graph = Graph(network, onnx.load(str(network)).graph)
        self._plans: dict[tuple[int, ...], GraphPlan] = {}

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the output for `images`; see `Network.run`."""
        if images.shape not in self._plans:
            plan = self._graph.planned(images.shape, torch.float32)
            self._plans[images.shape] = plan
        plan = self._plans[images.shape]
        values = {"images": torch.from_numpy(images)}
        values |= {n: torch.tensor(array) for n, array in plan.constants.items()}
        with torch.inference_mode():
            for step in plan.steps:
                values |= computed(step, values)
                for name in step.spent:
                    values.pop(name, None)
        return np.asarray(values[self._graph.result].float().numpy(), np.float32)
