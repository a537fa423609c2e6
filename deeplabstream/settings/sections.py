"""Sections: the settings classes of every rig, and of the whole rig."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as plain_field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass as settings

from deeplabstream.core.calibration import Calibration
from deeplabstream.core.command import TriggerName
from deeplabstream.core.errors import SettingsError
from deeplabstream.core.light_cycle import LightCycle
from deeplabstream.core.regions import Region
from deeplabstream.core.space_pose import SPACE
from deeplabstream.files.paths import is_folder
from deeplabstream.plugins.camera import Camera, SynchronisedCamera
from deeplabstream.plugins.experiment import Experiment, triggers_of
from deeplabstream.plugins.input import Input, PulseInput
from deeplabstream.plugins.output import Output
from deeplabstream.plugins.remote import Remote, RemoteControl
from deeplabstream.plugins.trigger import (
    AnimalName,
    ContextTrigger,
    Trigger,
    with_combined,
)
from deeplabstream.pose.background.background_detector import (
    BACKGROUND,
    BackgroundSubtraction,
)
from deeplabstream.pose.runtimes.runtime_list import (
    FORMER_RUNTIMES,
    Runtime,
    former_runtime,
)
from deeplabstream.recording.calibration_copy import calibration_of
from deeplabstream.recording.light_facts import LIGHT_CYCLE, START_LOCAL
from deeplabstream.recording.resumed_state import RESUMED, ResumedState
from deeplabstream.settings.animals import Animals
from deeplabstream.settings.arena_instances import experiment_in_arena
from deeplabstream.settings.arenas import NO_EXPERIMENT, Arenas
from deeplabstream.settings.fields import Maker, keys_of
from deeplabstream.settings.light_section import LightSection
from deeplabstream.settings.retention_section import Retention
from deeplabstream.settings.space_section import Space
from deeplabstream.settings.subject import Subject
from deeplabstream.settings.tracking import Tracking
from deeplabstream.video.recording_options import MB, Codec, RecordingOptions

DAY_MINUTES = 24 * 60


@settings(frozen=True, kw_only=True)
class Classification:
    """Behaviour classifier, used by `[Trigger NAME]` with KIND = Behaviour or PairBehaviour."""

    folder: Path = Field(
        description=(
            "classifier folder of utils/TrainClassifier.py or "
            "utils/ConvertClassifier.py: a path, or the name of a folder under "
            "models/"
        ),
    )
    camera: str = Field(
        "", description="camera whose poses are classified; empty: the deciding camera"
    )
    animal: AnimalName = Field(
        "1",
        description="with several animals: the one whose behaviour is classified; a classifier "
        "of pairs evaluates all",
    )


Section = TypeVar("Section")
Pixels = Annotated[int, Field(gt=0)]


@settings(frozen=True, kw_only=True)
class Streaming:
    """Settings of all cameras, and the output folder."""

    output_directory: Path = Field(
        Path("output"),
        description="folder in which each run gets a new folder",
        title="Output folder",
    )
    resolution: tuple[Pixels, Pixels] | None = Field(
        None,
        description="width and height in px for each camera whose KIND has RESOLUTION (or "
        "WIDTH and HEIGHT), and that has no own value",
        title="Frame size (px)",
    )
    framerate: float | None = Field(
        None,
        gt=0,
        description="frames per second for each camera whose KIND has RATE, and that has "
        "no own value",
        title="Frame rate (1/s)",
    )
    streams: tuple[Literal["color", "depth", "infrared"], ...] = Field(
        ("color",),
        min_length=1,
        description="color only; depth and infrared need their own [Camera NAME] with "
        "KIND = RealSense and STREAM",
    )
    multiple_devices: bool = Field(
        True,
        description="yes: all cameras run; no: only the first [Camera NAME]",
        title="Use all cameras",
    )
    real_time: bool = Field(
        True,
        description="yes: cameras, engine and guards get real-time priority and locked "
        "memory where the account may; no: ordinary priority",
        title="Real-time priority",
        json_schema_extra={"advanced": True},
    )


@settings(frozen=True, kw_only=True)
class PoseEstimation:
    """Pose network."""

    model: str = Field(
        "",
        description=(
            "name of a folder under models/, or the path of a model folder; "
            "stand-in:10 is a simulated network that takes 10 ms per frame; "
            "stand-in:10:2 finds two animals on a plain floor; background "
            "finds small animals without a network: [Background Subtraction]"
        ),
        title="Network",
    )
    infrared_model: str = Field(
        "",
        description=(
            "another network with the same body parts (as in MODEL), for infrared light; "
            "MODEL is then for white light. Of cameras without their own MODEL. Empty: MODEL is "
            "for any light"
        ),
        title="Network for infrared light",
        json_schema_extra={"advanced": True},
    )
    infrared_when: Literal["phase", "image"] = Field(
        "phase",
        description=(
            "with INFRARED_MODEL, the light is infrared: phase: in the dark phase of [Light "
            "Cycle]; image: while a colour camera delivers images without colour"
        ),
        title="Light is infrared by",
        json_schema_extra={"advanced": True},
    )
    light_change_s: float = Field(
        2.0,
        ge=0,
        le=3600,
        description=(
            "with INFRARED_MODEL: seconds of a change of the light in which poses are unknown"
        ),
        title="Unknown while light changes (s)",
        json_schema_extra={"advanced": True},
    )
    runtime: Literal["auto", Runtime] = Field(
        "auto",
        description=(
            "runtime of the network; auto: the fastest on this computer, "
            "measured at the first use and remembered; python "
            "utils/BenchmarkModel.py shows the figures"
        ),
    )
    tolerance_px: float = Field(
        0.02,
        ge=0,
        le=10,
        description=(
            "for auto: largest difference to full precision, in px of the "
            "network's input, of 95 % of the points; 1 permits bf16 and int8"
        ),
        title="Tolerance of auto (px)",
        json_schema_extra={"advanced": True},
    )
    threads: int = Field(
        0,
        ge=0,
        description="CPU threads of the network; 0: automatic",
        title="CPU threads",
        json_schema_extra={"advanced": True},
    )
    live_crop: bool = Field(
        False,
        description=(
            "yes: once the animal is found, the network gets only a window "
            "around it, which is faster"
        ),
    )
    detector: str = Field(
        "",
        description=(
            "with LIVE_CROP: another network (as in MODEL) that finds the "
            "animal; MODEL then gets the enlarged window; empty: MODEL finds the "
            "animal itself"
        ),
        title="Detector network",
        json_schema_extra={"advanced": True},
    )
    crop_margin: float = Field(
        0.5,
        ge=0,
        le=5,
        description=(
            "with LIVE_CROP: margin of the window on each side, in lengths of "
            "the animal"
        ),
        json_schema_extra={"advanced": True},
    )
    crop_full_every: int = Field(
        100,
        ge=0,
        description=(
            "with LIVE_CROP: number of frames after which one whole frame is "
            "searched; 0: only after the animal was lost"
        ),
        title="Search whole frame every",
        json_schema_extra={"advanced": True},
    )

    @field_validator("runtime", mode="before")
    @classmethod
    def _read_removed_runtime(cls, word: object) -> object:
        """Read MNN as `auto`; reject other runtimes of earlier versions."""
        if word in FORMER_RUNTIMES and word != "mnn":
            raise ValueError(former_runtime(str(word)))
        return "auto" if word == "mnn" else word


@settings(frozen=True, kw_only=True)
class ExperimentRun:
    """Experiment to run, and conditions that switch its outputs off."""

    exp_name: str = Field(
        "",
        description="NAME of an [Experiment NAME]; empty: no experiment",
        title="Experiment",
    )
    camera: str = Field(
        "",
        description=(
            "camera on whose frames the experiment decides; space: at each moment of "
            "[Space]; empty: space if it uses a trigger in space, else the first analysed camera"
        ),
        title="Deciding camera",
    )
    record_exp: bool = Field(
        True,
        description="yes: videos are recorded during the experiment",
        title="Record the experiment",
    )
    on_recording_lost: Literal["stop", "go on"] = Field(
        "stop",
        description=(
            "what happens when the recording ends during the experiment (disk "
            "full, folder deleted) or misses more than 25 % of the frames of 10 s; "
            "stop: the experiment ends and outputs go "
            "off; go on: the experiment continues with an alarm"
        ),
        title="If the recording ends",
    )
    exp_time_s: float = Field(
        0.0,
        ge=0,
        description="maximum duration of the experiment in seconds; 0: no limit",
        title="Maximum duration (s)",
    )
    stop_trigger: TriggerName | None = Field(
        None,
        description=(
            "trigger that ends the experiment when it becomes true; empty: none"
        ),
        title="Ends when true",
    )
    light_phase: Literal["any", "light", "dark"] = Field(
        "any",
        description=(
            "phase of [Light Cycle] in which the experiment acts: in the other phase its "
            "outputs are off and it waits"
        ),
        title="Only in the phase",
    )
    patience_s: float = Field(
        0.5,
        gt=0,
        le=60,
        description="seconds without a frame after which all outputs go off",
        title="Camera time-out (s)",
    )
    lost_ms: float = Field(
        500.0,
        gt=0,
        le=60_000,
        description="milliseconds without the animal after which all outputs go off",
        title="Outputs off if animal lost for (ms)",
    )
    max_age_ms: float = Field(
        500.0,
        gt=0,
        le=60_000,
        description="maximum age of a frame in milliseconds; older frames cause no decisions",
        title="Maximum age of a frame (ms)",
        json_schema_extra={"advanced": True},
    )
    stale_ms: float = Field(
        500.0,
        gt=0,
        le=60_000,
        description="milliseconds for which a trigger state from another camera stays valid",
        title="Trigger state stays valid (ms)",
        json_schema_extra={"advanced": True},
    )
    lost_alarm_s: float = Field(
        30.0,
        ge=0,
        description=(
            "seconds without the animal during the experiment after which an alarm "
            "is raised; 0: never"
        ),
        title="Alarm if animal lost for (s)",
        json_schema_extra={"advanced": True},
    )
    skipped_alarm_percent: float = Field(
        20.0,
        ge=0,
        le=100,
        description=(
            "percentage of frames skipped by the analysis in 10 s of the experiment "
            "above which an alarm is raised; 0: never"
        ),
        title="Alarm if frames skipped above (%)",
        json_schema_extra={"advanced": True},
    )


@settings(frozen=True, kw_only=True)
class Recording:
    """Encoding of videos, and limits of a recording."""

    codec: Codec = Field(
        "h264",
        description=(
            "h264: encoded by the CPU; h264_nvenc: encoded by an NVIDIA GPU; "
            "ffv1: lossless, large files; mjpeg: each frame compressed "
            "separately. Frames with more than 8 bits are always ffv1"
        ),
    )
    quality: int | None = Field(
        None,
        ge=0,
        le=100,
        description=(
            "h264, h264_nvenc: 0 (best) to 51, default 20; mjpeg: 1 to 100 "
            "(best), default 90; empty: the default"
        ),
    )
    split_minutes: float = Field(
        0.0,
        ge=0,
        le=525_600,
        description="minutes after which a new file begins; 0: never",
        title="New file every (min)",
        json_schema_extra={"advanced": True},
    )
    split_aligned: bool = Field(
        False,
        description=(
            "whether files begin at multiples of SPLIT_MINUTES since midnight by local "
            "time: with 60 on the hour. SPLIT_MINUTES must divide the day"
        ),
        title="New files at full times of day",
        json_schema_extra={"advanced": True},
    )
    split_mb: float = Field(
        0.0,
        ge=0,
        description="megabytes after which a new file begins; 0: never",
        title="New file every (MB)",
        json_schema_extra={"advanced": True},
    )
    min_free_mb: float = Field(
        500.0,
        ge=0,
        description="free megabytes on the disk below which recording stops",
        title="Minimum free disk space (MB)",
    )
    planned_minutes: float = Field(
        0.0,
        ge=0,
        le=525_600,
        description=(
            "planned duration in minutes: Start Recording refuses when the "
            "estimated size exceeds the free disk space; 0: not known"
        ),
        title="Planned duration (min)",
    )
    queue_per_hour: int = Field(
        12,
        ge=0,
        le=1000,
        description=(
            "most frames per hour and camera that are queued for labelling because the "
            "network is uncertain; 0: none. Without a video their images are saved"
        ),
        title="Uncertain frames queued per hour",
    )

    def __post_init__(self) -> None:
        if not self.split_aligned:
            return
        if not self.split_minutes:
            raise ValueError("SPLIT_ALIGNED = yes: needs SPLIT_MINUTES, such as 60")
        files = DAY_MINUTES / self.split_minutes
        if files < 1 or abs(files - round(files)) > 1e-6:
            raise ValueError(
                f"SPLIT_MINUTES = {self.split_minutes:g}: must divide a day of "
                f"{DAY_MINUTES} minutes with SPLIT_ALIGNED = yes, such as 60 or 15"
            )

    @property
    def recording_options(self) -> RecordingOptions:
        """Settings of the recorder."""
        return RecordingOptions(
            self.codec,
            self.quality,
            split_s=60 * self.split_minutes,
            split_aligned=self.split_aligned,
            split_bytes=int(MB * self.split_mb),
            min_free_bytes=int(MB * self.min_free_mb),
            planned_s=60 * self.planned_minutes,
        )


@settings(frozen=True, kw_only=True)
class Measures:
    """Measures so far of a running experiment, and the defaults of its results."""

    position: tuple[str, ...] = Field(
        default=(),
        description=(
            "body parts whose mean is the animal's position; empty: a body part at the "
            "centre, such as body or centre, else all"
        ),
    )
    start_speed: float | None = Field(
        default=None,
        ge=0,
        description=(
            "speed from which on the animal moves, in mm/s (px/s without MM_PER_PIXEL or "
            "MARKS); empty: 20 mm/s, in px no mobility"
        ),
    )
    stop_speed: float | None = Field(
        default=None,
        ge=0,
        description=(
            "speed below which it no longer moves, in the same unit; empty: 17.5 mm/s, in "
            "px no mobility"
        ),
    )
    min_immobile_s: float = Field(
        default=1.0,
        ge=0,
        description="shortest immobile bout, in seconds",
        title="Shortest immobile bout (s)",
    )
    contact_distance: float | None = Field(
        default=None,
        gt=0,
        description=(
            "distance of two animals that is a contact, in mm (px without MM_PER_PIXEL or "
            "MARKS); empty: contacts are not measured"
        ),
    )
    contact_bodyparts: tuple[str, ...] = Field(
        default=(),
        description=(
            "body parts of the animal whose nearest distance counts for contacts; empty: the "
            "positions"
        ),
        title="Contact: body parts",
    )
    contact_target_bodyparts: tuple[str, ...] = Field(
        default=(),
        description="body parts of the other animal; empty: CONTACT_BODYPARTS",
        title="Contact: body parts of the target",
    )

    def __post_init__(self) -> None:
        if self.contact_target_bodyparts and not self.contact_bodyparts:
            raise ValueError("CONTACT_TARGET_BODYPARTS: needs CONTACT_BODYPARTS, too")
        if self.contact_bodyparts and self.contact_distance is None:
            raise ValueError("CONTACT_BODYPARTS: needs CONTACT_DISTANCE, too")
        start, stop = self.start_speed, self.stop_speed
        if start is not None and stop is not None and stop > start:
            raise ValueError(
                f"STOP_SPEED = {stop:g}: must be START_SPEED = {start:g} or less"
            )


@settings(frozen=True, kw_only=True)
class Video:
    """Input of offline programs: a video, or sessions of videos."""

    video_source: Path | None = Field(
        None,
        description="video that utils/VideoAnalyzer.py analyses; empty: none",
        title="Video",
    )
    sessions: Path | None = Field(
        None,
        description=(
            "folder of sessions (SUBJECT/DATE/NUMBER) for "
            "utils/ProcessSessions.py --queue; empty: none"
        ),
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
    """By NAME, in the order of the file; one at least, except in `unusable_settings`."""
    outputs: Mapping[str, Output]
    inputs: Mapping[str, Input]
    triggers: Mapping[str, Maker[Trigger]]
    experiments: Mapping[str, Maker[Experiment]]
    folder: Path
    """Base folder of relative paths in the settings."""
    text: str = plain_field(repr=False)
    """Text of the file, including comments."""
    subject: Subject
    animals: Animals
    tracking: Mapping[str, Tracking] = plain_field(default_factory=dict)
    """By camera; the empty name is for all other cameras."""
    classifiers: Mapping[str, Classification] = plain_field(default_factory=dict)
    measures: Measures = plain_field(default_factory=Measures)
    arenas: Mapping[str, Region] = plain_field(default_factory=dict)
    """Arenas of the deciding camera by name, px; each has the animal of that name."""
    plate: Arenas = plain_field(default_factory=Arenas)
    """The section of the grid, with the markers by which it is found."""
    subjects: Mapping[str, str] = plain_field(default_factory=dict)
    """Name of the animal in each arena that has one; empty: they have the arenas' names."""
    arena_experiments: Mapping[str, str] = plain_field(default_factory=dict)
    """Name of the experiment of each arena with another than EXP_NAME; `NO_EXPERIMENT`: none."""
    in_each_arena: frozenset[str] = frozenset()
    """The triggers that are declared once and made for each arena, as `NAME.ARENA`."""
    background: BackgroundSubtraction = plain_field(
        default_factory=BackgroundSubtraction
    )
    space: Space = plain_field(default_factory=Space)
    light: LightSection = plain_field(default_factory=LightSection)
    retention: Retention = plain_field(default_factory=Retention)
    remotes: Mapping[str, Remote] = plain_field(default_factory=dict)
    """Programs and lines that start and stop the rig, and recorders that it starts."""
    started: datetime | None = None
    """Local time of the start of the stream, with its offset from UTC; None: no stream."""
    resumed: ResumedState | None = None
    """What the stream continues from an earlier run; None: it continues none."""

    @property
    def light_cycle(self) -> LightCycle | None:
        """Light and dark phases of the stream; None: they are not known."""
        return self.light.cycle(self.started)

    @property
    def earlier_s(self) -> float:
        """Duration of the experiment in the runs that this one continues, in seconds."""
        return self.resumed.lasted_s if self.resumed else 0.0

    def cameras_of_pulses(self, device: PulseInput) -> tuple[str, ...]:
        """Return the cameras whose exposures have the pulses of an input.

        Those of CAMERAS, and cameras that follow them. If CAMERAS is empty: of a generator,
        those with TRIGGER = line and no LEADER; of a counter, the only camera.
        """
        chosen: list[str] = [n for n in device.cameras if n in self.cameras]
        if not device.cameras and device.generates:
            chosen = [
                name
                for name, follower in self.followers.items()
                if follower.leader is None
            ]
        elif not device.cameras and len(self.cameras) == 1:
            chosen = [*self.cameras]
        for _ in self.cameras:
            chosen += [
                name
                for name, camera in self.followers.items()
                if camera.leader in chosen and name not in chosen
            ]
        return tuple(chosen)

    @property
    def followers(self) -> dict[str, SynchronisedCamera]:
        """Cameras that expose on pulses, by name."""
        return {
            name: camera
            for name, camera in self.cameras.items()
            if isinstance(camera, SynchronisedCamera) and camera.trigger == "line"
        }

    def new_triggers(self) -> dict[str, Trigger]:
        """Return new triggers, with the counts that are continued from an earlier run."""
        triggers = {name: maker() for name, maker in self.triggers.items()}
        counts = self.resumed.triggers if self.resumed else {}
        for name in triggers.keys() & counts.keys():
            triggers[name].restore(counts[name])
        return triggers

    def new_experiment(self) -> Experiment:
        """Return the experiment that EXP_NAME names; SettingsError: it names none."""
        name = self.experiment.exp_name
        if not name:
            known = ", ".join(self.experiments) or "none yet"
            raise SettingsError(
                [
                    "[Experiment] EXP_NAME: no experiment chosen. Enter the NAME "
                    f"of an [Experiment NAME] ({known})"
                ]
            )
        return self._restored(self.experiments[name](), "")

    def _restored(self, experiment: Experiment, arena: str) -> Experiment:
        """Continue an experiment with what it has reached in an earlier run."""
        resumed = self.resumed
        if resumed is not None and resumed.experiment == self.experiment.exp_name:
            experiment.restore(resumed.reached.get(arena, {}))
        return experiment

    def new_experiments(self) -> dict[str, Experiment]:
        """Return the experiment of each arena that has one; without arenas, of the name "".

        SettingsError: EXP_NAME names none.
        """
        if not self.arenas:
            return {"": self.new_experiment()}
        self.new_experiment()  # raises if there is none
        return {
            arena: self._restored(
                experiment_in_arena(self.experiments[name], arena, self.in_each_arena),
                arena,
            )
            for arena, name in self.experiment_names.items()
        }

    def experiment_name(self, arena: str) -> str:
        """Return NAME of the experiment of an arena, or of the rig ("")."""
        return self.arena_experiments.get(arena, self.experiment.exp_name)

    @property
    def experiment_names(self) -> dict[str, str]:
        """Name of the experiment of each arena that has one; empty: there are no arenas."""
        names = {arena: self.experiment_name(arena) for arena in self.arenas}
        return {arena: it for arena, it in names.items() if it != NO_EXPERIMENT}

    @property
    def experiments_in_use(self) -> list[str]:
        """EXP_NAME, and the other experiments of arenas."""
        others = (it for it in self.arena_experiments.values() if it != NO_EXPERIMENT)
        return [*dict.fromkeys([self.experiment.exp_name, *others])]

    def arenas_with(self, experiment: str) -> list[str]:
        """Return the arenas that have an experiment."""
        return [k for k, name in self.experiment_names.items() if name == experiment]

    @cached_property
    def triggers_of_arenas(self) -> dict[str, frozenset[str]]:
        """The triggers that the experiment of each arena names; empty: no arenas, or none.

        Only of arenas that have an experiment and, with subjects, an animal.
        """
        if not self.arenas or self.experiment.exp_name not in self.experiments:
            return {}
        return {
            arena: triggers_of(experiment)
            for arena, experiment in self.new_experiments().items()
            if not self.subjects or arena in self.subjects
        }

    @property
    def deciding_camera(self) -> str:
        """The camera on whose frames the experiment decides; by default the first analysed.

        It is also that of measures and of triggers on a pose without a CAMERA, where the
        experiment decides at moments (`decides_in_space`). Empty: there is no camera.
        """
        chosen = self.experiment.camera
        if chosen and not self._means_space(chosen):
            return chosen
        analysed = [name for name, camera in self.cameras.items() if camera.analyse]
        return next(iter(analysed or self.cameras), "")

    @property
    def decides_in_space(self) -> bool:
        """Whether the experiment decides at the moments of [Space], not on a camera's frames."""
        if self.space.calibration is None or self.experiment.camera:
            return self._means_space(self.experiment.camera)
        maker = self.experiments.get(self.experiment.exp_name)
        if maker is None:
            return False
        triggers = self.new_triggers()
        named = [*triggers_of(maker()), str(self.experiment.stop_trigger or "")]
        used = {other for name in named for other in with_combined(name, triggers)}
        return any(
            self._means_space(t.camera) for name, t in triggers.items() if name in used
        )

    def _means_space(self, camera: str) -> bool:
        """Return whether CAMERA = `camera` means the points in space.

        Settings of earlier versions may have a camera of that name, which it means then.
        """
        return camera == SPACE and SPACE not in self.cameras

    @property
    def camera_order(self) -> tuple[str, ...]:
        """The cameras' names, the deciding one first."""
        first = self.deciding_camera
        others = (name for name in self.cameras if name != first)
        return (first, *others) if self.cameras else ()

    def controls(
        self, starts: Literal["experiment", "recording"] | None = None
    ) -> tuple[str, ...]:
        """Return the remotes that start and stop the rig, or those that start this."""
        return tuple(
            name
            for name, remote in self.remotes.items()
            if isinstance(remote, RemoteControl) and starts in (None, remote.starts)
        )

    @property
    def recorded(self) -> tuple[str, ...]:
        """The cameras that Start Recording records."""
        return tuple(name for name in self.camera_order if self.cameras[name].record)

    def triggers_by_camera(self) -> dict[str, tuple[str, ...]]:
        """Return the names of the triggers of each analysed camera."""
        triggers = self.new_triggers()
        seen_by = {name: self.camera_of(trigger) for name, trigger in triggers.items()}
        return {
            camera: tuple(name for name, place in seen_by.items() if place == camera)
            for camera in self.camera_order
            if self.cameras[camera].analyse
        }

    def camera_of(self, asking: Trigger | Classification) -> str:
        """Return the camera whose poses a trigger or a classifier uses; `space`: those in mm."""
        if asking.camera:
            return asking.camera
        in_space = isinstance(asking, ContextTrigger) and self.decides_in_space
        return SPACE if in_space else self.deciding_camera

    @property
    def space_triggers(self) -> tuple[str, ...]:
        """The triggers that are evaluated at the moments of [Space]."""
        triggers = self.new_triggers().items()
        return tuple(
            name for name, it in triggers if self._means_space(self.camera_of(it))
        )

    @property
    def calibrations(self) -> dict[str, Calibration]:
        """Calibrations from pixels to mm, by camera; cameras without one are missing."""
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

    @property
    def lacks_network(self) -> bool:
        """Whether MODEL is empty: cameras stream and record, nothing is analysed."""
        return not self.pose.model

    def model_named(self, text: str) -> str:
        """Return a network's name as `deeplabstream.pose.model.model_opening` takes it."""
        places = (self.folder / text, self.folder / "models" / text)
        return next((str(place) for place in places if text and is_folder(place)), text)


