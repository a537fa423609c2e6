"""Options of results: which body parts, limits, thresholds, time bins and phases."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field, InstanceOf

from deeplabstream.analysis.region_list import PointOfInterest, RegionOfInterest
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.regions import parse_region
from deeplabstream.settings.option_fields import extra, option_fields, program_options

MM_SPEEDS = {"start_speed": 20.0, "stop_speed": 17.5, "freezing_speed": 10.0}
"""Thresholds in mm/s where none are given and the camera is calibrated."""

_MOST = 1e12
"""Numbers reach this only by mistake."""
_LIMITS = Field(ge=0, lt=_MOST)
Number: TypeAlias = Annotated[float, _LIMITS]
OptionalNumber: TypeAlias = Annotated[float | None, _LIMITS]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
OptionalShare: TypeAlias = Annotated[float | None, Field(ge=0, le=1)]
_CENTRES = {
    "body", "centre", "center", "centroid", "bodycentre", "bodycenter", "midbody",
    "thorax",
}  # fmt: skip


def _region(value: object) -> object:
    """Return the region of a text `NAME = circle X Y R`; other values as they are."""
    if not isinstance(value, str):
        return value
    name, equals, region = (part.strip() for part in value.partition("="))
    if not (name and equals):
        raise ValueError("expected NAME = circle X Y R, or another region")
    return RegionOfInterest(name, parse_region(region))


@program_options
class AnalysisOptions:
    """How results are computed. Lengths and speeds are in `unit`."""

    option_group: ClassVar[str] = "how the measures are computed"

    camera: str = Field(
        default="", title="Camera",
        description="camera with poses; empty: the deciding camera",
    )  # fmt: skip
    unit: Literal["auto", "px", "mm"] = Field(
        default="auto", title="Unit of lengths",
        description="unit of lengths; auto: mm where the camera is calibrated, else px",
    )  # fmt: skip
    threshold: OptionalShare = Field(
        default=None, title="Confidence threshold",
        description="confidence below which a point counts as not found; None: that of the "
        "network",
    )  # fmt: skip
    use_ambiguous: bool = Field(
        default=False, title="Use ambiguous positions",
        description="whether positions count while the identity of an animal is ambiguous",
    )  # fmt: skip
    raw: bool = Field(
        default=False, title="Poses as recorded",
        description="whether the corrections of the run are left out: the poses as they were "
        "recorded",
    )  # fmt: skip
    position: tuple[str, ...] = Field(
        default=(), title="Position",
        description="body parts whose mean is the animal's position; empty: a body part named"
        " body, centre, center, centroid, bodycentre, bodycenter, midbody or "
        "thorax, else all",
    )  # fmt: skip
    head: tuple[str, ...] = Field(
        default=(), title="Head",
        description="back of the head (one body part or several), then its tip; empty: ears "
        "or neck, and snout or nose",
    )  # fmt: skip
    max_gap_s: Number = Field(
        default=0.5, title="Longest gap (s)",
        description="gaps in the track up to this time are interpolated linearly; longer ones"
        " are missing",
    )  # fmt: skip
    smoothing_s: Number = Field(
        default=0.0, title="Smoothing (s)",
        description="window of a centred moving mean of the positions; 0: no smoothing",
    )  # fmt: skip
    speed_window_s: Number = Field(
        default=0.2, title="Speed window (s)",
        description="speed is the net displacement over this time; 0: between successive "
        "frames",
    )  # fmt: skip
    start_s: OptionalNumber = Field(
        default=None, title="Start (s)",
        description="start of the part of the run that counts, from the start of its period "
        "on; None: 0",
    )  # fmt: skip
    end_s: OptionalNumber = Field(
        default=None, title="End (s)",
        description="end of that part; None: the end of the period",
    )  # fmt: skip
    bin_s: Number = Field(
        default=0.0, title="Time bins (s)",
        description="duration of time bins; 0: none",
    )  # fmt: skip
    phases: tuple[str, ...] = Field(
        default=(), title="Phases",
        description="stimulation:OUTPUT (before, during, after), light:OUTPUT (on, off), "
        "trials (in trials, between trials), stages (each status of the "
        "experiment)",
    )  # fmt: skip
    before_s: Number = Field(
        default=5.0, title="Before a stimulation (s)",
        description="time before a stimulation",
    )  # fmt: skip
    after_s: Number = Field(
        default=5.0, title="After a stimulation (s)",
        description="time after a stimulation",
    )  # fmt: skip
    start_speed: OptionalNumber = Field(
        default=None, title="Start speed",
        description="speed from which on the animal moves; None: 20 mm/s, in pixels none",
    )  # fmt: skip
    stop_speed: OptionalNumber = Field(
        default=None, title="Stop speed",
        description="speed below which it no longer moves; None: 17.5 mm/s, in pixels none",
    )  # fmt: skip
    min_immobile_s: Number = Field(
        default=1.0, title="Shortest immobile bout (s)",
        description="shortest immobile bout",
    )  # fmt: skip
    freezing_speed: OptionalNumber = Field(
        default=None, title="Freezing speed",
        description="speed from which on a body part moves; None: 10 mm/s, in pixels none",
    )  # fmt: skip
    min_freezing_s: Number = Field(
        default=1.0, title="Shortest freezing bout (s)",
        description="shortest freezing bout",
    )  # fmt: skip
    regions: tuple[
        Annotated[InstanceOf[RegionOfInterest], BeforeValidator(_region)], ...
    ] = Field(
        default=(), title="Regions",
        description="regions besides those of the run",
        json_schema_extra=extra(
            aliases=("--region",), repeated=True, metavar="NAME = REGION"
        ),
    )  # fmt: skip
    points: tuple[InstanceOf[PointOfInterest], ...] = Field(
        default=(), title="Points",
        description="points besides those of the run",
        json_schema_extra=extra(internal=True),
    )  # fmt: skip
    enter_margin: OptionalNumber = Field(
        default=None, title="Enter margin",
        description="distance inside the border at which an animal has entered, in the unit "
        "of the region; None: as in the trigger",
    )  # fmt: skip
    exit_margin: OptionalNumber = Field(
        default=None, title="Exit margin",
        description="distance outside the border at which it has left; None: as in the "
        "trigger",
    )  # fmt: skip
    min_visit_s: Number = Field(
        default=0.0, title="Shortest visit (s)",
        description="shortest visit",
    )  # fmt: skip
    min_absence_s: Number = Field(
        default=0.0, title="Shortest absence (s)",
        description="shortest absence that ends a visit",
    )  # fmt: skip
    start_counts: bool = Field(
        default=False, title="Count a start inside",
        description="whether an animal that is inside at the start has entered then",
    )  # fmt: skip
    arena: str = Field(
        default="", title="Arena",
        description="name of the region whose border is the wall",
    )  # fmt: skip
    wall_distance: Number = Field(
        default=0.0, title="Wall distance",
        description="thigmotaxis: positions nearer to the wall than this",
    )  # fmt: skip
    facing_angle: Number = Field(
        default=30.0, title="Facing angle (°)",
        description="largest angle, in degrees, between the head and the direction to a "
        "target it faces",
    )  # fmt: skip
    contact_distance: OptionalNumber = Field(
        default=None, title="Contact distance",
        description="distance of two animals' positions that is a contact; None: contacts are"
        " left out",
    )  # fmt: skip
    approach_speed: OptionalNumber = Field(
        default=None, title="Approach speed",
        description="speed towards a target from which on an animal approaches; None: left "
        "out",
    )  # fmt: skip
    behaviour_threshold: Share = Field(
        default=0.5, title="Behaviour threshold",
        description="probability from which on a behaviour is shown",
    )  # fmt: skip
    min_behaviour_s: Number = Field(
        default=0.0, title="Shortest behaviour bout (s)",
        description="shortest bout of a behaviour",
    )  # fmt: skip
    stimulus_gap_s: Number = Field(
        default=0.5, title="Stimulus gap (s)",
        description="pulses that are less than this apart are one stimulation",
    )  # fmt: skip

    def __post_init__(self) -> None:
        start, stop = self.start_speed, self.stop_speed
        if start is not None and stop is not None and stop > start:
            raise DeepLabStreamError(
                f"stop_speed = {stop:g}: must be start_speed = {start:g} or less"
            )
        if self.end_s is not None and self.end_s <= (self.start_s or 0):
            raise DeepLabStreamError(
                f"end_s = {self.end_s:g}: must be above start_s = {self.start_s or 0:g}"
            )


def speed_limits(options: AnalysisOptions, unit: str) -> dict[str, float | None]:
    """Return `start_speed`, `stop_speed` and `freezing_speed` in px or mm; None: not given."""
    usual = MM_SPEEDS if unit == "mm" else {}
    given = {name: getattr(options, name) for name in MM_SPEEDS}
    return {
        name: usual.get(name) if value is None else value
        for name, value in given.items()
    }


def with_recorded(
    options: AnalysisOptions, facts: Mapping[str, Any], is_usual_unit: bool
) -> AnalysisOptions:
    """Return the options with those of [Measures] of a run, where they have defaults.

    `facts` is the content of `run.json`. Speeds are taken only in the unit of the live
    measures: mm where the camera is calibrated, else px (`is_usual_unit`).
    """
    recorded = facts.get("measuring")
    if not isinstance(recorded, Mapping):
        return options
    found: dict[str, Any] = {}
    parts = recorded.get("POSITION")
    if isinstance(parts, list) and parts and not options.position:
        found["position"] = tuple(map(str, parts))

    # A speed in px means nothing in mm.
    names = ["min_immobile_s"]
    if is_usual_unit and options.start_speed is None and options.stop_speed is None:
        names += ["start_speed", "stop_speed"]
    usual = AnalysisOptions()
    for name in names:
        value = recorded.get(name.upper())
        is_number = type(value) in (int, float) and 0 <= float(str(value)) < _MOST
        if is_number and getattr(options, name) == getattr(usual, name):
            found[name] = value
    return replace(options, **found)


def usual_position(bodyparts: Sequence[str]) -> list[int]:
    """Return the indices of the body parts whose mean is an animal's position by default.

    That of a body part at the centre of the animal; of all body parts if there is none.
    """
    plain = [plain_name(part) for part in bodyparts]
    centres = [at for at, part in enumerate(plain) if part in _CENTRES]
    return centres[:1] or list(range(len(plain)))


def plain_name(part: str) -> str:
    """Return the name of a body part in lower case, without separators."""
    return part.lower().replace("_", "").replace("-", "").replace(" ", "")


def described(options: AnalysisOptions) -> dict[str, str]:
    """Return the text of each option, for reports; `–`: none."""
    places: dict[str, Any] = {
        "regions": [f"{region.name}: {region.region}" for region in options.regions],
        "points": [
            f"{point.name}: {point.x:g} {point.y:g}" for point in options.points
        ],
    }
    return {
        name: _text(places.get(name, getattr(options, name)))
        for name in option_fields(AnalysisOptions)
    }


def _text(value: object) -> str:
    match value:
        case bool():
            return str(value)
        case float():
            return f"{value:g}"
        case tuple() | list():
            return ", ".join(map(str, value))
        case _:
            return str(value or "–")
