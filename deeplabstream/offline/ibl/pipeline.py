"""Pipeline file: tracked regions of each camera, as a file that a lab edits."""

from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ParserError
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import pydantic

from deeplabstream.core.errors import SettingsError

PIPELINES = Path(__file__).with_name("pipelines")
"""Folder of the pipelines that come with the application."""

Quirk: TypeAlias = Literal["correct", "compat"]
"""compat: the behaviour of iblvideo 3.2.0; correct: without its errors."""


def _parts(word: object) -> object:
    if isinstance(word, str):
        return [part.strip() for part in word.split(",") if part.strip()]
    return word


Names = Annotated[tuple[str, ...], pydantic.BeforeValidator(_parts)]
Two = Annotated[tuple[float, float], pydantic.BeforeValidator(_parts)]
Size = Annotated[tuple[int, int], pydantic.BeforeValidator(_parts)]
Share = Annotated[float, pydantic.Field(ge=0, le=1)]
Above0 = Annotated[float, pydantic.Field(gt=0)]
Count = Annotated[int, pydantic.Field(ge=1)]


class _Section(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class General(_Section):
    """Settings of all cameras."""

    attribute: str = "lightningPose"
    networks: Path | None = None
    sessions: Path | None = None
    """The tree of sessions that a queue works through."""
    likelihood: Share = 0.9
    samples_per_second: Above0 = 1
    samples_min: Count = 20
    samples_max: Count = 500
    best: bool = False
    """Also predict copies of each image, as `PredictVideos --best` does."""


class Quirks(_Section):
    """Errors of iblvideo 3.2.0 that can be reproduced."""

    flip: Quirk = "correct"
    clamped_crop: Quirk = "correct"
    pupil_labels: Quirk = "correct"
    pupil_variance: Quirk = "correct"
    missing_region: Quirk = "correct"
    motion_border: Quirk = "correct"


class CameraPlan(_Section):
    """One camera."""

    size: Size
    """width, height in pixels."""
    rate: Above0
    """Frames per second."""
    flip: bool = False
    scale: Above0 = 1
    detect: str = ""
    """Names of the network that finds the regions, as a pattern; empty: none needed."""
    regions: Names
    motion: Names = ()


class CropRegion(_Section):
    """A part of the image that has its own networks."""

    networks: str
    anchor: Names = ()
    crop: Size | None = None
    """width, height in pixels of a camera of scale 1; None: the whole image."""
    offset: Two = (0, 0)
    gain: Above0 = 1
    """Factor of the brightness."""
    median: Annotated[int, pydantic.Field(ge=1)] = 1
    """Frames of the median that coordinates are filtered by; 1: not filtered."""
    prefix: str = ""
    """Prefix of the names of its body parts."""
    smooth: Literal["none", "single", "pupil"] = "none"
    smooth_s: Above0 = 10
    smooth_s_slow: Above0 | None = None
    slow_rates: Two = (25, 35)
    posterior_gain: Above0 = 1
    diameter: Share = 0.9999
    centre: Share = 0.999

    def s_at(self, rate: float) -> float:
        """Return the smoothing of a camera of this rate."""
        low, high = self.slow_rates
        slow = self.smooth_s_slow is not None and low <= rate <= high
        return self.smooth_s_slow if slow and self.smooth_s_slow else self.smooth_s


class Motion(_Section):
    """A region whose motion energy is measured, placed by points."""

    from_: Annotated[str, pydantic.Field(alias="from")]
    to: Names = ()
    width_over: Above0 = 2
    height_over: Above0 = 3
    left_over: Above0 = 4
    width_share: Share = 0.6
    left_share: Share = 0.6
    height: Count = 210
    up: float = 120


@dataclass(frozen=True)
class Pipeline:
    """A pipeline file that was read and checked."""

    file: Path
    text: str
    general: General
    quirks: Quirks
    cameras: Mapping[str, CameraPlan]
    regions: Mapping[str, CropRegion]
    motions: Mapping[str, Motion]

    def camera_of(self, video: Path) -> str:
        """Return the camera whose name is in the video's; SettingsError: there is none."""
        label = video.stem.split(".")[0].split("_")[-1]
        for name in self.cameras:
            if f"{name}camera" in label.lower():
                return name
        known = ", ".join(f"{name}Camera" for name in self.cameras)
        raise SettingsError([f"{video.name} contains the name of no camera: {known}"])


def load_pipeline(which: Path | str) -> Pipeline:
    """Read a pipeline file, or one that comes with the application, by its name.

    SettingsError lists all of its faults.
    """
    file = PIPELINES / f"{which}.ini"
    if not file.is_file():
        file = Path(which)
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"Can't read the pipeline {file}: {error}"]) from error
    parser = ConfigParser(interpolation=None, comment_prefixes=("#", ";"))
    try:
        parser.read_string(text)
    except ParserError as error:
        reason = str(error).replace("\n", " ").replace("'<string>'", str(file))
        raise SettingsError([f"{file} is not a pipeline: {reason}"]) from error
    reading = _Reading(file, parser)
    pipeline = Pipeline(
        file,
        text,
        reading.one("Pipeline", General) or General(),
        reading.one("Quirks", Quirks) or Quirks(),
        reading.family("Camera", CameraPlan),
        reading.family("Region", CropRegion),
        reading.family("Motion", Motion),
    )
    reading.check(pipeline)
    if reading.problems:
        raise SettingsError([f"{file.name}: {problem}" for problem in reading.problems])
    return pipeline


