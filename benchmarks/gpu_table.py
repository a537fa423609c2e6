"""Figures of an NVIDIA GPU for docs/models_measurements.md: ResNet-50 256×256, live and offline.

Live: a frame of 640×480 in the computer's memory to points, host to host, beside the forward
pass alone: the same network with its input and output in the GPU's memory. Offline: frames/s
of a whole video, beside the slower of decoding and forward pass. The weights are random. The
rows of this GPU in the table are replaced, those of other GPUs stay. `make test-gpu` runs it
after the GPU tests.

    python benchmarks/gpu_table.py               measure, fill the table (some minutes)
    python benchmarks/gpu_table.py --probe       say whether there is an NVIDIA GPU
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from benchmarks.inference import ON_GPU, measure, random_network
from benchmarks.offline import film, predicting
from deeplabstream.core.errors import ModelError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.pose.model.model_folder import ModelFolder
from deeplabstream.pose.network_estimator import Network
from deeplabstream.pose.runtimes.compute_packages import package
from deeplabstream.pose.runtimes.onnx_runtime import (
    ONNX_RUNTIME,
    OnnxNetwork,
    nvidia_gpu_name,
)
from deeplabstream.pose.runtimes.runtime_comparison import images_of, outputs
from deeplabstream.pose.runtimes.runtime_list import check_runtime, load_network

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs" / "models_measurements.md"
BEGIN, END = "<!-- GPU table: benchmarks/gpu_table.py -->", "<!-- end of GPU table -->"
SIZE = 256
VIDEO = 640, 480
AIM_MS, AIM_OF_FORWARD, AIM_OFFLINE = 2.0, 1.2, 0.9
NO_GPU = (
    "This computer has no NVIDIA GPU with a working driver, so GPU tests and figures are "
    "left out; `deeplabstream doctor` names what is missing."
)
HEAD = (
    "| GPU | runtime | p50, ms | p99, ms | forward alone, ms | p50 / forward "
    "| decoding alone, frames/s | forward alone, frames/s | predict, frames/s "
    "| share of the slower | targets | measured |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Figures:
    """What was measured of one runtime on one GPU; times in ms, rates in frames/s."""

    gpu: str
    runtime: str
    p50_ms: float
    p99_ms: float
    forward_ms: float
    decoding_fps: float
    forward_fps: float
    predict_fps: float
    measured: str
    """Date, and versions of the libraries."""

    @property
    def of_forward(self) -> float:
        """How often the forward pass alone fits into a frame's time."""
        return self.p50_ms / self.forward_ms

    @property
    def share(self) -> float:
        """Share of the slower of decoding and forward pass that prediction reaches."""
        return self.predict_fps / min(self.decoding_fps, self.forward_fps)

    def missed(self) -> list[str]:
        """Return the targets that were missed, in words; empty: all are met."""
        targets = {
            f"{AIM_MS:g} ms": self.p50_ms <= AIM_MS,
            f"{AIM_OF_FORWARD:g} × forward": self.of_forward <= AIM_OF_FORWARD,
            f"{AIM_OFFLINE:.0%} offline": self.share >= AIM_OFFLINE,
        }
        return [name for name, met in targets.items() if not met]

    def row(self) -> str:
        """Return the row of the table."""
        missed = self.missed()
        cells = [
            self.gpu.replace("|", "/"),
            f"`{self.runtime}`",
            f"{self.p50_ms:.2f}",
            f"{self.p99_ms:.2f}",
            f"{self.forward_ms:.2f}",
            f"{self.of_forward:.2f}",
            f"{self.decoding_fps:.0f}",
            f"{self.forward_fps:.0f}",
            f"{self.predict_fps:.0f}",
            f"{self.share:.0%}",
            f"missed: {', '.join(missed)}" if missed else "met",
            self.measured,
        ]
        return f"| {' | '.join(cells)} |"


def filled(text: str, figures: Sequence[Figures]) -> str:
    """Return a document with these figures in its table, in place of the same GPU's rows.

    Raises
    ------
    ValueError
        The document does not have both markers once.
    """
    before, begin, rest = text.partition(BEGIN)
    table, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise ValueError(f"expected {BEGIN} … {END} once")
    new = [each.row() for each in figures]
    measured = {row.split(" | ")[0] for row in new}
    kept = [
        line
        for line in table.splitlines()
        if line.startswith("| ") and line.split(" | ")[0] not in {*measured, "| GPU"}
    ]
    return f"{before}{BEGIN}\n\n" + "\n".join([HEAD, *kept, *new]) + f"\n\n{END}{after}"