def unusable_settings(folder: Path) -> Settings:
    """Return settings without cameras and outputs, for a file that has problems.

    A window that opens such a file can't use its rig, and must not use the last one.
    """
    return Settings(
        _by_default(Streaming),
        _by_default(PoseEstimation),
        _by_default(ExperimentRun),
        _by_default(Video),
        _by_default(Recording),
        cameras={},
        outputs={},
        inputs={},
        triggers={},
        experiments={},
        folder=folder,
        text="",
        subject=_by_default(Subject),
        animals=_by_default(Animals),
    )


def _by_default(section: type[Section]) -> Section:
    """Return a section without keys; type checkers miss the defaults of pydantic fields."""
    return section()


_PLAIN = (bool, int, float, str, NoneType)


def effective(settings: Settings) -> dict[str, object]:
    """Return the owner of the data, and all values between image and command.

    These are pose estimation, tracking of each camera, triggers, experiment, seeds too.
    """
    name = settings.experiment.exp_name
    chosen = settings.experiments.get(name)
    rules = settings.tracking
    return {
        "session": settings.subject.facts(),
        "pose": section_values(settings.pose),
        **_background(settings),
        **_arenas(settings),
        **_space(settings),
        **_light(settings),
        "measuring": section_values(settings.measures),
        "tracking": {
            camera: section_values(rules.get(camera) or rules[""])
            for camera in settings.triggers_by_camera()
            if rules
        },
        "experiment": {"NAME": name, **_as_values(chosen)} if chosen else None,
        "triggers": {
            name: _as_values(maker) for name, maker in settings.triggers.items()
        },
        **_pulse_inputs(settings),
        **({RESUMED: settings.resumed.facts()} if settings.resumed else {}),
    }


