"""Networks in OpenVINO, on Intel and AMD CPUs and Intel GPUs."""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.core.user_cache import cache_folder
from deeplabstream.pose.model.model_folder import ModelFolder
from deeplabstream.pose.runtimes.compute_packages import package
from deeplabstream.pose.runtimes.image_normalisation import rewrite_openvino


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
        self._core = openvino.Core()
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
        self._requests: dict[tuple[int, ...], tuple[Any, NDArray[np.uint8]]] = {}
        fitting = model.fitting
        self._request((1, fitting.height, fitting.width, 3))
        self.provider = f"OpenVINO {device} {precision}"
        self.on_gpu = device != "CPU"
        """Whether a GPU computes."""

    def run(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the output for `pictures`; see `Network.run`."""
        request, bound = self._request(pictures.shape, pictures)
        if bound is not pictures:
            self._bind(request, pictures)
        request.infer()
        return np.asarray(request.get_output_tensor().data, np.float32)

    def _request(
        self, shape: tuple[int, ...], pictures: NDArray[np.uint8] | None = None
    ) -> tuple[Any, NDArray[np.uint8]]:
        if shape not in self._requests:
            try:
                model = self._core.read_model(self.file)
                model.reshape(list(shape))
                if self._rewrites:
                    rewrite_openvino(self._openvino, model)
                compiled = self._core.compile_model(model, self._device, self._options)
            except RuntimeError as error:
                reason = str(error).strip().splitlines()[-1]
                raise ModelError(f"{self.file}: OpenVINO says {reason}") from error
            request = compiled.create_infer_request()
            first = np.empty(shape, np.uint8) if pictures is None else pictures
            self._bind(request, first)
        return self._requests[shape]

    def _bind(self, request: Any, pictures: NDArray[np.uint8]) -> None:
        tensor = self._openvino.Tensor(_writeable(pictures), shared_memory=True)
        request.set_input_tensor(tensor)
        self._requests[pictures.shape] = request, pictures


def _writeable(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the same memory as an array that OpenVINO takes, which it only reads.

    Images of a camera, in shared memory, are not writeable. `pictures` must be kept as
    long as the result is used.
    """
    if pictures.flags.writeable:
        return pictures
    kind = ctypes.c_uint8 * pictures.nbytes
    memory = kind.from_address(pictures.ctypes.data)
    return np.ctypeslib.as_array(memory).reshape(pictures.shape)


def has_gpu() -> bool:
    """Return whether OpenVINO finds Intel graphics."""
    devices = package("openvino", "running the network in OpenVINO").Core()
    return any(name.split(".")[0] == "GPU" for name in devices.available_devices)
