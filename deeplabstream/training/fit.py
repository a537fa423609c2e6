"""Fitting of a network to a dataset, with Lightning."""

import atexit
import logging
import math
import os
import signal
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
)
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from deeplabstream.core.errors import ModelError
from deeplabstream.files import atomic_replace
from deeplabstream.training.callbacks import (
    ChildSignalKeeper,
    ProgressCallback,
    StepHook,
    ValidationHook,
    ignore_validation,
)
from deeplabstream.training.data.animal_targets import training_decoder
from deeplabstream.training.data.batches import Batches, HeldOutBatches
from deeplabstream.training.data.camera_views import CameraLosses
from deeplabstream.training.data.clips import ClipVideo, Find, Read, read_clip
from deeplabstream.training.data.dataset import Dataset
from deeplabstream.training.fit_settings import FitSettings
from deeplabstream.training.lightning_module import PoseModule
from deeplabstream.training.losses.unsupervised import UnsupervisedLoss
from deeplabstream.training.networks.pose_network import (
    PoseNetwork,
    build_network,
    check_size,
)
from deeplabstream.training.start_network import open_start, take_over

LAST = "last.ckpt"
CHECKPOINTS = "checkpoints"
LOGS = "tb_logs"


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """Unlabelled videos and their losses."""

    videos: tuple[ClipVideo, ...]
    losses: Mapping[str, UnsupervisedLoss]
    find: Find | None = None
    """Position of the animal in a clip, for cropzoom networks."""
    read: Read = read_clip
    """Reader of clips."""


def fit(
    data: Dataset,
    settings: FitSettings,
    on_step: StepHook,
    held_out: Dataset | None = None,
    unlabelled: Unlabelled | None = None,
    folder: Path | None = None,
    resume: bool = False,
    cameras: CameraLosses | None = None,
    on_validation: ValidationHook = ignore_validation,
) -> PoseNetwork:
    """Return a network trained on `data`, in evaluation mode, on the CPU.

    The same settings and data on the same CPU with as many threads give the same network,
    bit for bit; on a GPU, to rounding: cuDNN chooses its fastest algorithms. With a
    `folder`, curves go to `tb_logs/` and checkpoints to `checkpoints/` in it. `resume`
    continues from the last checkpoint and ends with the same weights as without an
    interruption. `on_validation` gets the poses in the images of `held_out` after each
    validation.
    """
    device = open_device(settings.device, settings.devices)
    check_size(settings.network, data.fitting.height, data.fitting.width)

    # The seed comes before the network: its random weights are part of the run.
    torch.manual_seed(settings.seed)
    network = build_network(len(data.skeleton.bodyparts), settings.network)
    if settings.start_from is not None:
        take_over(network, data.skeleton, open_start(settings.start_from))
    elif settings.backbone_file is not None:
        network.body.load_file(settings.backbone_file)
    elif settings.imagenet:
        network.load_imagenet()
    # Convolutions are faster in this layout, on GPUs and with oneDNN on CPUs.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    steps = settings.epoch_steps(len(data))
    extra = unlabelled.losses if unlabelled else {}
    decoder = training_decoder(data, settings.network)
    module = PoseModule(network, decoder, settings, steps, extra, cameras)
    batches = _Rankless(
        data,
        settings,
        unlabelled.videos if unlabelled else (),
        find=unlabelled.find if unlabelled else None,
        read=unlabelled.read if unlabelled else read_clip,
    )
    held_out_batches = (
        HeldOutBatches(held_out, settings) if held_out is not None else None
    )

    last = folder / CHECKPOINTS / LAST if folder else None
    start = str(last) if resume and last is not None and last.is_file() else None
    with _quiet(), _meeting_file(settings.devices) as meeting:
        progress_callback = ProgressCallback(on_step, held_out, on_validation)
        trainer = _trainer(
            settings,
            progress_callback,
            folder,
            device,
            held_out_batches is not None,
            meeting,
        )
        with _interruptible(trainer):
            trainer.fit(
                module,
                batches,
                held_out_batches,
                ckpt_path=start,
                weights_only=True if start else None,
            )

    network.freeze(False)
    return network.cpu().eval()


