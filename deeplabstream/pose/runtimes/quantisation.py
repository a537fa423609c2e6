"""Post-training quantization of a network to eight-bit integers, and its costs."""

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import ModelError
from deeplabstream.files.atomic_replace import replace
from deeplabstream.pose.model.model_folder import ModelFolder, network_hash
from deeplabstream.pose.runtimes.compute_packages import package
from deeplabstream.pose.runtimes.onnx_runtime import OnnxNetwork
from deeplabstream.pose.runtimes.quantised_network import (
    INT8,
    Quantised,
    save_quantised,
)
from deeplabstream.pose.runtimes.runtime_comparison import (
    MOST_OTHERWISE,
    Difference,
    compare,
    outputs,
)
from deeplabstream.pose.runtimes.runtime_list import REFERENCE, load_network
from deeplabstream.startup.progress import progress

METHODS = ("MinMax", "Percentile")
MIN_IMAGES = 8


@dataclass(frozen=True, slots=True)
class Trial:
    """A calibration method, and its result."""

    method: str
    difference: Difference


def quantise(
    model: ModelFolder, images: NDArray[np.uint8], tolerance_px: float
) -> list[Trial]:
    """Write the int8 network into the model folder; return every trial, the best first.

    Ranges are calibrated on every other image of `images` (n, height, width, 3);
    poses are compared on the rest. No method is best for all networks, so each is
    tried. ModelError when even the best exceeds `tolerance_px`: nothing is written
    then.
    """
    if len(images) < MIN_IMAGES:
        raise ModelError(
            f"{len(images)} images are too few to find ranges on and to compare on "
            f"others: {MIN_IMAGES} at least"
        )

    # Alternate images, so that both halves of a video are calibrated and compared.
    known, unseen = images[::2], images[1::2]
    reference = outputs(load_network(model, REFERENCE), unseen)
    found: list[tuple[Trial, Path]] = []
    try:
        for method in progress(METHODS, "quantising", len(METHODS), "methods"):
            file = model.path / f"{INT8}.{method}"
            # Listed before it is written, so that a draft of a failed trial is removed.
            found.append((Trial(method, Difference(0, 0, *[np.inf] * 5)), file))
            _quantise(model, known, method, file)
            network = OnnxNetwork(model, "cpu", 0, file)
            difference = compare(model, reference, outputs(network, unseen))
            found[-1] = (Trial(method, difference), file)

        found.sort(key=lambda measured: _cost(measured[0].difference))
        best, file = found[0]
        check_trial(best, tolerance_px)
        replace(file, model.path / INT8)
        far = best.difference
        save_quantised(
            model,
            Quantised(
                model.sha256,
                network_hash(model.path / INT8),
                best.method,
                len(unseen),
                far.median_px,
                far.p95_px,
                far.seen_otherwise,
            ),
        )
    finally:
        for _, draft in found:
            draft.unlink(missing_ok=True)
    return [trial for trial, _ in found]


def describe_trial(trial: Trial) -> str:
    """Return a trial as a sentence."""
    far = trial.difference
    return (
        f"{trial.method}: median {far.median_px:.3f} px, 95 % below {far.p95_px:.3f} px, "
        f"{far.seen_otherwise:.1%} with changed visibility"
    )


def check_trial(best: Trial, tolerance_px: float) -> None:
    """Raise ModelError with the reason why a trial exceeds the tolerance."""
    if best.difference.within(tolerance_px, own_images=True):
        return
    if not best.difference.points:
        raise ModelError(
            "the network finds no body part in these images, so nothing can be compared: "
            "use images or a video of the animal that it was trained on"
        )
    if not best.difference.p95_px <= tolerance_px:
        why, allowed = "its points move too far", f"{tolerance_px:g} px are allowed"
        helps = "more and more varied images may help"
    else:
        why = "too many points change between seen and not seen"
        allowed = f"{MOST_OTHERWISE:.0%}, or one point, is allowed"
        helps = (
            "more and more varied images may help, and a network that is surer of its "
            "points: longer training, another threshold in model.json"
        )
    raise ModelError(f"with 8 bits {why}: {describe_trial(best)}; {allowed}; {helps}")


def _cost(far: Difference) -> tuple[float, float]:
    return far.p95_px + 100 * far.seen_otherwise, far.median_px


def _quantise(
    model: ModelFolder, images: NDArray[np.uint8], method: str, file: Path
) -> None:
    quantization = package("onnxruntime.quantization", "quantising")

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        """Yields the images in parts, because all outputs of a network are large."""

        def __init__(self) -> None:
            self.left = _singly(images)

        def __len__(self) -> int:
            return len(images)

        def set_range(self, start_index: int, end_index: int) -> None:
            self.left = _singly(images[start_index:end_index])

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            return next(self.left, None)

    # calibrate with one image at a time
    extra: dict[str, Any] = {"CalibStridedMinMax": 1}
    if method == "Percentile":
        extra["CalibPercentile"] = 99.99
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        try:
            quantization.quantize_static(
                str(model.network),
                str(file),
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                # Weights of 7 bits: CPUs without VNNI add two products in 16 bits,
                # which overflow with larger weights and shift points by a pixel.
                reduce_range=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                calibrate_method=getattr(quantization.CalibrationMethod, method),
                nodes_to_exclude=_ends(model.network),
                extra_options=extra,
            )
        except AssertionError as error:
            raise ModelError(
                f"{model.network} can't be quantised to 8 bits: ONNX Runtime does not "
                f"take its graph ({error})"
            ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the messages of ONNX Runtime's quantisation."""
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def _singly(images: NDArray[np.uint8]) -> Iterator[dict[str, NDArray[np.uint8]]]:
    for one in images:
        yield {"images": np.ascontiguousarray(one[None])}


def _ends(network: Path) -> Sequence[str]:
    """Return the names of operations that are not quantised: those after the maps."""
    onnx = package("onnx", "quantising")
    graph = onnx.load(str(network)).graph
    return [node.name for node in graph.node if node.op_type in ("Sigmoid", "Softmax")]
