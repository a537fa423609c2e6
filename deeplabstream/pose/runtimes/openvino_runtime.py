"""Networks in OpenVINO, on Intel and AMD CPUs and Intel GPUs."""

import ctypes
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.files.user_cache import cache_folder
from deeplabstream.pose.model.model_folder import ModelFolder
from deeplabstream.pose.runtimes.compute_packages import package
from deeplabstream.pose.runtimes.image_normalisation import rewrite_openvino

_MOST_ADDRESSES = 32
"""Largest number of image addresses with a tensor; camera rings have a few each."""


class OpenVinoNetwork:
    """A network in OpenVINO, compiled for each shape of images.

    `precision` is always set: by default OpenVINO computes in bf16 where the CPU can.
    `as_it_is`: no operation is rewritten (see `image_normalisation`).
    """

    def __init__(
        self,
        model: ModelFolder,
        network: str,
        threads: int,
        precision: str = "f32",
        device: str = "CPU",
        as_it_is: bool = False,
    ) -> None:
        openvino = package("openvino", "running the network in OpenVINO")
        self._openvino: Any = openvino
        self._core = _core()
        self.file = network
        """Path of the network."""
        self._device = device
        self._rewrites = device == "CPU" and not as_it_is

        self._options: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        if device == "CPU":
            self._options["INFERENCE_NUM_THREADS"] = threads
            # Several networks of few threads each were all tied to the same cores.
            self._options["ENABLE_CPU_PINNING"] = threads == 0
        else:
            self._options["CACHE_DIR"] = str(cache_folder() / "openvino")

        if device not in {name.split(".")[0] for name in self._core.available_devices}:
            raise ModelError(f"OpenVINO finds no {device} in this computer")
        self._shapes: dict[tuple[int, ...], _Compiled] = {}
        fitting = model.fitting
        self._compiled((1, fitting.height, fitting.width, 3))
        self.provider = f"OpenVINO {device} {precision}"
        self.on_gpu = device != "CPU"
        """Whether a GPU computes."""

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the output for `images`; see `Network.run`."""
        compiled = self._compiled(images.shape)
        compiled.read_from(images)
        compiled.request.infer(share_outputs=True)  # otherwise it returns copies
        return compiled.output

    def _compiled(self, shape: tuple[int, ...]) -> "_Compiled":
        if shape not in self._shapes:
            try:
                model = self._core.read_model(self.file)
                model.reshape(list(shape))
                if self._rewrites:
                    rewrite_openvino(self._openvino, model)
                compiled = self._core.compile_model(model, self._device, self._options)
            except RuntimeError as error:
                reason = str(error).strip().splitlines()[-1]
                raise ModelError(f"{self.file}: OpenVINO says {reason}") from error
            self._shapes[shape] = _Compiled(compiled, self._openvino.Tensor)
        return self._shapes[shape]


class _Compiled:
    """A network for one shape of images, with the memory that it reads and writes."""

    def __init__(self, compiled: Any, tensor: Any) -> None:
        self.request: Any = compiled.create_infer_request()
        self.output: NDArray[np.float32] = np.empty(
            tuple(compiled.output(0).shape), np.float32
        )
        """The maps of the images read last."""
        self._tensor = tensor
        self.request.set_output_tensor(tensor(self.output, shared_memory=True))
        self._tensors: dict[int, Any] = {}
        self._bound = 0

    def read_from(self, images: NDArray[np.uint8]) -> None:
        """Use the memory of these images as the input of the next call.

        OpenVINO gets their address and no reference: a camera's shared memory can be
        closed afterwards, and need not be writeable.
        """
        if not images.flags.c_contiguous:
            raise ValueError("expected images without gaps in memory")

        # A camera's ring has few places: each tensor is made once and used again.
        address = images.ctypes.data
        if address == self._bound:
            return
        if address not in self._tensors:
            if len(self._tensors) >= _MOST_ADDRESSES:
                self._tensors.clear()
            memory = (ctypes.c_uint8 * images.nbytes).from_address(address)
            same = np.ctypeslib.as_array(memory).reshape(images.shape)
            self._tensors[address] = self._tensor(same, shared_memory=True)
        self.request.set_input_tensor(self._tensors[address])
        self._bound = address


@cache
def _core() -> Any:
    """Return OpenVINO's core, one per process, which lasts until its end.

    Each core gives the thread another stack for signal handlers, and takes the one before it
    back when it is deleted. If cores are not deleted in reverse order, that stack no longer
    exists: the next signal, such as Ctrl-C, ends the process.
    """
    return package("openvino", "running the network in OpenVINO").Core()


def has_gpu() -> bool:
    """Return whether OpenVINO finds Intel graphics."""
    devices = _core().available_devices
    return any(name.split(".")[0] == "GPU" for name in devices)