@contextmanager
def _interruptible(trainer: lightning.Trainer) -> Iterator[None]:
    """Raise KeyboardInterrupt where Lightning would exit the program.

    Lightning does not remove its own handler of Ctrl-C: the former one is restored.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if not trainer.interrupted:
            raise
        raise KeyboardInterrupt from error
    finally:
        if in_main_thread:  # Python allows signal handlers only in the main thread
            signal.signal(signal.SIGINT, handler)


class _Rankless(Batches):
    """Batches; each process yields its own part."""

    def __iter__(self) -> Iterator[Any]:
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            self.rank = torch.distributed.get_rank()
            self.world = torch.distributed.get_world_size()
        return super().__iter__()


def _trainer(
    settings: FitSettings,
    progress_callback: Callback,
    folder: Path | None,
    device: torch.device,
    validates: bool,
    meeting: Path,
) -> lightning.Trainer:
    callbacks: list[Callback] = [progress_callback, ChildSignalKeeper()]
    logger = TensorBoardLogger(folder, name=LOGS) if folder else None
    if logger:
        callbacks.append(LearningRateMonitor())
    if folder:
        callbacks.append(_Saving(folder / CHECKPOINTS / LAST, settings.check_epochs))
    if validates and settings.keep == "best":
        callbacks.append(_Best())
    if validates and settings.patience:
        callbacks.append(
            EarlyStopping("val_supervised_loss", patience=settings.patience)
        )

    on_gpu = device.type == "cuda"
    return lightning.Trainer(
        accelerator="gpu" if on_gpu else device.type,
        devices=_gpu_numbers(settings, device) if on_gpu else settings.devices,
        strategy=_Processes(device, meeting) if settings.devices > 1 else "auto",
        precision=_precision(settings, device),
        min_steps=settings.least_steps or None,
        max_steps=settings.steps,
        gradient_clip_val=5.0,  # limits the effect of a wrong label on the weights
        check_val_every_n_epoch=settings.check_epochs,
        # sanity steps would report poses before the first training step
        num_sanity_val_steps=0,
        logger=logger or False,
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=settings.log_every,
        # On a GPU cuDNN chooses its fastest algorithms, which differ by rounding.
        deterministic=False if on_gpu else "warn",
        benchmark=on_gpu,
        use_distributed_sampler=False,  # `Batches` divides each batch itself
        default_root_dir=folder,
    )


def _gpu_numbers(settings: FitSettings, device: torch.device) -> list[int]:
    """Return the indices of the GPUs, starting with that of `device`."""
    first = device.index or 0
    return list(range(first, first + settings.devices))


def _precision(
    settings: FitSettings, device: torch.device
) -> Literal["32-true", "16-mixed", "bf16-mixed"]:
    """Return the precision; bfloat16 has the range of float32, so no loss overflows."""
    if settings.precision == "full":
        return "32-true"

    # GPUs without bfloat16 emulate it, which is slower than 16-bit floats.
    if device.type == "cuda":
        with torch.cuda.device(device):
            brain = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16-mixed" if brain else "16-mixed"
    fast = bool(torch.cpu.get_capabilities().get("amx_bf16", False))
    return "bf16-mixed" if fast or settings.precision == "mixed" else "32-true"


class _Processes(DDPStrategy):
    """Distributed training (DDP) by spawned processes of one computer, on any system.

    Their rendezvous is a file. Lightning uses a TCP port that was free some seconds before
    the first process listens there; another program may have taken it meanwhile.
    While the backbone is frozen its parameters are unused, which must be allowed.
    """

    def __init__(self, device: torch.device, meeting: Path) -> None:
        self._backend = "nccl" if device.type == "cuda" else "gloo"
        self._meeting = meeting
        super().__init__(
            start_method="spawn",
            process_group_backend=self._backend,
            find_unused_parameters=True,
        )

    def setup_distributed(self) -> None:
        """Join the other processes, so that Lightning does not do it."""
        self.set_world_ranks()
        store = torch.distributed.FileStore(  # type: ignore[attr-defined]
            str(self._meeting), self.world_size
        )
        torch.distributed.init_process_group(
            self._backend,
            store=store,
            rank=self.global_rank,
            world_size=self.world_size,
            device_id=self.root_device if self._backend == "nccl" else None,
        )
        if self._backend == "nccl":  # NCCL warns at the end otherwise
            atexit.register(torch.distributed.destroy_process_group)
        super().setup_distributed()


@contextmanager
def _meeting_file(devices: int) -> Iterator[Path]:
    """Yield a path that does not exist yet, by which several `_Processes` find each other.

    Lightning leaves its port in the environment, where the next training would find it.
    """
    if devices == 1:
        yield Path()
        return
    before = os.environ.get(_PORT)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            yield Path(folder) / "processes"
        finally:
            os.environ.pop(_PORT, None)
            if before is not None:
                os.environ[_PORT] = before


_PORT = "MASTER_PORT"


class _Saving(Callback):
    """Writes the last checkpoint atomically."""

    def __init__(self, file: Path, every: int) -> None:
        self.file, self.every = file, every

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: Any) -> None:
        if (trainer.current_epoch + 1) % self.every:
            return
        beside = self.file.with_suffix(".part")
        trainer.save_checkpoint(beside)
        if trainer.is_global_zero:
            atomic_replace.replace(beside, self.file)


class _Best(Callback):
    """Keeps the weights with the lowest held-out loss, and loads them at the end.

    At the end of each process: with several devices, Lightning gives the weights of the
    first process to the main one, and no callback.
    """

    def __init__(self) -> None:
        self.loss = float("inf")
        self.weights: dict[str, Any] | None = None

    def on_validation_end(self, trainer: lightning.Trainer, module: Any) -> None:
        loss = float(trainer.callback_metrics["val_supervised_loss"])
        if loss < self.loss:
            self.loss = loss
            self.weights = {
                name: value.detach().cpu().clone()
                for name, value in module.network.state_dict().items()
            }

    def on_fit_end(self, trainer: lightning.Trainer, module: Any) -> None:
        if self.weights is not None:
            module.network.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        return {"loss": self.loss, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.loss, self.weights = state["loss"], state["weights"]


def open_device(name: str, count: int = 1) -> torch.device:
    """Return the first device; ModelError when there are not as many of that kind."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"torch has no device {name!r} here: {reason}") from error
    if device.type == "cuda":
        first, available = device.index or 0, torch.cuda.device_count()
        if first + count > available:
            raise ModelError(
                f"{count} GPUs are to train (--devices, or training.num_gpus), from GPU "
                f"{first} on; this computer has {available}"
            )
    return device


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress Lightning's messages."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


