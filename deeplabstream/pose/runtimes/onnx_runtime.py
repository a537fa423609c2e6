"""Networks in ONNX Runtime, on the CPU or an NVIDIA GPU."""

import ctypes
import hashlib
import sys
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.files.user_cache import cache_folder
from deeplabstream.pose.image_fitting import LEAST
from deeplabstream.pose.model.model_folder import ModelFolder
from deeplabstream.pose.network_estimator import NetworkEstimator
from deeplabstream.pose.runtimes.compute_packages import package
from deeplabstream.pose.runtimes.image_normalisation import rewritten_for_onnx_runtime

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
if TYPE_CHECKING:
    from onnx import ModelProto

Device: TypeAlias = Literal["auto", "cpu", "cuda", "tensorrt", "directml"]
"""`auto`: CUDA where its driver is installed, else the CPU."""
_PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "directml": "DmlExecutionProvider",
}
_CUDA_PROVIDERS = (_PROVIDERS["cuda"], _PROVIDERS["tensorrt"])
_CUDA = {"cudnn_conv_algo_search": "EXHAUSTIVE", "use_tf32": "0"}
"""CUDA options; without them, float32 would be rounded to TF32."""
_GPU_BATCH = 8
ONNX_RUNTIME = "running the network in ONNX Runtime"
_SPIN_US = "10"
"""Microseconds that an idle thread spins before it sleeps.

Waking a thread takes as long as many operations do. By default ONNX Runtime spins until
the next frame, which uses one core per thread.
"""


class OnnxNetwork:
    """A network in ONNX Runtime.

    On a GPU, images are in memory that is bound once per shape, so a call copies only
    uint8 images to the GPU and the output back. On the CPU, the first operations are
    rewritten (see `image_normalisation`), unless `as_it_is` or `file` is given.
    """

    def __init__(
        self,
        model: ModelFolder,
        device: Device,
        threads: int,
        file: Path | None = None,
        as_it_is: bool = False,
    ) -> None:
        self._model = model
        self._file = file or model.network
        on_cpu = device == "cpu" or (device == "auto" and not cuda_driver())
        if on_cpu and file is None and not as_it_is:
            self._file = rewritten_for_onnx_runtime(model.network, model.sha256)

        self._open = partial(
            _create_session, model=model, device=device, threads=threads
        )
        try:
            self.session = self._open(str(self._file))
        except ModelError:
            if self._file in (file, model.network):
                raise
            # The rewritten network in the cache is damaged.
            self._file = model.network
            self.session = self._open(str(self._file))

        self.provider = str(self.session.get_providers()[0])
        """Name of the execution provider, as the session reports it."""
        self.on_gpu = self.provider in _PROVIDERS.values()
        """Whether a GPU computes."""
        self._output = self.session.get_outputs()[0].name
        self._others: dict[tuple[bool, int], InferenceSession] = {}
        """Sessions for images of any size, and for batches in TensorRT."""
        self._bound: dict[tuple[int, ...], tuple[Any, Any]] = {}
        self._gpu_device = "cuda"

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the output for `images`; see `Network.run`."""
        session = self._session_for(images.shape)
        try:
            if self.provider in _CUDA_PROVIDERS:
                return self._run_on_gpu(session, images)
            (maps,) = session.run([self._output], {"images": images})
        except (
            Exception
        ) as error:  # ONNX Runtime's exceptions have no common base class
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ModelError(
                f"{self._model.network} can't be run by {self.provider}: {reason}"
            ) from error
        return np.asarray(maps, np.float32)

    def _session_for(self, shape: tuple[int, ...]) -> "InferenceSession":
        """Return the session for images of a shape (n, height, width, 3).

        TensorRT computes a batch size well for which its engine was optimised: batches of
        offline programs have an engine of their own.
        """
        fitting = self._model.fitting
        # An engine of TensorRT and the graph itself are made for one size of input.
        own_size = shape[1:3] == (fitting.height, fitting.width)
        tensorrt = self.provider == _PROVIDERS["tensorrt"]
        batch = _GPU_BATCH if tensorrt and shape[0] > 1 else 1
        key = not own_size, batch
        if key == (False, 1):
            return self.session
        if key not in self._others:
            network = str(self._file) if own_size else any_size(self._file)
            self._others[key] = self._open(network, batch=batch)
        return self._others[key]

    def _run_on_gpu(
        self, session: "InferenceSession", images: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        if images.shape not in self._bound:
            ort = package("onnxruntime", ONNX_RUNTIME)
            buffer = ort.OrtValue.ortvalue_from_shape_and_type(
                list(images.shape), np.uint8, self._gpu_device, 0
            )

            # Bound once per shape: memory on the GPU is not allocated for each frame.
            binding = session.io_binding()
            binding.bind_ortvalue_input("images", buffer)
            binding.bind_output(self._output, "cpu")
            self._bound[images.shape] = buffer, binding
        buffer, binding = self._bound[images.shape]
        buffer.update_inplace(images)
        session.run_with_iobinding(binding)
        return np.asarray(binding.get_outputs()[0].numpy(), np.float32)


def open_onnx(
    model: ModelFolder, device: Device = "auto", threads: int = 0
) -> NetworkEstimator:
    """Load the network and check it against its description; ModelError when unfit.

    `threads` of the CPU compute; 0: one per core.
    """
    estimator = NetworkEstimator(model, OnnxNetwork(model, device, threads))
    estimator.warm_up()
    return estimator


def single_thread_session(network: Path, purpose: str) -> "InferenceSession":
    """Return a session of a small network on one thread of the CPU.

    ModelError: `purpose` needs ONNX Runtime, or the file can't be used.
    """
    ort = package("onnxruntime", purpose)
    options = ort.SessionOptions()
    options.log_severity_level = 4  # its messages are not for users; errors are raised
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session: InferenceSession = ort.InferenceSession(
            str(network), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        raise unusable(network, error) from error
    return session


def unusable(network: Path, error: Exception) -> ModelError:
    """Return the error that a network can't be loaded or run."""
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return ModelError(f"{network} can't be used: {reason}")


