"""Networks run by ONNX Runtime, on the processor or on an NVIDIA card."""

import ctypes
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from core.errors import ModelError
from core.frame import Image
from core.pose import Pose, Skeleton
from pose.model_folder import ModelFolder

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Device: TypeAlias = Literal["auto", "cpu", "cuda"]
"""`auto`: CUDA where its driver is, else the processor."""


@dataclass(frozen=True, slots=True, eq=False)
class OnnxRuntime:
    """A network in ONNX Runtime; `open_onnx` makes one."""

    model: ModelFolder
    session: "InferenceSession"
    provider: str
    """What really computes, as the session itself tells."""

    @property
    def skeleton(self) -> Skeleton:
        """The body parts that the network knows."""
        return self.model.skeleton

    @property
    def threshold(self) -> float:
        """The confidence below which a point counts as not seen."""
        return self.model.threshold

    @property
    def sha256(self) -> str:
        """The fingerprint of the network's file."""
        return self.model.sha256

    def estimate(self, images: Sequence[Image]) -> list[Pose]:
        """Return one pose per picture, one animal each; nothing is thresholded."""
        if not images:
            return []
        fitting, skeleton = self.model.fitting, self.model.skeleton
        batch = np.empty((len(images), fitting.height, fitting.width, 3), np.uint8)
        for place, image in enumerate(images):
            fitting.place(image, batch[place])
        maps = np.asarray(self.session.run(None, {"images": batch})[0], np.float32)
        points, confidence = self.model.heatmaps.decode(
            maps.reshape(-1, *maps.shape[2:])
        )
        points = points.reshape(len(images), 1, -1, 2)
        confidence = confidence.reshape(len(images), 1, -1)
        return [
            Pose(skeleton, fitting.to_image(xy, image.shape), sure)
            for xy, sure, image in zip(points, confidence, images, strict=True)
        ]

    def warm_up(self, batch: int = 1) -> None:
        """Run once on `batch` grey pictures, so that the first real ones are not slow."""
        size = (self.model.fitting.height, self.model.fitting.width)
        self.estimate([np.full(size, 127, np.uint8)] * batch)


def open_onnx(
    model: ModelFolder, device: Device = "auto", threads: int = 0
) -> OnnxRuntime:
    """Load the network and check it against its description; ModelError when unfit.

    `threads` compute on the processor, 0: as many as it has cores. They sleep while they
    wait: spinning would cost half a core for nothing.
    """
    import onnxruntime as ort

    if device == "cuda" and not cuda_driver():
        raise ModelError(
            "the network was to run on CUDA, but this computer has no NVIDIA driver"
        )
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    for pool in ("intra", "inter"):
        options.add_session_config_entry(f"session.{pool}_op.allow_spinning", "0")
    wanted = ["CPUExecutionProvider"]
    if device == "cuda" or (device == "auto" and cuda_driver()):
        ort.set_default_logger_severity(4)
        if hasattr(ort, "preload_dlls"):
            ort.preload_dlls()
        wanted.insert(0, "CUDAExecutionProvider")
    try:
        session = ort.InferenceSession(
            str(model.network), sess_options=options, providers=wanted
        )
    except Exception as error:  # ONNX Runtime's exceptions have no common ancestor
        reason = str(error).splitlines()[0]
        raise ModelError(f"{model.network} can't be loaded: {reason}") from error
    provider = str(session.get_providers()[0])
    if device == "cuda" and provider != "CUDAExecutionProvider":
        raise ModelError(
            "the network was to run on CUDA, and there is a driver, but ONNX Runtime "
            f"could only offer {provider}: its CUDA libraries are missing or do not fit"
        )
    _check(model, session)
    runtime = OnnxRuntime(model, session, provider)
    runtime.warm_up()
    return runtime


def cuda_driver() -> bool:
    """Return whether an NVIDIA driver that finds a card can be loaded."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return False
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return False
    return count.value > 0


def _check(model: ModelFolder, session: "InferenceSession") -> None:
    fitting, stride = model.fitting, model.heatmaps.stride
    inputs = [(i.name, i.type, list(i.shape)[1:]) for i in session.get_inputs()]
    expected = [("images", "tensor(uint8)", [fitting.height, fitting.width, 3])]
    if inputs != expected:
        raise ModelError(
            f"{model.network} does not take the pictures that model.json describes: "
            f"{inputs} instead of {expected}"
        )
    size = [fitting.height // stride, fitting.width // stride]
    maps = [len(model.skeleton.bodyparts), *size]
    given = list(session.get_outputs()[0].shape)[1:]
    if given != maps:
        raise ModelError(
            f"{model.network} does not give the heat maps that model.json describes: "
            f"{given} instead of {maps}"
        )