CPU_BATCH = 8
"""Images per step on a CPU: more would not be faster, only fewer steps."""
MOST = 64
"""Largest batch; larger ones leave too few steps for training."""


def batch_and_rate(settings: FitSettings, data: Dataset) -> FitSettings:
    """Return the settings with a batch that fits into memory, and its learning rate.

    On a GPU the batch is doubled until its memory is full or `MOST` is reached, and the
    last that fitted is taken. The given rate is for 8 images; it grows with the square
    root of the batch.
    """
    batch = CPU_BATCH
    if open_device(settings.device).type == "cuda":
        while batch < min(MOST, len(data)) and _fits(settings, data, 2 * batch):
            batch *= 2
    batch = max(1, min(batch, len(data)))

    # Square-root scaling: larger batches have less noise, so steps may be longer.
    rate = settings.learning_rate * math.sqrt(batch / CPU_BATCH)
    return replace(settings, batch=batch, learning_rate=rate)


def _fits(settings: FitSettings, data: Dataset, batch: int) -> bool:
    """Return whether two steps with this batch fit into memory."""
    trial = replace(
        settings, steps=2, batch=batch, devices=1, imagenet=False, start_from=None,
        backbone_file=None,
    )  # fmt: skip
    # Two steps: the second also holds the state of the optimiser.
    twice = data.pick(np.resize(np.arange(len(data)), max(batch, len(data))).tolist())
    try:
        fit(twice, trial, lambda epoch: None)
    except torch.OutOfMemoryError:
        return False
    finally:
        torch.cuda.empty_cache()
    return True