def _create_session(
    network: str | bytes,
    model: ModelFolder,
    device: Device,
    threads: int,
    batch: int = 1,
) -> "InferenceSession":
    """Return a session of ONNX Runtime; ModelError: the device cannot be used."""
    ort = package("onnxruntime", ONNX_RUNTIME)
    options = ort.SessionOptions()
    if device == "directml":
        options.enable_mem_pattern = False  # DirectML does not support it
    options.log_severity_level = 4  # its messages are not for users; errors are raised

    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.intra_op.spin_duration_us", _SPIN_US)

    providers = _execution_providers(model, device, isinstance(network, bytes), batch)
    try:
        session = ort.InferenceSession(
            network, sess_options=options, providers=providers
        )
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        reason = str(error).splitlines()[0]
        raise ModelError(f"{model.network} can't be loaded: {reason}") from error

    # ONNX Runtime uses the CPU without an error when it can't load a GPU's libraries.
    provider = str(session.get_providers()[0])
    if device in _PROVIDERS and provider != _PROVIDERS[device]:
        raise ModelError(
            f"the network was to run on {device}, and there is a driver, but ONNX Runtime "
            f"could only offer {provider}: its libraries are missing or do not fit; "
            "`deeplabstream doctor` names the command that installs them"
        )
    if isinstance(network, str):
        _check(model, session)
    return session


def _execution_providers(
    model: ModelFolder, device: Device, any_size: bool, batch: int = 1
) -> list[Any]:
    """Return the execution providers of a device, the preferred one first.

    ModelError: the computer lacks the driver, or ONNX Runtime lacks DirectML.
    """
    ort = package("onnxruntime", ONNX_RUNTIME)
    cuda = device in ("cuda", "tensorrt")
    if cuda and not cuda_driver():
        raise ModelError(
            "the network was to run on CUDA, but this computer has no NVIDIA driver"
        )

    # Each is inserted at the front: ONNX Runtime tries them in this order.
    providers: list[Any] = ["CPUExecutionProvider"]
    if device == "directml":
        if not directml():
            raise ModelError(
                "the network was to run by DirectML, but ONNX Runtime is built without "
                "it: install onnxruntime-directml instead of onnxruntime-gpu (Windows)"
            )
        providers.insert(0, _PROVIDERS["directml"])
    if cuda or (device == "auto" and cuda_driver()):
        ort.set_default_logger_severity(4)
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
        providers.insert(0, (_PROVIDERS["cuda"], _CUDA))
    if device == "tensorrt":
        options = _tensorrt(model, any_size, batch)
        providers.insert(0, (_PROVIDERS["tensorrt"], options))
    return providers


