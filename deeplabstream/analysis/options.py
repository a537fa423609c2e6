"""Options of results: which body parts, limits, thresholds, time bins and phases."""

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from deeplabstream.analysis.region_list import PointOfInterest, RegionOfInterest
from deeplabstream.core.errors import DeepLabStreamError

MM_SPEEDS = {"start_speed": 20.0, "stop_speed": 17.5, "freezing_speed": 10.0}
"""Thresholds in mm/s where none are given and the camera is calibrated."""

_CENTRES = {
    "body", "centre", "center", "centroid", "bodycentre", "bodycenter", "midbody",
    "thorax",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AnalysisOptions:
    """How results are computed. Lengths and speeds are in `unit`.

    Attributes
    ----------
    camera : str
        Camera with poses; empty: the deciding camera.
    unit : {"auto", "px", "mm"}
        Unit of lengths; auto: mm where the camera is calibrated, else px.
    threshold : float, optional
        Confidence below which a point counts as not found; None: that of the network.
    use_ambiguous : bool
        Whether positions count while the identity of an animal is ambiguous.
    raw : bool
        Whether the corrections of the run are left out: the poses as they were recorded.
    position : tuple of str
        Body parts whose mean is the animal's position; empty: a body part named body,
        centre, center, centroid, bodycentre, bodycenter, midbody or thorax, else all.
    head : tuple of str
        Back of the head (one body part or several), then its tip; empty: ears or neck, and
        snout or nose.
    max_gap_s : float
        Gaps in the track up to this time are interpolated linearly; longer ones are missing.
    smoothing_s : float
        Window of a centred moving mean of the positions; 0: no smoothing.
    speed_window_s : float
        Speed is the net displacement over this time; 0: between successive frames.
    start_s : float, optional
        Start of the part of the run that counts, from the start of its period on; None: 0.
    end_s : float, optional
        End of that part; None: the end of the period.
    bin_s : float
        Duration of time bins; 0: none.
    phases : tuple of str
        `stimulation:OUTPUT` (before, during, after), `light:OUTPUT` (on, off), `trials` (in
        trials, between trials), `stages` (each status of the experiment).
    before_s : float
        Time before a stimulation.
    after_s : float
        Time after a stimulation.
    start_speed : float, optional
        Speed from which on the animal moves; None: 20 mm/s, in pixels none.
    stop_speed : float, optional
        Speed below which it no longer moves; None: 17.5 mm/s, in pixels none.
    min_immobile_s : float
        Shortest immobile bout.
    freezing_speed : float, optional
        Speed from which on a body part moves; None: 10 mm/s, in pixels none.
    min_freezing_s : float
        Shortest freezing bout.
    regions : tuple of RegionOfInterest
        Regions besides those of the run.
    points : tuple of PointOfInterest
        Points besides those of the run.
    enter_margin : float, optional
        Distance inside the border at which an animal has entered, in the unit of the
        region; None: as in the trigger.
    exit_margin : float, optional
        Distance outside the border at which it has left; None: as in the trigger.
    min_visit_s : float
        Shortest visit.
    min_absence_s : float
        Shortest absence that ends a visit.
    start_counts : bool
        Whether an animal that is inside at the start has entered then.
    arena : str
        Name of the region whose border is the wall.
    wall_distance : float
        Thigmotaxis: nearer to the wall than this.
    facing_angle : float
        Largest angle, in degrees, between the head and the direction to a target it faces.
    contact_distance : float, optional
        Distance of two animals' positions that is a contact; None: contacts are left out.
    approach_speed : float, optional
        Speed towards a target from which on an animal approaches; None: left out.
    behaviour_threshold : float
        Probability from which on a behaviour is shown.
    min_behaviour_s : float
        Shortest bout of a behaviour.
    stimulus_gap_s : float
        Pulses that are less than this apart are one stimulation.
    """

    camera: str = ""
    unit: Literal["auto", "px", "mm"] = "auto"
    threshold: float | None = None
    use_ambiguous: bool = False
    raw: bool = False
    position: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    max_gap_s: float = 0.5
    smoothing_s: float = 0.0
    speed_window_s: float = 0.2
    start_s: float | None = None
    end_s: float | None = None
    bin_s: float = 0.0
    phases: tuple[str, ...] = ()
    before_s: float = 5.0
    after_s: float = 5.0
    start_speed: float | None = None
    stop_speed: float | None = None
    min_immobile_s: float = 1.0
    freezing_speed: float | None = None
    min_freezing_s: float = 1.0
    regions: tuple[RegionOfInterest, ...] = ()
    points: tuple[PointOfInterest, ...] = ()
    enter_margin: float | None = None
    exit_margin: float | None = None
    min_visit_s: float = 0.0
    min_absence_s: float = 0.0
    start_counts: bool = False
    arena: str = ""
    wall_distance: float = 0.0
    facing_angle: float = 30.0
    contact_distance: float | None = None
    approach_speed: float | None = None
    behaviour_threshold: float = 0.5
    min_behaviour_s: float = 0.0
    stimulus_gap_s: float = 0.5

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, float | int) and not 0 <= value < 1e12:
                raise DeepLabStreamError(f"{each.name} = {value:g}: must be 0 or more")
        if self.unit not in ("auto", "px", "mm"):
            raise DeepLabStreamError(f"unit = {self.unit}: expected auto, px or mm")
        if self.threshold is not None and self.threshold > 1:
            raise DeepLabStreamError(
                f"threshold = {self.threshold:g}: must be from 0 to 1"
            )
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
    """Return the options with what [Measures] of a run says, where they say nothing.

    `facts` is the content of `run.json`. Speeds are taken only in the unit of the live
    measures: mm where the camera is calibrated, else px (`is_usual_unit`).
    """
    said = facts.get("measuring")
    if not isinstance(said, Mapping):
        return options
    found: dict[str, Any] = {}
    parts = said.get("POSITION")
    if isinstance(parts, list) and parts and not options.position:
        found["position"] = tuple(map(str, parts))
    names = ["min_immobile_s"]
    if is_usual_unit and options.start_speed is None and options.stop_speed is None:
        names += ["start_speed", "stop_speed"]
    usual = AnalysisOptions()
    for name in names:
        value = said.get(name.upper())
        is_number = type(value) in (int, float) and 0 <= float(str(value)) < 1e12
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


def described(options: AnalysisOptions) -> dict[str, Any]:
    """Return all options as plain values, for reports and files."""
    words = asdict(options)
    words["regions"] = [f"{each.name}: {each.region}" for each in options.regions]
    words["points"] = [f"{each.name}: {each.x:g} {each.y:g}" for each in options.points]
    return words


def descriptions() -> dict[str, str]:
    """Return the description of each option, from the docstring of AnalysisOptions."""
    found: dict[str, str] = {}
    text = (inspect.getdoc(AnalysisOptions) or "").partition("----------\n")[2]
    for names, words in re.findall(r"^(\w[\w, ]*) : .*\n((?:    .*\n?)+)", text, re.M):
        plain = " ".join(words.split()).replace("`", "")
        found.update(dict.fromkeys(names.split(", "), plain))
    return found
