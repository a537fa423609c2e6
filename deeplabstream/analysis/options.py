"""Options of results: which body parts, limits, thresholds, time bins and phases."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field, InstanceOf

from deeplabstream.analysis.region_list import PointOfInterest, RegionOfInterest
from deeplabstream.core.errors import DeepLabStreamError
from deeplabstream.core.regions import parse_region
from deeplabstream.settings.option_fields import option, option_fields, program_options

MM_SPEEDS = {"start_speed": 20.0, "stop_speed": 17.5, "freezing_speed": 10.0}
"""Thresholds in mm/s where none are given and the camera is calibrated."""

LIGHT_CYCLE = "light cycle"
"""The phases of the room, in `phases`."""

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

    camera: str = option(default="", title="Camera")
    """Camera with poses; empty: the deciding camera."""
    unit: Literal["auto", "px", "mm"] = option(default="auto", title="Unit of lengths")
    """Unit of lengths; auto: mm where the camera is calibrated, else px."""
    threshold: OptionalShare = option(default=None, title="Confidence threshold")
    """Confidence below which a point counts as not found; None: that of the network."""
    use_ambiguous: bool = option(default=False, title="Use ambiguous positions")
    """Whether positions count while the identity of an animal is ambiguous."""
    raw: bool = option(default=False, title="Poses as recorded")
    """Whether the corrections of the run are left out: the poses as they were recorded."""
    position: tuple[str, ...] = option(default=(), title="Position")
    """Body parts whose mean is the animal's position; empty: a body part named body,
    centre, center, centroid, bodycentre, bodycenter, midbody or thorax, else all."""
    head: tuple[str, ...] = option(default=(), title="Head")
    """Back of the head (one body part or several), then its tip; empty: ears or neck, and
    snout or nose."""
    max_gap_s: Number = option(default=0.5, title="Longest gap (s)")
    """Gaps in the track up to this time are interpolated linearly; longer ones are
    missing."""
    smoothing_s: Number = option(default=0.0, title="Smoothing (s)")
    """Window of a centred moving mean of the positions; 0: no smoothing."""
    speed_window_s: Number = option(default=0.2, title="Speed window (s)")
    """Speed is the net displacement over this time; 0: between successive frames."""
    start_s: OptionalNumber = option(default=None, title="Start (s)")
    """Start of the part of the run that counts, from the start of its period on; None: 0.

    """
    end_s: OptionalNumber = option(default=None, title="End (s)")
    """End of that part; None: the end of the period."""
    bin_s: Number = option(default=0.0, title="Time bins (s)")
    """Duration of time bins; 0: none."""
    phases: tuple[str, ...] = option(default=(), title="Phases")
    """Stimulation:OUTPUT (before, during, after), light:OUTPUT (on, off), light cycle (light
    phase, dark phase of the room), trials (in trials, between trials), stages (each status of
    the experiment)."""
    before_s: Number = option(default=5.0, title="Before a stimulation (s)")
    """Time before a stimulation."""
    after_s: Number = option(default=5.0, title="After a stimulation (s)")
    """Time after a stimulation."""
    start_speed: OptionalNumber = option(default=None, title="Start speed")
    """Speed from which on the animal moves; None: 20 mm/s, in pixels none."""
    stop_speed: OptionalNumber = option(default=None, title="Stop speed")
    """Speed below which it no longer moves; None: 17.5 mm/s, in pixels none."""
    min_immobile_s: Number = option(default=1.0, title="Shortest immobile bout (s)")
    """Shortest immobile bout."""
    freezing_speed: OptionalNumber = option(default=None, title="Freezing speed")
    """Speed from which on a body part moves; None: 10 mm/s, in pixels none."""
    min_freezing_s: Number = option(default=1.0, title="Shortest freezing bout (s)")
    """Shortest freezing bout."""
    regions: tuple[
        Annotated[InstanceOf[RegionOfInterest], BeforeValidator(_region)], ...
    ] = option(
        default=(),
        title="Regions",
        aliases=("--region",),
        repeated=True,
        metavar="NAME = REGION",
    )
    """Regions besides those of the run."""
    points: tuple[InstanceOf[PointOfInterest], ...] = option(
        default=(), title="Points", internal=True
    )
    """Points besides those of the run."""
    enter_margin: OptionalNumber = option(default=None, title="Enter margin")
    """Distance inside the border at which an animal has entered, in the unit of the
    region; None: as in the trigger."""
    exit_margin: OptionalNumber = option(default=None, title="Exit margin")
    """Distance outside the border at which it has left; None: as in the trigger."""
    min_visit_s: Number = option(default=0.0, title="Shortest visit (s)")
    """Shortest visit."""
    min_absence_s: Number = option(default=0.0, title="Shortest absence (s)")
    """Shortest absence that ends a visit."""
    start_counts: bool = option(default=False, title="Count a start inside")
    """Whether an animal that is inside at the start has entered then."""
    arena: str = option(default="", title="Arena")
    """Name of the region whose border is the wall."""
    wall_distance: Number = option(default=0.0, title="Wall distance")
    """Thigmotaxis: positions nearer to the wall than this."""
    facing_angle: Number = option(default=30.0, title="Facing angle (°)")
    """Largest angle, in degrees, between the head and the direction to a target it faces.

    """
    contact_distance: OptionalNumber = option(default=None, title="Contact distance")
    """Distance of two animals' positions that is a contact; None: contacts are left out."""
    contact_bodyparts: tuple[str, ...] = option(default=(), title="Contact: body parts")
    """Body parts of the animal whose nearest distance counts for contacts; empty: its position.

    """
    contact_target_bodyparts: tuple[str, ...] = option(
        default=(), title="Contact: body parts of the target"
    )
    """Body parts of the other animal; empty: those of the animal itself."""
    approach_speed: OptionalNumber = option(default=None, title="Approach speed")
    """Speed towards a target from which on an animal approaches; None: left out."""
    following_speed: OptionalNumber = option(default=None, title="Following speed")
    """Speed of both animals from which on one follows the other; None: left out."""
    chasing_speed: OptionalNumber = option(default=None, title="Chasing speed")
    """Speed of both from which on following is a chase; None: left out."""
    following_distance: Number = option(default=100.0, title="Following distance")
    """Largest distance of an animal that follows or chases another one."""
    following_angle: Annotated[float, Field(gt=0, le=90)] = option(
        default=45.0, title="Following angle (°)"
    )
    """Largest angle, in degrees, between its movement and the direction to the other one, and
    between the movements of both."""
    rearing_height: OptionalNumber = option(default=None, title="Rearing height (mm)")
    """Height above the floor, in mm, above which the animal rears, of a run with [Space];
    None: rearing is left out."""
    rearing_bodyparts: tuple[str, ...] = option(default=(), title="Rearing: body parts")
    """Body parts that are all above that height; empty: snout or nose, else the position.

    """
    min_rearing_s: Number = option(default=0.0, title="Shortest rear (s)")
    """Shortest rear."""
    behaviour_threshold: Share = option(default=0.5, title="Behaviour threshold")
    """Probability from which on a behaviour is shown."""
    min_behaviour_s: Number = option(default=0.0, title="Shortest behaviour bout (s)")
    """Shortest bout of a behaviour."""
    stimulus_gap_s: Number = option(default=0.5, title="Stimulus gap (s)")
    """Pulses that are less than this apart are one stimulation."""

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

    `facts` is the content of `run.json`. Speeds and distances are taken only in the unit of
    the live measures: mm where the camera is calibrated, else px (`is_usual_unit`).
    """
    recorded = facts.get("measuring")
    if not isinstance(recorded, Mapping):
        return options
    found: dict[str, Any] = {}
    parts = recorded.get("POSITION")
    if isinstance(parts, list) and parts and not options.position:
        found["position"] = tuple(map(str, parts))

    # A speed or distance in px is not valid for positions in mm.
    names = ["min_immobile_s"]
    if is_usual_unit and options.contact_distance is None:
        names.append("contact_distance")
        for name in ("contact_bodyparts", "contact_target_bodyparts"):
            parts = recorded.get(name.upper())
            if isinstance(parts, list) and not getattr(options, name):
                found[name] = tuple(map(str, parts))
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