def _tensorrt(model: ModelFolder, any_size: bool, batch: int = 1) -> dict[str, object]:
    """Return TensorRT's options: half precision, engines kept between starts.

    ONNX Runtime names a stored engine after the graph, not after its weights or its
    batch, so each network and each largest `batch` has its own folder.
    `trt_cuda_graph_enable` is off: when the graph is replayed, ONNX Runtime copies no
    output back and poses do not change.
    """
    network = cache_folder() / "tensorrt" / model.sha256
    kept = network / f"batch{batch}"
    kept.mkdir(parents=True, exist_ok=True)
    most = model.fitting.height, model.fitting.width
    least = (LEAST, LEAST) if any_size else most
    shapes = {"min": (1, *least), "opt": (batch, *most), "max": (batch, *most)}
    return {
        "trt_fp16_enable": True,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(kept),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(network.parent),
        **{
            f"trt_profile_{which}_shapes": f"images:{n}x{height}x{width}x3"
            for which, (n, height, width) in shapes.items()
        },
    }


def directml() -> bool:
    """Return whether the installed ONNX Runtime is the build with DirectML."""
    if find_spec("onnxruntime") is None:
        return False
    ort = package("onnxruntime", ONNX_RUNTIME)
    return _PROVIDERS["directml"] in ort.get_available_providers()


def cuda_driver() -> bool:
    """Return whether an NVIDIA driver with a GPU can be loaded."""
    return bool(nvidia_gpu_name())


def nvidia_gpu_name() -> str:
    """Return the name of the first NVIDIA GPU from its driver; "": none."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return ""

    # The driver's own interface: neither torch nor ONNX Runtime has to be loaded.
    count, first = ctypes.c_int(0), ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return ""
    name_buffer = ctypes.create_string_buffer(100)
    if not count.value or driver.cuDeviceGet(ctypes.byref(first), 0):
        return ""
    driver.cuDeviceGetName(name_buffer, len(name_buffer), first)
    return name_buffer.value.decode(errors="replace") or "a GPU without a name"


def _signature(inputs: Sequence[tuple[str, str, Sequence[object]]]) -> str:
    """Return a description of a network's inputs."""
    return " and ".join(
        f"{name} ({kind}) of {' × '.join(map(str, shape))}"
        for name, kind, shape in inputs
    )


def _check(model: ModelFolder, session: "InferenceSession") -> None:
    fitting = model.fitting
    inputs = [(i.name, i.type, list(i.shape)[1:]) for i in session.get_inputs()]
    expected = [("images", "tensor(uint8)", [fitting.height, fitting.width, 3])]
    if inputs != expected:
        raise ModelError(
            f"{model.network} does not take the images that model.json describes: it takes "
            f"{_signature(inputs)} instead of {_signature(expected)}"
        )
    given = tuple(session.get_outputs()[0].shape)[1:]
    if given not in model.output_shapes:
        raise ModelError(
            f"{model.network} does not give the output that model.json describes: "
            f"{list(given)} instead of {list(model.output_shapes[0])}"
        )


def any_size(network: Path) -> bytes:
    """Return the network with open height and width of its input.

    Only a run shows whether its operations accept any size.
    """
    model = _read(network, "analysing images of another size than the network's")
    for value in (*model.graph.input, *model.graph.output):
        # Images are (n, height, width, channel), maps (n, channel, height, width).
        sizes = value.type.tensor_type.shape.dim
        channel_first = value.name != "images"
        for place in (2, 3) if channel_first else (1, 2):
            if place < len(sizes):
                sizes[place].dim_param = f"{value.name}_{place}"

    # The sizes of intermediate results were those of the fixed input.
    del model.graph.value_info[:]
    return bytes(model.SerializeToString())


def layers(network: Path) -> str:
    """Return a checksum of the network's operations and sizes, without its weights."""
    model = _read(network, "inspecting a network's layers")
    digest = hashlib.sha256()
    for part in (*model.graph.node, *model.graph.input, *model.graph.output):
        digest.update(part.SerializeToString(deterministic=True))
    for weights in model.graph.initializer:
        header = weights.name, weights.data_type, list(weights.dims)
        digest.update(repr(header).encode())
    return digest.hexdigest()


def _read(network: Path, purpose: str) -> "ModelProto":
    onnx = package("onnx", purpose)
    try:
        return cast("ModelProto", onnx.load(str(network)))
    except Exception as error:  # protobuf's errors have no base class of their own
        raise ModelError(f"{network} can't be read as ONNX") from error
