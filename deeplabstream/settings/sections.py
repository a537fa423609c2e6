"""What settings.ini describes: the sections that every rig has, and the whole rig."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as plain_field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.calibration import Calibration
from deeplabstream.core.errors import SettingsError
from deeplabstream.core.paths import is_folder
from deeplabstream.plugins.camera import Camera
from deeplabstream.plugins.experiment import Experiment
from deeplabstream.plugins.input import Input
from deeplabstream.plugins.output import Output
from deeplabstream.plugins.trigger import Trigger
from deeplabstream.pose.runtimes.runtime_list import Runtime
from deeplabstream.settings.animals import Animals
from deeplabstream.settings.classifier import Classification
from deeplabstream.settings.fields import Maker
from deeplabstream.settings.subject import Subject
from deeplabstream.settings.tracking import Tracking
from deeplabstream.video.recording_options import MB, Codec, Recipe

Pixels = Annotated[int, Field(gt=0)]


@settings(frozen=True, kw_only=True)
class Streaming:
    """What holds for all cameras, and where files go."""

    output_directory: Path = Field(
        Path("output"), description="folder that gets a new folder for each run"
    )
    resolution: tuple[Pixels, Pixels] | None = Field(
        None,
        description="width, height in pixels for each camera that does not say its own",
    )
    framerate: float | None = Field(
        None,
        gt=0,
        description="frames per second for each camera that does not say its own",
    )
    streams: tuple[Literal["color", "depth", "infrared"], ...] = Field(
        ("color",),
        min_length=1,
        description="pictures that each camera gives which does not say its own",
    )
    multiple_devices: bool = Field(
        True, description="yes: all cameras run; no: only the first [Camera NAME]"
    )


@settings(frozen=True, kw_only=True)
class PoseEstimation:
    """The network."""

    model: str = Field(
        "",
        description="a folder under models/ or the path of one; stand-in:10 is no network "
        "at all, but 10 ms a frame; stand-in:10:2 finds two animals on a plain floor",
    )
    runtime: Literal["auto", Runtime] = Field(
        "auto",
        description="what computes; auto: the fastest here, found out the first time and "
        "remembered; python utils/BenchmarkModel.py shows the figures",
    )
    tolerance_px: float = Field(
        0.02,
        ge=0,
        le=10,
        description="pixels of the network's input by which 95 in 100 points may differ "
        "from full precision for auto to take a faster runtime; 1 lets bf16 and int8 in",
    )
    threads: int = Field(
        0, ge=0, description="processor threads of the network; 0: it chooses"
    )
    live_crop: bool = Field(
        False,
        description="yes: once the animal is found, only a window that follows it is "
        "looked at, which is faster",
    )
    detector: str = Field(
        "",
        description="with LIVE_CROP: another network, named as MODEL is, that finds the "
        "animal; MODEL then sees the window enlarged; empty: MODEL finds it itself",
    )
    crop_margin: float = Field(
        0.5,
        ge=0,
        le=5,
        description="with LIVE_CROP: what the window shows around the animal on each side, "
        "in lengths of the animal",
    )
    crop_full_every: int = Field(
        100,
        ge=0,
        description="with LIVE_CROP: after so many pictures all of one is looked at; 0: "
        "only when the animal was lost",
    )

    @field_validator("runtime", mode="before")
    @classmethod
    def _read_removed_runtime(cls, word: object) -> object:
        """Read MNN, a runtime of earlier versions, as `auto`."""
        return "auto" if word == "mnn" else word


@settings(frozen=True, kw_only=True)
class ExperimentRun:
    """Which experiment runs, and when its outputs are switched off whatever it wants."""

    exp_name: str = Field(
        "", description="the NAME of an [Experiment NAME]; empty: no experiment"
    )
    camera: str = Field(
        "",
        description="the camera on whose frames it decides; empty: the first analysed",
    )
    record_exp: bool = Field(True, description="whether videos are recorded with it")
    on_recording_lost: Literal["stop", "go on"] = Field(
        "stop",
        description="when the recording ends during the experiment (disk full, folder "
        "gone): stop: the experiment ends, outputs off, because what is not recorded can't "
        "be analysed or repeated; go on: it continues, and an alarm stays",
    )
    exp_time_s: float = Field(
        0.0, ge=0, description="seconds after which it ends; 0: when it ends itself"
    )
    patience_s: float = Field(
        0.5, gt=0, description="seconds without a frame after which all outputs go off"
    )
    lost_ms: float = Field(
        500.0,
        gt=0,
        description="milliseconds that the animal may be lost before all outputs go off",
    )
    max_age_ms: float = Field(
        500.0,
        gt=0,
        description="a frame older than this, in milliseconds, decides nothing",
    )
    stale_ms: float = Field(
        500.0,
        gt=0,
        description="milliseconds for which another camera's answer stays good",
    )


@settings(frozen=True, kw_only=True)
class Recording:
    """How videos are made."""

    codec: Codec = Field(
        "h264",
        description="h264: by the processor; h264_nvenc: by NVIDIA's graphics card; ffv1: "
        "without loss, large; mjpeg: each picture by itself. Pictures of more than 8 bits "
        "are ffv1 always",
    )
    quality: int | None = Field(
        None,
        ge=0,
        le=100,
        description="h264, h264_nvenc: 0 (best) to 51, usually 20; mjpeg: 1 to 100 (best), "
        "usually 90; empty: the usual",
    )
    split_minutes: float = Field(
        0.0, ge=0, description="a new file begins after so many minutes; 0: never"
    )
    split_mb: float = Field(
        0.0, ge=0, description="a new file begins after so many megabytes; 0: never"
    )
    min_free_mb: float = Field(
        500.0,
        ge=0,
        description="recording stops when fewer megabytes are free on the disk",
    )
    planned_minutes: float = Field(
        0.0,
        ge=0,
        description="how long will be recorded: Start Recording refuses when the disk is "
        "too small for it, by an estimate; 0: nobody knows",
    )

    @property
    def recipe(self) -> Recipe:
        """What the recorder is told."""
        return Recipe(
            self.codec,
            self.quality,
            split_s=60 * self.split_minutes,
            split_bytes=int(MB * self.split_mb),
            min_free_bytes=int(MB * self.min_free_mb),
            planned_s=60 * self.planned_minutes,
        )


@settings(frozen=True, kw_only=True)
class Video:
    """What is worked through afterwards: a video, sessions of videos."""

    video_source: Path | None = Field(
        None, description="the video that utils/VideoAnalyzer.py replays; empty: none"
    )
    sessions: Path | None = Field(
        None,
        description="the folder of sessions (SUBJECT/DATE/NUMBER) that "
        "utils/ProcessSessions.py --queue works through when none is named; empty: none",
    )


@dataclass(frozen=True)
class Settings:
    """What this lab's rig is."""

    streaming: Streaming
    pose: PoseEstimation
    experiment: ExperimentRun
    video: Video
    recording: Recording
    cameras: Mapping[str, Camera]
    """By NAME, in the order of the file; one at least."""
    outputs: Mapping[str, Output]
    inputs: Mapping[str, Input]
    triggers: Mapping[str, Maker[Trigger]]
    experiments: Mapping[str, Maker[Experiment]]
    folder: Path
    """Relative paths in the settings start here."""
    text: str = plain_field(repr=False)
    """As read, comments and all."""
    subject: Subject
    animals: Animals
    tracking: Mapping[str, Tracking] = plain_field(default_factory=dict)
    """By camera; under the empty name that of all others."""
    classifiers: Mapping[str, Classification] = plain_field(default_factory=dict)

    def new_triggers(self) -> dict[str, Trigger]:
        """Return the triggers anew: they may remember what they saw in a run."""
        return {name: maker() for name, maker in self.triggers.items()}

    def new_experiment(self) -> Experiment:
        """Return the experiment that EXP_NAME names; SettingsError: it names none."""
        name = self.experiment.exp_name
        if not name:
            known = ", ".join(self.experiments) or "there is none yet"
            raise SettingsError(
                [
                    "[Experiment] EXP_NAME: names no experiment to run; write the NAME of "
                    f"an [Experiment NAME] behind it ({known})"
                ]
            )
        return self.experiments[name]()

    @property
    def deciding_camera(self) -> str:
        """The camera on whose frames the experiment decides; the first, if not said."""
        analysed = [name for name, camera in self.cameras.items() if camera.analyse]
        return self.experiment.camera or (analysed or list(self.cameras))[0]

    @property
    def camera_order(self) -> tuple[str, ...]:
        """The cameras' names, the deciding one first."""
        first = self.deciding_camera
        return (first, *(name for name in self.cameras if name != first))

    @property
    def recorded(self) -> tuple[str, ...]:
        """The cameras that Start Recording records."""
        return tuple(name for name in self.camera_order if self.cameras[name].record)

    def asked_of(self) -> dict[str, tuple[str, ...]]:
        """Return the names of the triggers that look at each analysed camera."""
        triggers = self.new_triggers()
        seen_by = {name: self.camera_of(trigger) for name, trigger in triggers.items()}
        return {
            camera: tuple(name for name, place in seen_by.items() if place == camera)
            for camera in self.camera_order
            if self.cameras[camera].analyse
        }

    def camera_of(self, asking: Trigger | Classification) -> str:
        """Return the camera whose poses a trigger or a classifier sees."""
        return asking.camera or self.deciding_camera

    @property
    def calibrations(self) -> dict[str, Calibration]:
        """Where pixels are in mm, by camera; those of which nobody knows are missing."""
        made = {name: camera.calibration for name, camera in self.cameras.items()}
        return {name: found for name, found in made.items() if found is not None}

    @property
    def output_directory(self) -> Path:
        """The folder that gets a new folder for each run."""
        path = self.folder / self.streaming.output_directory
        return Path(os.path.normpath(path))

    @property
    def model(self) -> str:
        """Return MODEL as a path beside this file, or as the name of a shipped model."""
        return self.model_named(self.pose.model)

    def model_named(self, words: str) -> str:
        """Return a network's name as `deeplabstream.pose.model.model_opening` wants it."""
        places = (self.folder / words, self.folder / "models" / words)
        return next(
            (str(place) for place in places if words and is_folder(place)), words
        )