def forward_ms(
    network: Network, pictures: NDArray[np.uint8], seconds: float
) -> NDArray[np.float64]:
    """Return the times of the forward pass with input and output on the device.

    Parameters
    ----------
    network : Network
        On the CPU, nothing is copied either.
    pictures : numpy.ndarray of uint8, shape (n, height, width, 3)
        Input of each pass.
    seconds : float
        How long to measure.

    Returns
    -------
    numpy.ndarray of float, shape (pass,)
        Milliseconds.
    """
    if isinstance(network, OnnxNetwork):
        call = _onnx_forward(network, pictures)
    else:
        call = lambda: network.run(pictures)  # noqa: E731
    call()
    taken, end_s = [], time.perf_counter() + seconds
    while len(taken) < 3 or time.perf_counter() < end_s:
        began_s = time.perf_counter()
        call()
        taken.append(1e3 * (time.perf_counter() - began_s))
    return np.array(taken)


def _onnx_forward(
    network: OnnxNetwork, pictures: NDArray[np.uint8]
) -> Callable[[], object]:
    ort = package("onnxruntime", ONNX_RUNTIME)
    device = "cuda" if network.on_gpu else "cpu"
    session, binding = network.session, network.session.io_binding()
    there = ort.OrtValue.ortvalue_from_numpy(pictures, device, 0)
    binding.bind_ortvalue_input("images", there)
    binding.bind_output(session.get_outputs()[0].name, device)

    def call() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return call


def measured(
    model: ModelFolder, video: Path, runtime: str, seconds: float, gpu: str
) -> Figures:
    """Return the figures of a network in a runtime; ModelError: it does not run."""
    network = load_network(model, check_runtime(runtime))
    pictures = images_of(model)[0]
    forward = forward_ms(network, np.ascontiguousarray(pictures[:1]), seconds)
    row = measure(model, outputs(network, pictures[:1]), runtime, 0, seconds)
    del network
    found = predicting(video, str(model.path), 2, 0, runtime, "auto")
    return Figures(
        gpu,
        runtime,
        row["p50_ms"],
        row["p99_ms"],
        float(np.median(forward)),
        found["decoder alone"],
        found["network alone"],
        found["predict"],
        f"{datetime.now().astimezone().date()}, {_versions()}",
    )


def _versions() -> str:
    ort = package("onnxruntime", ONNX_RUNTIME)
    return f"ONNX Runtime {ort.__version__}"


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0 when all targets are met, 1 when not, 2 without a GPU or a result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--probe", action="store_true", help="measure nothing")
    add("--docs", type=Path, default=DOCS, metavar="FILE", help="has the table")
    add("--json", type=Path, metavar="FILE", help="write the figures there too")
    add("--seconds", type=float, default=5.0, help="of each measurement (5)")
    add("--frames", type=int, default=2000, help="of the video (2000)")
    options = parser.parse_args(argv)
    gpu = nvidia_gpu_name()
    if not gpu:
        print(NO_GPU)
        return 2
    if options.probe:
        print(gpu)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = random_network("resnet50", SIZE, SIZE, folder / "resnet50")
        video = film(folder, options.frames, (VIDEO[1], VIDEO[0]))
        figures = []
        for runtime in ON_GPU:
            try:
                figures.append(measured(model, video, runtime, options.seconds, gpu))
            except ModelError as error:
                print(f"{runtime}: {error}")
                continue
            print(figures[-1].row(), flush=True)
    if not figures:
        print("No runtime uses the GPU; `deeplabstream doctor` names the reason")
        return 2
    with atomic_file(options.docs) as draft:
        text = filled(options.docs.read_text("utf-8"), figures)
        draft.write_text(text, "utf-8", newline="\n")
    print(f"{options.docs}: {len(figures)} rows of {gpu}")
    if options.json:
        facts = [asdict(each) for each in figures]
        options.json.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    return int(any(each.missed() for each in figures))


if __name__ == "__main__":
    sys.exit(main())
