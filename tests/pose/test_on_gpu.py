"""What an NVIDIA GPU computes: networks, videos and a training; without one all is skipped."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from deeplabstream.core.errors import DeviceError, ModelError
from deeplabstream.core.frame import ImageFormat
from deeplabstream.offline.video_inference import predict
from deeplabstream.pose.estimator import runs_on_gpu
from deeplabstream.pose.model.model_folder import ModelFolder, load_model_folder
from deeplabstream.pose.model.model_opening import MODELS, open_estimator
from deeplabstream.pose.network_estimator import Network
from deeplabstream.pose.runtimes.gpu_use import gpu_remarks
from deeplabstream.pose.runtimes.onnx_runtime import nvidia_gpu_name
from deeplabstream.pose.runtimes.runtime_comparison import compare, images_of, outputs
from deeplabstream.pose.runtimes.runtime_list import Runtime, load_network
from deeplabstream.recording.video_writer import VideoWriter
from deeplabstream.simulation.arena import Arena
from deeplabstream.video.recording_options import RecordingOptions
from deeplabstream.video.video_reader import open_video
from tests.offline.films import write_film
from utils import TrainNetwork

TOLERANCE_PX: dict[Runtime, float] = {
    "cuda": 0.02,
    "tensorrt": 1.0,
}
"""Largest distance of 95 % of the points to those of full precision on the CPU."""
OPTIONAL = ("tensorrt",)
SHAPE = (240, 320, 3)
pytestmark = [
    pytest.mark.skipif(not nvidia_gpu_name(), reason="there is no NVIDIA GPU"),
    pytest.mark.timeout(900),  # TensorRT builds an engine for each network
]


@pytest.fixture(scope="module", params=["arena", "openfield"])
def model(request: pytest.FixtureRequest) -> ModelFolder:
    return load_model_folder(MODELS / str(request.param))


def on_gpu(model: ModelFolder, runtime: Runtime) -> Network:
    """Return the network in a runtime of the GPU; skip what is not installed."""
    try:
        network = load_network(model, runtime)
    except ModelError as error:
        if runtime in OPTIONAL:
            pytest.skip(str(error))
        raise
    assert network.on_gpu, network.provider
    return network


@pytest.mark.parametrize("runtime", TOLERANCE_PX)
def test_poses_are_those_of_the_cpu(model: ModelFolder, runtime: Runtime) -> None:
    images, own = images_of(model)
    if not own and TOLERANCE_PX[runtime] > 0.1:
        pytest.skip("there are no images of its own to compare half precision on")
    reference = outputs(load_network(model, "cpu"), images[:8])
    found = compare(model, reference, outputs(on_gpu(model, runtime), images[:8]))
    assert found.points
    assert found.within(TOLERANCE_PX[runtime], own), found


@pytest.mark.parametrize("runtime", TOLERANCE_PX)
def test_a_batch_gives_the_poses_of_its_images(
    model: ModelFolder, runtime: Runtime
) -> None:
    network, images = on_gpu(model, runtime), images_of(model)[0][:8]
    one_by_one = outputs(network, images)
    for count in (8, 3, 8):
        batch = network.run(np.ascontiguousarray(images[:count])).copy()
        found = compare(model, one_by_one[:count], batch)
        assert found.p95_px <= TOLERANCE_PX[runtime], (count, found)


def test_auto_uses_the_gpu_or_says_why(model: ModelFolder) -> None:
    estimator = open_estimator(model.path, "auto")
    told = [each for each in gpu_remarks() if model.path.name in each]
    assert runs_on_gpu(estimator) is not bool(told)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    arena = Arena(SHAPE, 3, shelter=False)

    def draw(row: int) -> np.ndarray:
        image = np.empty(SHAPE, np.uint8)
        arena.draw(image, row / 30, row)
        return image

    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", draw, 60, rate=30)


def test_a_video_is_predicted_as_on_the_cpu(film: Path) -> None:
    on_cpu, on_gpu = (
        predict(film, open_estimator("arena", runtime), "arena").table
        for runtime in ("cpu", "cuda")
    )
    seen = np.minimum(on_cpu.confidence, on_gpu.confidence) >= 0.5
    assert seen.mean() > 0.5
    assert np.abs(on_cpu.points - on_gpu.points)[seen].max() < 0.5


def test_the_gpu_decodes_what_the_cpu_decodes(film: Path) -> None:
    reader = open_video(film)
    try:
        decoded = [image.image for image in reader.images(decoder="cuda")]
    except DeviceError as error:
        pytest.skip(str(error))  # FFmpeg of this PyAV, or the GPU, has no decoder
    expected = [image.image for image in reader.images()]
    assert len(decoded) == len(expected) == 60
    for ours, theirs in zip(decoded, expected, strict=True):
        assert ours is not None
        assert theirs is not None
        assert np.abs(ours.astype(float) - theirs).mean() < 2


def test_the_gpu_encodes_a_recording(tmp_path: Path) -> None:
    form = ImageFormat(SHAPE, 30)
    image = np.full(SHAPE, 90, np.uint8)
    cv2.circle(image, (100, 120), 30, (20, 200, 60), -1)
    try:
        with VideoWriter(
            tmp_path / "top.mkv", form, RecordingOptions("h264_nvenc")
        ) as video:
            for number in range(30):
                video.write(image, number, number * 33_000_000, number * 33_000_000)
    except DeviceError as error:
        pytest.skip(str(error))  # a GPU of a data centre may have no encoder
    decoded = [each.image for each in open_video(tmp_path / "top.mkv").images()]
    assert len(decoded) == 30
    assert decoded[9] is not None
    assert np.abs(decoded[9].astype(float) - image).mean() < 6


def test_a_training_on_the_gpu_gives_a_network(tmp_path: Path) -> None:
    if torch.version.cuda is None:
        pytest.skip("this torch is built for the CPU alone")
    rows = ["scorer,me,me,me,me", "bodyparts,a,a,b,b", "coords,x,y,x,y"]
    for n in range(12):
        image = np.full((64, 64, 3), 40, np.uint8)
        cv2.circle(image, (15 + 2 * n, 20), 4, (250, 250, 250), -1)
        cv2.imwrite(str(tmp_path / f"{n}.png"), image)
        rows.append(f"{n}.png,{15 + 2 * n},20,{15 + 2 * n},40")
    (tmp_path / "CollectedData.csv").write_text("\n".join(rows), encoding="utf-8")
    words = ["--data", str(tmp_path), "--output", str(tmp_path / "model"), "--quiet"]
    words += ["--size", "64x64", "--steps", "20", "--batch", "4", "--device", "cuda"]
    assert TrainNetwork.main(words) == 0
    pose = open_estimator(tmp_path / "model", "cpu").estimate(
        [np.full((64, 64, 3), 40, np.uint8)]
    )[0]
    assert pose.points.shape == (1, 2, 2)
