"""Options of distillation: `DistillConfig`, from which videos, to which limits."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator

from deeplabstream.core.errors import ModelError
from deeplabstream.offline.distillation.students import Candidate, parse_candidate
from deeplabstream.offline.video_files import VIDEO_FILTER
from deeplabstream.pose.runtimes.runtime_list import RUNTIMES
from deeplabstream.settings.option_fields import option, program_options

WORK = "distillation"
"""Folder in the model folder for intermediate files."""


def _candidate(value: object) -> object:
    """Return the student that a text means; ModelError: it is none."""
    return parse_candidate(value) if isinstance(value, str) else value


@program_options(fault=ModelError)
class DistillConfig:
    """What to distil, from which videos, and the limits."""

    videos: tuple[Path, ...] = option(title="Videos", folders=True, filter=VIDEO_FILTER)
    """Videos without labels, or folders of them."""
    output: Path = option(title="Name", editor="name")
    """Model folder to write."""
    within: float = option(
        ge=0.1,
        le=1000,
        title="Within",
        metavar="PX",
        initial="2",
        decimals=1,
        unit="px",
    )
    """Largest median distance of the student to the teacher in held-out frames, in px."""
    at_most_ms: float = option(
        ge=0.1,
        le=10_000,
        title="At most",
        metavar="MS",
        initial="8",
        decimals=1,
        unit="ms",
    )
    """Longest time from frame to pose on this computer, in ms."""
    labels: Path | None = option(
        default=None,
        title="Labels",
        folders=True,
        filter="Labels (*.csv *.slp);;All files (*)",
    )
    """Labels made by hand, to learn from and to measure with: as for TrainNetwork --data.

    """
    check: Path | None = option(
        default=None,
        title="Check",
        metavar="CSV",
        filter="Labels (*.csv)",
        advanced=True,
    )
    """Points placed by hand in frames of the videos, to measure with only: as for
    CheckNetwork --labels."""
    count: int = option(default=300, ge=1, lt=10**8, title="Frames", advanced=True)
    """Frames that the teacher labels, of all videos together."""
    agree: float = option(
        default=5.0,
        ge=0.1,
        le=1000,
        title="Agreement",
        decimals=1,
        unit="px",
        advanced=True,
    )
    """Largest spread of the teacher's predictions of one point, in px."""
    students: tuple[Annotated[Candidate, BeforeValidator(_candidate)], ...] = option(
        default=(), title="Students", metavar="BACKBONE:320x240", advanced=True
    )
    """Students to try, in this order, as BACKBONE:320x240 or BACKBONE:STAGES:320x240, with
    `start_from` as 320x240; without: eight, or six sizes with `start_from`, the fastest
    first."""
    start_from: str | None = option(
        default=None,
        title="Start from",
        editor="model",
        empty="ImageNet weights",
        advanced=True,
    )
    """Network whose backbone and weights the students start with, also the teacher."""
    threads: int = option(default=1, ge=0, title="CPU threads", advanced=True)
    """CPU threads of the student on the rig; 0: all cores. Labelling and training use all
    cores."""
    runtime: str = option(default="auto", choices=["auto", *RUNTIMES], metavar="NAME")
    """Runtime of the student; auto: the fastest in full precision, 8 bits where that is
    too slow."""
    held_out: float = option(default=0.15, ge=0.05, le=0.5)
    """Share of the labels with which students are measured."""
    steps: int = option(
        default=1500, ge=1, lt=10**8, title="Training steps", advanced=True
    )
    """Batches that a student is trained on."""
    batch: int = option(
        default=8, ge=1, lt=10**8, title="Batch", advanced=True, unit="images"
    )
    """Images per step."""
    seed: int = option(default=0)
    """Seed of all random numbers."""
    device: str = option(default="cpu", title="Device", editor="device", advanced=True)
    """Torch device for training: cpu, cuda, cuda:1."""
    precision: Literal["auto", "full", "mixed"] = option(default="auto")
    """16 bits where possible (mixed), where that is faster (auto), or never (full)."""
    workers: int = option(default=1, ge=1, lt=10**8)
    """Threads that prepare batches."""
    licence: str = option(default="", title="Licence", advanced=True)
    """Licence of the network, for model.json."""
    command: str = option(default="")
    """The command that was used, for model.json."""
    progress: Literal["bar", "json", "none"] = option(default="bar")
    """How progress is shown: a bar, lines of JSON, or not."""
    resume: bool = option(default=False)
    """Continue a distillation that was stopped."""

    def __post_init__(self) -> None:
        if any(not s.backbone for s in self.students) and not self.start_from:
            raise ModelError("--students: a size without a backbone needs --start-from")

    @property
    def work(self) -> Path:
        """Folder of intermediate files."""
        return self.output / WORK
