"""Options of distillation: `DistillConfig`, from which videos, to which limits."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.errors import ModelError
from deeplabstream.offline.distillation.students import Candidate, parse_candidate
from deeplabstream.offline.video_files import VIDEO_FILTER
from deeplabstream.pose.runtimes.runtime_list import RUNTIMES
from deeplabstream.settings.option_fields import extra, raises

WORK = "distillation"
"""Folder in the model folder for everything that is made on the way."""
_ADVANCED = extra(advanced=True)


def _candidate(value: object) -> object:
    """Return the student that a text means; ModelError: it is none."""
    return parse_candidate(value) if isinstance(value, str) else value


@raises(ModelError)
@settings(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class DistillConfig:
    """What to distil, from which videos, and the limits."""

    videos: tuple[Path, ...] = Field(
        description="videos without labels, or folders of them",
        title="Videos",
        json_schema_extra=extra(folders=True, filter=VIDEO_FILTER),
    )
    output: Path = Field(
        description="model folder to write",
        title="Name",
        json_schema_extra=extra(editor="name"),
    )
    within: float = Field(
        ge=0.1,
        le=1000,
        description=(
            "largest median distance of the student to the teacher in held-out frames, "
            "in px"
        ),
        title="Within",
        json_schema_extra=extra(metavar="PX", initial="2", decimals=1, unit="px"),
    )
    at_most_ms: float = Field(
        ge=0.1,
        le=10_000,
        description="longest time from frame to pose on this computer, in ms",
        title="At most",
        json_schema_extra=extra(metavar="MS", initial="8", decimals=1, unit="ms"),
    )
    labels: Path | None = Field(
        default=None,
        description=(
            "labels made by hand, to learn from and to measure with: as for "
            "TrainNetwork --data"
        ),
        title="Labels",
        json_schema_extra=extra(
            folders=True, filter="Labels (*.csv *.slp);;All files (*)"
        ),
    )
    check: Path | None = Field(
        default=None,
        description=(
            "points placed by hand in frames of the videos, to measure with only: as "
            "for CheckNetwork --labels"
        ),
        title="Check",
        json_schema_extra=extra(metavar="CSV", filter="Labels (*.csv)", advanced=True),
    )
    count: int = Field(
        default=300,
        ge=1,
        lt=10**8,
        description="frames that the teacher labels, of all videos together",
        title="Frames",
        json_schema_extra=_ADVANCED,
    )
    agree: float = Field(
        default=5.0,
        ge=0.1,
        le=1000,
        description="largest spread of the teacher's predictions of one point, in px",
        title="Agreement",
        json_schema_extra=extra(decimals=1, unit="px", advanced=True),
    )
    students: tuple[Annotated[Candidate, BeforeValidator(_candidate)], ...] = Field(
        default=(),
        description=(
            "students to try, in this order, as BACKBONE:320x240 or "
            "BACKBONE:STAGES:320x240, with `start_from` as 320x240; without: eight, or "
            "six sizes with `start_from`, the fastest first"
        ),
        title="Students",
        json_schema_extra=extra(metavar="BACKBONE:320x240", advanced=True),
    )
    start_from: str | None = Field(
        default=None,
        description=(
            "network whose backbone and weights the students start with, also the "
            "teacher"
        ),
        title="Start from",
        json_schema_extra=extra(
            editor="model", empty="ImageNet weights", advanced=True
        ),
    )
    threads: int = Field(
        default=1,
        ge=0,
        description=(
            "CPU threads of the student on the rig; 0: all cores. Labelling and "
            "training use all cores"
        ),
        title="CPU threads",
        json_schema_extra=_ADVANCED,
    )
    runtime: str = Field(
        default="auto",
        json_schema_extra=extra(choices=["auto", *RUNTIMES], metavar="NAME"),
        description=(
            "runtime of the student; auto: the fastest in full precision, 8 bits where "
            "that is too slow"
        ),
    )
    held_out: float = Field(
        default=0.15,
        ge=0.05,
        le=0.5,
        description="share of the labels with which students are measured",
    )
    steps: int = Field(
        default=1500,
        ge=1,
        lt=10**8,
        description="batches that a student is trained on",
        title="Training steps",
        json_schema_extra=_ADVANCED,
    )
    batch: int = Field(
        default=8,
        ge=1,
        lt=10**8,
        description="images per step",
        title="Batch",
        json_schema_extra=extra(advanced=True, unit="images"),
    )
    seed: int = Field(default=0, description="seed of all random numbers")
    device: str = Field(
        default="cpu",
        description="torch device for training: cpu, cuda, cuda:1",
        title="Device",
        json_schema_extra=extra(editor="device", advanced=True),
    )
    precision: Literal["auto", "full", "mixed"] = Field(
        default="auto",
        description="16 bits where possible (mixed), where that is faster (auto), or "
        "never (full)",
    )
    workers: int = Field(
        default=1, ge=1, lt=10**8, description="threads that prepare batches"
    )
    licence: str = Field(
        default="",
        description="licence of the network, for model.json",
        title="Licence",
        json_schema_extra=_ADVANCED,
    )
    command: str = Field(
        default="", description="the command that was used, for model.json"
    )
    progress: Literal["bar", "json", "none"] = Field(
        default="bar", description="how progress is shown: a bar, lines of JSON, or not"
    )
    resume: bool = Field(
        default=False, description="continue a distillation that was stopped"
    )

    def __post_init__(self) -> None:
        if any(not s.backbone for s in self.students) and not self.start_from:
            raise ModelError("--students: a size without a backbone needs --start-from")

    @property
    def work(self) -> Path:
        """Folder of everything that is made on the way."""
        return self.output / WORK