S = TypeVar("S", bound=_Section)


class _Reading:
    def __init__(self, file: Path, parser: ConfigParser) -> None:
        self._file, self._parser = file, parser
        self.problems: list[str] = []
        known = ("Pipeline", "Quirks", "Camera", "Region", "Motion")
        for title in parser.sections():
            family, _, name = title.partition(" ")
            if family not in known or (family in known[2:]) != bool(name):
                self.problems.append(f"[{title}] is not a section of a pipeline")

    def one(self, title: str, kind: type[S]) -> S | None:
        if not self._parser.has_section(title):
            return None
        texts: dict[str, Any] = dict(self._parser.items(title))
        for key in ("networks", "sessions") if title == "Pipeline" else ():
            if word := texts.pop(key, ""):
                texts[key] = self._file.parent / word
        try:
            return kind.model_validate(texts)
        except pydantic.ValidationError as error:
            for fault in error.errors():
                key = str(fault["loc"][0]).upper()
                text = texts.get(key.lower())
                given = f" = {text}" if text is not None else ""
                self.problems.append(f"[{title}] {key}{given}: {_sentence(fault)}")
        return None

    def family(self, family: str, kind: type[S]) -> dict[str, S]:
        found = {}
        for title in self._parser.sections():
            if title.startswith(f"{family} "):
                section = self.one(title, kind)
                if section is not None:
                    found[title.removeprefix(f"{family} ").strip()] = section
        return found

    def check(self, pipeline: Pipeline) -> None:
        titles = set(self._parser.sections())
        if not any(title.startswith("Camera ") for title in titles):
            self.problems.append("no [Camera NAME]")
        for name, camera in pipeline.cameras.items():
            for region_name in camera.regions:
                if f"Region {region_name}" not in titles:
                    where = f"[Camera {name}] REGIONS"
                    self.problems.append(f"{where}: no section [Region {region_name}]")
                    continue
                found = pipeline.regions.get(region_name)
                if found is not None and found.anchor and not camera.detect:
                    self.problems.append(
                        f"[Camera {name}] DETECT: is missing, but [Region "
                        f"{region_name}] has an ANCHOR"
                    )
            for motion in camera.motion:
                if f"Motion {motion}" not in titles:
                    where = f"[Camera {name}] MOTION"
                    self.problems.append(f"{where}: no section [Motion {motion}]")
        for name, region in pipeline.regions.items():
            if region.anchor and region.crop is None:
                self.problems.append(
                    f"[Region {name}] CROP: is missing, but there is an ANCHOR"
                )
            if region.crop is not None and not region.anchor:
                self.problems.append(
                    f"[Region {name}] ANCHOR: is missing, but there is a CROP"
                )
            if region.median % 2 == 0:
                self.problems.append(f"[Region {name}] MEDIAN: must be odd")


def _sentence(fault: Any) -> str:
    if fault["type"] == "missing":
        return "is missing"
    if fault["type"] == "extra_forbidden":
        return "is not a key of this section"
    return str(fault["msg"])
