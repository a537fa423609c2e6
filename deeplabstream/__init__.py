"""Closed-loop experiments on animal posture in real time: the public names.

Plug-ins in `cameras/`, `experiments/` and `outputs/` import what they need from here, and so
do notebooks: docs/api.md lists the functions for these.
Nothing is loaded before it is used: `import deeplabstream` imports neither torch nor Qt.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from deeplabstream.files.paths import make_plugins_importable

if TYPE_CHECKING:
    from deeplabstream.analysis.analyse import RunResults as RunResults
    from deeplabstream.analysis.analyse import analyse as analyse
    from deeplabstream.analysis.group_statistics import Comparison as Comparison
    from deeplabstream.analysis.group_statistics import compare_groups as compare_groups
    from deeplabstream.analysis.options import AnalysisOptions as AnalysisOptions
    from deeplabstream.analysis.plot_style import PlotOptions as PlotOptions
    from deeplabstream.analysis.plot_style import save_plot as save_plot
    from deeplabstream.analysis.plots import group_plot as group_plot
    from deeplabstream.analysis.plots import plot as plot
    from deeplabstream.analysis.report import write_run_report as write_run_report
    from deeplabstream.analysis.report import write_study_report as write_study_report
    from deeplabstream.analysis.study import Study as Study
    from deeplabstream.analysis.study import analyse_runs as analyse_runs
    from deeplabstream.analysis.study_report import StudyOptions as StudyOptions
    from deeplabstream.api.corrections import correct as correct
    from deeplabstream.api.corrections import frames_between as frames_between
    from deeplabstream.api.corrections import undo_correction as undo_correction
    from deeplabstream.api.decisions import replay as replay
    from deeplabstream.api.evaluation import evaluate as evaluate
    from deeplabstream.api.live_session import Session as Session
    from deeplabstream.api.networks import load_model as load_model
    from deeplabstream.api.networks import predict as predict
    from deeplabstream.api.pose_arrays import PoseArrays as PoseArrays
    from deeplabstream.api.recorded_run import RecordedRun as RecordedRun
    from deeplabstream.api.recorded_run import open_run as open_run
    from deeplabstream.core.clock import Pacer as Pacer
    from deeplabstream.core.clock import SystemClock as SystemClock
    from deeplabstream.core.command import Command as Command
    from deeplabstream.core.command import InputName as InputName
    from deeplabstream.core.command import Mark as Mark
    from deeplabstream.core.command import OutputName as OutputName
    from deeplabstream.core.command import Pulse as Pulse
    from deeplabstream.core.command import Train as Train
    from deeplabstream.core.command import TriggerName as TriggerName
    from deeplabstream.core.command import off as off
    from deeplabstream.core.command import on as on
    from deeplabstream.core.errors import DeviceError as DeviceError
    from deeplabstream.core.errors import ExperimentError as ExperimentError
    from deeplabstream.core.frame import Image as Image
    from deeplabstream.core.frame import ImageFormat as ImageFormat
    from deeplabstream.core.geometry import angle_between as angle_between
    from deeplabstream.core.geometry import middle as middle
    from deeplabstream.core.geometry import turn as turn
    from deeplabstream.core.journal_entries import Edge as Edge
    from deeplabstream.core.journal_entries import Sensed as Sensed
    from deeplabstream.core.journal_entries import Step as Step
    from deeplabstream.core.pose import Pose as Pose
    from deeplabstream.files.image_header import declared_size as declared_size
    from deeplabstream.files.image_header import is_cut_off as is_cut_off
    from deeplabstream.files.image_header import too_large as too_large
    from deeplabstream.files.rig_folder import plugin_path as plugin_path
    from deeplabstream.ipc.pipe import Connection as Connection
    from deeplabstream.ipc.pipe import has_message as has_message
    from deeplabstream.ipc.pipe import opened_pipe as opened_pipe
    from deeplabstream.numerics.clock_sync import ClockSync as ClockSync
    from deeplabstream.numerics.clock_sync import CounterUnwrapper as CounterUnwrapper
    from deeplabstream.offline.run_import import ImportedRun as ImportedRun
    from deeplabstream.offline.run_import import ImportOptions as ImportOptions
    from deeplabstream.offline.run_import import import_run as import_run
    from deeplabstream.plugins.camera import NO_FRAME_YET as NO_FRAME_YET
    from deeplabstream.plugins.camera import Area as Area
    from deeplabstream.plugins.camera import Camera as Camera
    from deeplabstream.plugins.camera import CameraControl as CameraControl
    from deeplabstream.plugins.camera import CameraStream as CameraStream
    from deeplabstream.plugins.camera import CapturedFrame as CapturedFrame
    from deeplabstream.plugins.camera import Device as Device
    from deeplabstream.plugins.camera import SynchronisedCamera as SynchronisedCamera
    from deeplabstream.plugins.camera import Value as Value
    from deeplabstream.plugins.camera import copy_frame as copy_frame
    from deeplabstream.plugins.debounce import DebounceSettings as DebounceSettings
    from deeplabstream.plugins.event_output import Event as Event
    from deeplabstream.plugins.event_output import EventOutput as EventOutput
    from deeplabstream.plugins.event_output import Send as Send
    from deeplabstream.plugins.experiment import Experiment as Experiment
    from deeplabstream.plugins.experiment import (
        ObservationRequest as ObservationRequest,
    )
    from deeplabstream.plugins.experiment import Plan as Plan
    from deeplabstream.plugins.experiment import during as during
    from deeplabstream.plugins.experiment import until as until
    from deeplabstream.plugins.experiment import until_known as until_known
    from deeplabstream.plugins.experiment import wait as wait
    from deeplabstream.plugins.input import Input as Input
    from deeplabstream.plugins.input import InputBroken as InputBroken
    from deeplabstream.plugins.input import InputChange as InputChange
    from deeplabstream.plugins.input import InputLevel as InputLevel
    from deeplabstream.plugins.input import InputListener as InputListener
    from deeplabstream.plugins.input import InputPulse as InputPulse
    from deeplabstream.plugins.input import PulseInput as PulseInput
    from deeplabstream.plugins.output import AcknowledgingWrite as AcknowledgingWrite
    from deeplabstream.plugins.output import DeviceReport as DeviceReport
    from deeplabstream.plugins.output import Output as Output
    from deeplabstream.plugins.output import Write as Write
    from deeplabstream.plugins.random_seed import SEED_DESCRIPTION as SEED_DESCRIPTION
    from deeplabstream.plugins.random_seed import Seed as Seed
    from deeplabstream.plugins.remote import MOST_LETTERS as MOST_LETTERS
    from deeplabstream.plugins.remote import InputControl as InputControl
    from deeplabstream.plugins.remote import RemoteCommand as RemoteCommand
    from deeplabstream.plugins.remote import RemoteControl as RemoteControl
    from deeplabstream.plugins.remote import RemoteListener as RemoteListener
    from deeplabstream.plugins.remote import RemoteLost as RemoteLost
    from deeplabstream.plugins.remote import RemoteRecorder as RemoteRecorder
    from deeplabstream.plugins.remote import WrongTokenError as WrongTokenError
    from deeplabstream.plugins.remote import check_listener as check_listener
    from deeplabstream.plugins.remote import parse_command as parse_command
    from deeplabstream.plugins.remote import read_token as read_token
    from deeplabstream.plugins.trigger import AnimalName as AnimalName
    from deeplabstream.plugins.trigger import Answer as Answer
    from deeplabstream.plugins.trigger import BodyPartTrigger as BodyPartTrigger
    from deeplabstream.plugins.trigger import ContextTrigger as ContextTrigger
    from deeplabstream.plugins.trigger import PoseTrigger as PoseTrigger
    from deeplabstream.plugins.trigger import RegionSetting as RegionSetting
    from deeplabstream.plugins.trigger import Trigger as Trigger
    from deeplabstream.plugins.trigger import TriggerCombination as TriggerCombination
    from deeplabstream.plugins.trigger import TriggerContext as TriggerContext
    from deeplabstream.recording.run_catalogue import RunCatalogue as RunCatalogue
    from deeplabstream.recording.run_catalogue import RunQuery as RunQuery
    from deeplabstream.training.train_config import TrainConfig as TrainConfig
    from deeplabstream.training.training_job import Trained as Trained
    from deeplabstream.training.training_job import train as train
    from deeplabstream.video.decoding import Converter as Converter
    from deeplabstream.video.decoding import JpegDecoder as JpegDecoder
    from deeplabstream.video.decoding import video_format as video_format
    from deeplabstream.video.sequential_reading import TimedFrame as TimedFrame
    from deeplabstream.video.sequential_reading import sequential as sequential

_PUBLIC = {
    "deeplabstream.analysis.analyse": (
        "RunResults",
        "analyse",
    ),
    "deeplabstream.analysis.group_statistics": (
        "Comparison",
        "compare_groups",
    ),
    "deeplabstream.analysis.options": ("AnalysisOptions",),
    "deeplabstream.analysis.plot_style": (
        "PlotOptions",
        "save_plot",
    ),
    "deeplabstream.analysis.plots": (
        "group_plot",
        "plot",
    ),
    "deeplabstream.analysis.report": (
        "write_run_report",
        "write_study_report",
    ),
    "deeplabstream.analysis.study": (
        "Study",
        "analyse_runs",
    ),
    "deeplabstream.analysis.study_report": ("StudyOptions",),
    "deeplabstream.api.corrections": (
        "correct",
        "frames_between",
        "undo_correction",
    ),
    "deeplabstream.api.decisions": ("replay",),
    "deeplabstream.api.evaluation": ("evaluate",),
    "deeplabstream.api.live_session": ("Session",),
    "deeplabstream.api.networks": (
        "load_model",
        "predict",
    ),
    "deeplabstream.api.pose_arrays": ("PoseArrays",),
    "deeplabstream.api.recorded_run": (
        "RecordedRun",
        "open_run",
    ),
    "deeplabstream.core.clock": (
        "Pacer",
        "SystemClock",
    ),
    "deeplabstream.numerics.clock_sync": (
        "ClockSync",
        "CounterUnwrapper",
    ),
    "deeplabstream.core.command": (
        "Command",
        "InputName",
        "Mark",
        "OutputName",
        "Pulse",
        "Train",
        "TriggerName",
        "off",
        "on",
    ),
    "deeplabstream.core.errors": (
        "DeviceError",
        "ExperimentError",
    ),
    "deeplabstream.core.frame": (
        "Image",
        "ImageFormat",
    ),
    "deeplabstream.core.geometry": (
        "angle_between",
        "middle",
        "turn",
    ),
    "deeplabstream.files.image_header": (
        "declared_size",
        "is_cut_off",
        "too_large",
    ),
    "deeplabstream.core.journal_entries": (
        "Edge",
        "Sensed",
        "Step",
    ),
    "deeplabstream.core.pose": ("Pose",),
    "deeplabstream.files.rig_folder": ("plugin_path",),
    "deeplabstream.offline.run_import": (
        "ImportOptions",
        "ImportedRun",
        "import_run",
    ),
    "deeplabstream.ipc.pipe": (
        "Connection",
        "has_message",
        "opened_pipe",
    ),
    "deeplabstream.plugins.camera": (
        "Area",
        "Camera",
        "CameraControl",
        "CameraStream",
        "CapturedFrame",
        "Device",
        "NO_FRAME_YET",
        "SynchronisedCamera",
        "Value",
        "copy_frame",
    ),
    "deeplabstream.plugins.debounce": ("DebounceSettings",),
    "deeplabstream.plugins.event_output": (
        "Event",
        "EventOutput",
        "Send",
    ),
    "deeplabstream.plugins.experiment": (
        "ObservationRequest",
        "Experiment",
        "Plan",
        "during",
        "until",
        "until_known",
        "wait",
    ),
    "deeplabstream.plugins.input": (
        "InputListener",
        "Input",
        "InputBroken",
        "InputLevel",
        "InputChange",
        "InputPulse",
        "PulseInput",
    ),
    "deeplabstream.plugins.output": (
        "AcknowledgingWrite",
        "DeviceReport",
        "Output",
        "Write",
    ),
    "deeplabstream.plugins.random_seed": (
        "SEED_DESCRIPTION",
        "Seed",
    ),
    "deeplabstream.plugins.remote": (
        "RemoteListener",
        "InputControl",
        "MOST_LETTERS",
        "RemoteCommand",
        "RemoteControl",
        "RemoteLost",
        "RemoteRecorder",
        "WrongTokenError",
        "check_listener",
        "parse_command",
        "read_token",
    ),
    "deeplabstream.plugins.trigger": (
        "AnimalName",
        "Answer",
        "BodyPartTrigger",
        "ContextTrigger",
        "PoseTrigger",
        "RegionSetting",
        "Trigger",
        "TriggerCombination",
        "TriggerContext",
    ),
    "deeplabstream.recording.run_catalogue": (
        "RunCatalogue",
        "RunQuery",
    ),
    "deeplabstream.training.train_config": ("TrainConfig",),
    "deeplabstream.training.training_job": (
        "Trained",
        "train",
    ),
    "deeplabstream.video.decoding": (
        "Converter",
        "JpegDecoder",
        "video_format",
    ),
    "deeplabstream.video.sequential_reading": (
        "TimedFrame",
        "sequential",
    ),
}
make_plugins_importable()
_MODULES = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