def _background(settings: Settings) -> dict[str, object]:
    """Return the values of background subtraction; nothing: no camera uses it."""
    models = [settings.pose.model, *(it.model for it in settings.cameras.values())]
    if BACKGROUND not in models:
        return {}
    return {"background_subtraction": section_values(settings.background)}


def _arenas(settings: Settings) -> dict[str, object]:
    """Return the arenas' regions, subjects and other experiments; nothing: there are none."""
    named = {name: str(region) for name, region in settings.arenas.items()}
    subjects = {"subjects": {**settings.subjects}} if settings.subjects else {}
    experiments: dict[str, object] = {}
    if chosen := settings.arena_experiments:
        _, *others = settings.experiments_in_use
        values = {name: _as_values(settings.experiments[name]) for name in others}
        experiments = {"arena_experiments": {**chosen}, "other_experiments": values}
    return {"arenas": named, **subjects, **experiments} if named else {}


def _space(settings: Settings) -> dict[str, object]:
    """Return the values of points in space; nothing: there are none."""
    if settings.space.calibration is None:
        return {}
    used = calibration_of(settings.space.calibration, settings.folder)
    return {"space": {**section_values(settings.space), "CALIBRATION": str(used)}}


def _light(settings: Settings) -> dict[str, object]:
    """Return the local time of the start, which decides the light phases, and the cycle."""
    facts: dict[str, object] = {}
    if settings.started is not None:
        facts[START_LOCAL] = settings.started.isoformat()
    if settings.light.lit is not None:
        facts[LIGHT_CYCLE] = section_values(settings.light)
    return facts


def _pulse_inputs(settings: Settings) -> dict[str, object]:
    """Return the inputs of numbered pulses, with their cameras; nothing: there are none."""
    found = {
        name: {
            "KIND": type(device).__name__,
            "generates": device.generates,
            "cameras": list(settings.cameras_of_pulses(device)),
            "most_delay_ms": device.most_delay_ms,
            "port": getattr(device, "port", ""),
        }
        for name, device in settings.inputs.items()
        if isinstance(device, PulseInput)
    }
    return {"pulse_inputs": found} if found else {}


def _as_values(maker: Maker[Any]) -> dict[str, object]:
    return {"KIND": maker.kind.__name__, **section_values(maker())}


def section_values(made: object) -> dict[str, object]:
    """Return all keys with their values, with numbers as numbers."""
    keys = keys_of(type(made)).items()
    return {key: _plain(getattr(made, attribute)) for key, (attribute, _) in keys}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, _PLAIN) else str(value)
