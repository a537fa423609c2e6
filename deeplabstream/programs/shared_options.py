"""Options that several programs have: overwriting, settings file, runtime, threads."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from deeplabstream.pose.runtimes.runtime_list import RUNTIMES
from deeplabstream.recording.calibrations.calibration_file import FILTER
from deeplabstream.settings.option_fields import extra, option
from deeplabstream.space.camera_group import MM_PER_UNIT
from deeplabstream.startup.arguments import rig_settings

TABLE_FILTER = "Poses (*.csv *.h5 *.parquet *.pqt);;All files (*)"
LABELS_FILTER = "Labels (*.csv *.h5 *.slp *.json);;All files (*)"


def overwrite(description: str = "replace existing files", **more: Any) -> Any:
    """Return the field `overwrite`: whether existing files may be replaced."""
    return option(default=False, description=description, **more)


def _settings_file(value: object) -> object:
    """Return the settings file that was named; empty: that of the rig folder."""
    return value or rig_settings()


def _parts(value: object) -> object:
    """Return the parts of a text, without blanks around them."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


CommaList: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_parts)]
"""Names that are one text, separated by commas."""
SettingsFile: TypeAlias = Annotated[Path, BeforeValidator(_settings_file)]


def settings_file(title: str | None = None, **more: Any) -> Any:
    """Return the field of a `SettingsFile`; its default is that of the rig folder."""
    return Field(
        default="",
        title=title,
        validate_default=True,
        description="settings file; default: settings.ini of the rig folder",
        json_schema_extra=extra(metavar="FILE", filter="Settings (*.ini)", **more),
    )


def model(editor: Literal["model", "ensemble"] = "model", **more: Any) -> Any:
    """Return the field of a network that is required; `editor`: or "ensemble"."""
    also = "; also an ensemble (trained with several seeds)"
    return option(
        title="Network",
        description="model folder, or its name in models/"
        + (also if editor == "ensemble" else ""),
        editor=editor,
        **more,
    )


def runtime(
    description: str = "runtime of the network; auto: the fastest",
    default: str = "auto",
) -> Any:
    """Return the field of a runtime: `auto`, or one of RUNTIMES."""
    return option(
        default=default,
        title="Runtime",
        description=description,
        choices=["auto", *RUNTIMES],
        metavar="NAME",
        advanced=True,
    )


def best() -> Any:
    """Return the field of the most exact poses, where time does not matter."""
    return option(
        default=False,
        title="As exact as possible",
        description="also predict copies of each image, mirrored and rotated as far as the "
        "network was trained with such, combine the points, and smooth those of a video of "
        "one animal; three to six times slower",
        advanced=True,
    )


def decoder() -> Any:
    """Return the field of a `Decoder` of videos."""
    return option(default="auto", description="decoder of the videos")


def mirrored() -> Any:
    """Return the field of the suffixes of body parts seen in mirrored views."""
    return option(
        default=(),
        title="Mirrored views",
        description="suffixes of body part names by view, for example _top _bot",
        metavar="SUFFIX",
        advanced=True,
    )


def output_folder(
    description: str = "output folder; default: beside each video",
) -> Any:
    """Return the field of a folder to write into; None: the program's default."""
    return option(
        default=None,
        title="Output folder",
        description=description,
        metavar="FOLDER",
        editor="folder",
    )


def threads(default: int = 0) -> Any:
    """Return the field of a number of CPU threads."""
    return option(
        default=default,
        ge=0,
        le=256,
        title="CPU threads",
        description="CPU threads; 0: all cores",
        advanced=True,
    )


def second_tables() -> Any:
    """Return the field of the tables of other persons' labels."""
    return option(
        default=(),
        description="labels of the same images by other persons; default: those beside the "
        "labels",
        metavar="TABLE",
    )


def calibration() -> Any:
    """Return the field of a calibration of several cameras."""
    return option(
        title="Calibration",
        positional=True,
        filter=FILTER,
        folders=True,
        description="file or folder with calibrated cameras",
    )


def length_unit() -> Any:
    """Return the field of the unit of a calibration."""
    return option(
        default="",
        title="Unit of the calibration",
        choices=list(MM_PER_UNIT),
        advanced=True,
        description="unit of the positions; default: as the file says, else mm",
    )
