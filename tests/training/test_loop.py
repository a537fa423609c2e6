"""What the training loop promises: seeds, resuming, freezing, unlabelled video, DDP."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import cv2
import lightning.pytorch as lightning
import numpy as np
import pytest
import torch
from lightning.fabric.plugins.environments import lightning as lightning_port
from lightning.pytorch.callbacks import Callback

from deeplabstream.core.errors import ModelError
from deeplabstream.core.pose import Skeleton
from deeplabstream.pose.image_fitting import Fitting, whole
from deeplabstream.training.callbacks import StepProgress
from deeplabstream.training.data.augmentation import Augmentation
from deeplabstream.training.data.batches import Batches, clip_geometry
from deeplabstream.training.data.clips import draw_clip, open_clip_videos, read_clip
from deeplabstream.training.data.dataset import Dataset, load_dataset, neighbour
from deeplabstream.training.data.imgaug_sections import read_sections
from deeplabstream.training.data.labels import read_labels
from deeplabstream.training.fit import (
    CHECKPOINTS,
    LAST,
    LOGS,
    Unlabelled,
    _Best,
    _trainer,
    fit,
    open_device,
)
from deeplabstream.training.fit_settings import FitSettings, LearningRateSchedule
from deeplabstream.training.losses.unsupervised import Anneal, TemporalLoss
from deeplabstream.training.networks.pose_network import Architecture, PoseNetwork

SETTINGS = FitSettings(
    steps=8,
    batch=4,
    network=Architecture("unet", channels=8),
    imagenet=False,
    check_epochs=1,
    augmentation=Augmentation(light=0),
)


@pytest.fixture(scope="module")
def data(labelled: Path) -> Dataset:
    return load_dataset(read_labels(labelled), Fitting(48, 64))


def ignore(progress: StepProgress) -> None:
    del progress


def same(one: PoseNetwork, other: PoseNetwork) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_killed_run_goes_on_to_the_same_weights(
    data: Dataset, tmp_path: Path
) -> None:
    whole = fit(data, SETTINGS, ignore, data)

    def killed(progress: StepProgress) -> None:
        if progress.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(data, SETTINGS, killed, data, folder=tmp_path)
    assert (tmp_path / CHECKPOINTS / LAST).is_file()
    steps: list[int] = []
    rest = fit(
        data, SETTINGS, lambda progress: steps.append(progress.step), data,
        folder=tmp_path, resume=True,
    )  # fmt: skip
    assert steps == [5, 6, 7, 8]
    assert same(whole, rest)
    assert list((tmp_path / LOGS).rglob("events.out.tfevents*"))


def test_each_picture_is_seen_once_before_any_comes_again(data: Dataset) -> None:
    batches = Batches(data, replace(SETTINGS, batch=3))
    seen = np.concatenate([batches.places(step) for step in range(8)])
    for turn in seen.reshape(3, 8):
        assert sorted(turn.tolist()) == list(range(8))
    halves = [Batches(data, SETTINGS, rank=rank, world=2).make(5) for rank in (0, 1)]
    both = np.concatenate([half.points.numpy() for half in halves])
    assert len(both) == 4


@pytest.mark.parametrize("missing", ["absent", "unknown"])
def test_a_mirror_exchanges_which_points_are_known(
    missing: Literal["absent", "unknown"],
) -> None:
    """Only the right ear is labelled; in a mirror image it is the left one."""
    skeleton, fitting = Skeleton(("nose", "ear_left", "ear_right")), Fitting(48, 64)
    points = np.array([[[30, 30], [np.nan, np.nan], [20, 20]]] * 8, np.float32)
    known = np.array([[True, missing == "unknown", True]] * 8)
    data = Dataset(
        skeleton, fitting, np.zeros((8, 48, 64, 3), np.uint8), points, known,
        (whole((48, 64), fitting),) * 8, ("clip",) * 8,
    )  # fmt: skip
    still = Augmentation(rotation_deg=0, scale=(1, 1), shift=0, light=0)
    settings = replace(SETTINGS, batch=8, augmentation=still, missing=missing)
    batch = Batches(data, settings).make(0)
    labelled = torch.isfinite(batch.points).all(dim=2)
    assert set(map(tuple, labelled.tolist())) == {
        (True, False, True),
        (True, True, False),
    }
    assert torch.equal(batch.weight > 0, labelled)
    assert torch.equal(batch.targets.amax(dim=(2, 3)) > 0, labelled)


@pytest.mark.parametrize(
    "how",
    [
        Augmentation(light=0.5),
        Augmentation(sections=read_sections({"Flipud": {"p": 1}})),
        Augmentation(moved=1.0, empty=0.0),
    ],
    ids=["mirror", "sections", "moved"],
)
def test_all_frames_of_a_context_network_are_changed_as_a_single_one(
    data: Dataset, how: Augmentation
) -> None:
    data = replace(data, clips=("clip",) * 8)
    settings = replace(SETTINGS, batch=8, augmentation=how)
    batches = Batches(data, settings)
    single = batches.make(0)
    given = torch.from_numpy(data.points[batches.places(0)])
    assert not torch.isclose(single.points, given, atol=0.5).all(dim=2).all()
    frames = replace(data, context=np.repeat(data.images[:, None], 5, axis=1))
    batch = Batches(frames, settings).make(0)
    for frame in range(5):
        assert torch.equal(batch.images[:, frame], single.images)
    assert torch.equal(batch.points, single.points)


def test_a_frozen_backbone_does_not_change_until_it_is_let_go(data: Dataset) -> None:
    start = fit(data, replace(SETTINGS, steps=1, learning_rate=1e-12), ignore)
    hold = replace(SETTINGS, schedule=LearningRateSchedule(unfreeze_at=100))
    held = fit(data, hold, ignore)
    weights = [
        (a.data, b.data) for a, b in zip(start.backbone(), held.backbone(), strict=True)
    ]
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in weights)
    freed = fit(
        data, replace(SETTINGS, schedule=LearningRateSchedule(unfreeze_at=2)), ignore
    )
    assert not same(held, freed)
    assert not freed.frozen


def test_schedules_rise_fall_and_thaw() -> None:
    cycle = LearningRateSchedule()
    rates = [cycle.head_factor(step, 100) for step in range(100)]
    assert max(rates) == pytest.approx(1.0)
    assert rates[0] < 0.1
    assert rates[-1] < 0.01
    steps = LearningRateSchedule("multistep", (10, 20), 0.5)
    assert [steps.head_factor(s, 30) for s in (0, 10, 25)] == [1, 0.5, 0.25]
    thaw = LearningRateSchedule("multistep", unfreeze_at=4, backbone=0.1, thaw=1.5)
    own = [thaw.backbone_factor(step, 100, 2) for step in (0, 3, 4, 6, 40)]
    assert own == pytest.approx([0, 0, 0.1, 0.15, 1.0])


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty frames, each as bright as its number says."""
    file = tmp_path_factory.mktemp("videos") / "steps.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 30, (128, 96))
    for index in range(40):
        writer.write(np.full((96, 128, 3), 5 * index, np.uint8))
    writer.release()
    return file


