"""The same network in several threads: all of it is done, in order, by as many."""

from collections.abc import Sequence
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace

import numpy as np
import pytest

from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Pose
from deeplabstream.offline.frame_windows import batch_for
from deeplabstream.offline.parallel import MOST, Parallel, at_once, open_parallel
from deeplabstream.offline.prefetch import in_order
from deeplabstream.offline.video_inference import estimate_batches, predict
from deeplabstream.pose.ensemble import NetworkEnsemble
from deeplabstream.pose.estimator import EstimatorWrapper, PoseEstimator
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.model.model_opening import MODELS
from deeplabstream.pose.runtimes import onnx_runtime
from tests.offline.films import DotFinder, dot_at, write_film


class Together(DotFinder):
    """Goes on only when another copy is at work at the same time."""

    meet = Barrier(2, timeout=60)

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        if images[0].std():  # the grey one is asked of one copy, to count animals
            self.meet.wait()
        return super().estimate(images, cameras)


def test_two_copies_work_at_once_and_rows_stay_in_order(tmp_path: Path) -> None:
    film = write_film(tmp_path / "film.mp4", frames=16)
    copies = [Together(), Together()]
    found = predict(film, Parallel(copies), "dots")
    expected = [dot_at(row) for row in range(16)]
    np.testing.assert_allclose(found.table.points[:, 0, 0], expected, atol=0.6)
    assert sum(copy.estimated for copy in copies) == 16 + 1
    assert min(copy.estimated for copy in copies) >= 8


def test_pieces_come_in_order_and_what_fails_comes_in_its_place() -> None:
    def make(number: int) -> int:
        if number == 7:
            raise ValueError("the eighth")
        return number * number

    with in_order(make, range(7), 3) as given:
        assert list(given) == [number * number for number in range(7)]
    with in_order(make, range(100), 3) as given:
        got = []
        with pytest.raises(ValueError, match="the eighth"):
            got += [next(given) for _ in range(9)]
        assert [next(given, None)] == [None]
    with in_order(make, iter(int, 1), 2) as endless:
        assert next(endless) == 0


def test_cores_are_shared_out_among_copies() -> None:
    opened: list[int] = []

    def open_one(threads: int) -> DotFinder:
        opened.append(threads)
        return DotFinder()

    assert at_once(open_parallel(open_one, 3)) == 3
    assert opened == [1, 1, 1]
    assert at_once(open_parallel(open_one, 4 * MOST)) == MOST
    assert opened[3:] == [4] * MOST
    opened.clear()
    assert at_once(open_parallel(open_one, 1)) == 1
    assert at_once(open_parallel(open_one, 6, lambda one: True)) == 1
    assert opened == [1, 1, 6]


class Wrapped(EstimatorWrapper):
    """As live crop: it passes on what the network says."""

    def __init__(self, estimator: PoseEstimator) -> None:
        self.estimator = estimator

    def estimate(
        self, images: Sequence[Image], cameras: Sequence[str] = ()
    ) -> list[Pose]:
        return self.estimator.estimate(images, cameras)


@pytest.mark.parametrize(
    "provider",
    ["CUDAExecutionProvider", "torch NVIDIA GeForce RTX 4070 float16", "Dml"],
)
def test_a_gpu_gets_batches_from_one_thread(provider: str) -> None:
    """The network itself says where it computes; its provider's name does not matter."""
    gpu = open_parallel(lambda _: Wrapped(DotFinder(provider=provider, on_gpu=True)), 8)
    assert at_once(gpu) == 1
    assert batch_for(gpu) == 8
    both = NetworkEnsemble([DotFinder(), DotFinder(on_gpu=True)], Path())
    assert batch_for(both) == 8
    assert batch_for(DotFinder(provider="an NVIDIA GPU")) == 1
    assert list(estimate_batches([], gpu)) == []


@pytest.mark.parametrize(
    ("provider", "on_gpu"),
    [
        ("CPUExecutionProvider", False),
        ("CUDAExecutionProvider", True),
        ("TensorrtExecutionProvider", True),
        ("DmlExecutionProvider", True),
    ],
)
def test_onnx_runtime_says_where_it_computes(
    monkeypatch: pytest.MonkeyPatch, provider: str, on_gpu: bool
) -> None:
    output = SimpleNamespace(name="maps")
    session = SimpleNamespace(
        get_providers=lambda: [provider, "CPUExecutionProvider"],
        get_outputs=lambda: [output],
    )
    monkeypatch.setattr(onnx_runtime, "_create_session", lambda *_, **__: session)
    network = onnx_runtime.OnnxNetwork(load_model_folder(MODELS / "arena"), "auto", 1)
    assert network.on_gpu is on_gpu