def test_clips_are_consecutive_frames_of_a_video(video: Path) -> None:
    (found,) = open_clip_videos([video], 6)
    assert (found.frames, found.shape) == (40, (96, 128))
    levels = np.stack(read_clip(found, 17, 6)).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(levels, 5 * np.arange(17, 23), atol=2)
    how = Augmentation(light=0)
    drawn = [
        draw_clip([found], 6, Fitting(48, 64), how, np.random.default_rng(3))
        for _ in range(2)
    ]
    np.testing.assert_array_equal(drawn[0].images, drawn[1].images)
    assert clip_geometry(drawn[0].window) == ((0.5, 0.5), (0, 0))
    with pytest.raises(ModelError, match="no video has 41 frames; there is steps"):
        open_clip_videos([video], 41)
    cut = video.parent / "cut.avi"  # the header still promises 40
    cut.write_bytes(video.read_bytes()[: video.stat().st_size * 6 // 10])
    (short,) = open_clip_videos([cut], 6)
    assert 15 < short.frames < 30
    assert len(read_clip(short, short.frames - 6, 6)) == 6
    (video.parent / "none.avi").write_bytes(b"none")
    with pytest.raises(ModelError, match=r"none.avi is not a video that can be read"):
        open_clip_videos([video.parent / "none.avi"], 4)


def test_unlabelled_video_teaches_too(data: Dataset, video: Path) -> None:
    short = replace(SETTINGS, steps=3)
    settings = replace(short, clip_length=6, anneal=Anneal(1.0, frozen_until=0))
    losses = {"temporal": TemporalLoss(log_weight=-3, epsilon=0, prob_threshold=0)}
    more = Unlabelled(open_clip_videos([video], 6), losses)
    taught = fit(data, settings, ignore, unlabelled=more)
    assert not same(taught, fit(data, short, ignore))
    assert same(taught, fit(data, settings, ignore, unlabelled=more))


def test_the_best_weights_are_kept_if_asked(data: Dataset) -> None:
    wild = replace(SETTINGS, learning_rate=0.5, keep="best")
    best, last = (
        fit(data, wild, ignore, data),
        fit(data, replace(wild, keep="last"), ignore, data),
    )
    assert not same(best, last)


def test_the_weights_of_the_best_validation_are_in_the_network_at_the_end() -> None:
    """Also in a process of several: only the network's weights leave it."""
    network = torch.nn.Linear(1, 1)
    module = SimpleNamespace(network=network)
    best = _Best()
    for weight, loss in ((1.0, 0.5), (2.0, 0.3), (3.0, 0.4)):
        torch.nn.init.constant_(network.weight, weight)
        trainer = SimpleNamespace(callback_metrics={"val_supervised_loss": loss})
        best.on_validation_end(trainer, module)  # type: ignore[arg-type]
    best.on_fit_end(trainer, module)  # type: ignore[arg-type]
    assert float(network.weight.detach()) == 2.0


class Gpus:
    """Stands for torch.cuda with two GPUs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, brain: bool) -> None:
        self.made: dict[str, Any] = {}
        self.asked: list[torch.device] = []

        @contextmanager
        def device(which: torch.device) -> Iterator[None]:
            self.asked.append(which)
            yield

        def supported(including_emulation: bool) -> bool:
            assert not including_emulation
            return brain

        cuda, empty = torch.cuda, torch.empty
        monkeypatch.setattr(cuda, "device_count", lambda: 2)
        monkeypatch.setattr(cuda, "device", device)
        monkeypatch.setattr(cuda, "is_bf16_supported", supported)
        monkeypatch.setattr(torch, "empty", lambda *size, **_: empty(*size))
        monkeypatch.setattr(lightning, "Trainer", lambda **made: self.made.update(made))


@pytest.mark.parametrize(
    ("name", "devices", "numbers"),
    [("cuda", 1, [0]), ("cuda:1", 1, [1]), ("cuda", 2, [0, 1]), ("cuda:0", 2, [0, 1])],
)
def test_training_uses_the_gpus_that_are_named(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    devices: int,
    numbers: list[int],
) -> None:
    gpus = Gpus(monkeypatch, brain=True)
    settings = replace(SETTINGS, device=name, devices=devices)
    device = open_device(name, devices)
    _trainer(settings, Callback(), None, device, False, tmp_path)
    made = gpus.made
    assert (made["accelerator"], made["devices"]) == ("gpu", numbers)
    assert (made["benchmark"], made["deterministic"]) == (True, False)
    assert made["precision"] == "bf16-mixed"
    assert gpus.asked == [device]


def test_precision_and_the_number_of_gpus_follow_the_computer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gpus = Gpus(monkeypatch, brain=False)
    one = replace(SETTINGS, device="cuda:1")
    for settings, precision in (
        (one, "16-mixed"),
        (replace(one, precision="full"), "32-true"),
    ):
        _trainer(settings, Callback(), None, open_device("cuda:1"), False, tmp_path)
        assert gpus.made["precision"] == precision
    with pytest.raises(ModelError, match=r"2 GPUs are to train .* from GPU 1 on"):
        open_device("cuda:1", 2)


def test_training_stops_when_nothing_improves(data: Dataset) -> None:
    steps: list[int] = []
    still = replace(SETTINGS, steps=40, learning_rate=1e-12, patience=1)
    fit(data, still, lambda progress: steps.append(progress.step), data)
    assert 4 <= len(steps) < 20
    least = len(steps) + 3
    steps.clear()
    fit(data, replace(still, least_steps=least), lambda e: steps.append(e.step), data)
    assert least <= len(steps) < 20


@pytest.mark.parametrize("kind", ["regression", "context"])
def test_other_kinds_learn(labelled: Path, kind: str) -> None:
    data = load_dataset(read_labels(labelled), Fitting(48, 64), context=True)
    losses: list[float] = []
    how = replace(SETTINGS.network, kind=kind)
    settings = replace(SETTINGS, network=how, learning_rate=2e-3)
    if kind == "regression":
        data = replace(data, context=None)
    fit(data, settings, lambda progress: losses.append(progress.loss), data)
    assert losses[-1] < losses[0]


def test_neighbours_of_a_picture_have_its_last_number(labelled: Path) -> None:
    assert neighbour(Path("a7/07me-img0.png"), -2).name == "07me-img0.png"
    assert neighbour(Path("07me.png"), 3).name == "10me.png"
    data = load_dataset(read_labels(labelled), Fitting(48, 64), context=True)
    assert data.context is not None
    np.testing.assert_array_equal(data.context[:, 2], data.images)
    np.testing.assert_array_equal(data.context[1, 1], data.images[0])
    np.testing.assert_array_equal(data.context[0, 0], data.images[0])


WILD = LearningRateSchedule("multistep", (2,), gamma=250)
"""After the first validation, steps so large that the network is worse at the next one."""


def test_two_processes_learn_together_and_ship_the_best_weights(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever port Lightning takes for free: another program may listen there by then.

    Only the weights of the first process's network come back from it.
    """
    wild = replace(SETTINGS, steps=4, keep="best", schedule=WILD)
    alone = fit(data, replace(wild, steps=2), ignore).state_dict()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        monkeypatch.setattr(lightning_port, "find_free_network_port", lambda: taken)
        two = replace(wild, devices=2)
        shipped = fit(data, two, ignore, data, folder=tmp_path).state_dict()
    assert "MASTER_PORT" not in os.environ, "the next training would listen there"
    for name, weights in alone.items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(weights, shipped[name], atol=2e-2, rtol=0.2)

    saved = torch.load(tmp_path / CHECKPOINTS / LAST, "cpu", weights_only=True)
    best = saved["callbacks"]["_Best"]["weights"]
    last = {key.removeprefix("network."): it for key, it in saved["state_dict"].items()}
    assert all(torch.equal(shipped[name], best[name]) for name in best)
    assert not all(torch.equal(best[name], last[name]) for name in best)
