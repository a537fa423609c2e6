"""Regions and points of a run: those of its triggers, and those added after the run.

`regions.json` in the run folder holds what was added later; the recorded files never
change.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, nan
from pathlib import Path
from typing import Any, Literal

from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.core.regions import Region, parse_region
from deeplabstream.files.atomic_replace import write_json
from deeplabstream.files.exclusive_writing import exclusive
from deeplabstream.files.foreign_files import read_json
from deeplabstream.recording.run_schema import REGIONS
from deeplabstream.settings.ini_reading import read_sections


@dataclass(frozen=True)
class RegionOfInterest:
    """A region of a camera's image or of the floor, and the points that must be inside."""

    name: str
    region: Region
    camera: str = ""
    """Empty: every camera."""
    unit: Literal["px", "mm"] = "px"
    bodyparts: tuple[str, ...] = ()
    """Body parts whose positions count; empty: the animal's position."""
    rule: Literal["all", "any"] = "all"
    """Whether all of them must be inside, or any."""
    enter_margin: float = 0.0
    exit_margin: float = 0.0
    source: Literal["trigger", "added"] = "added"

    def __post_init__(self) -> None:
        _check_unit(self.name, self.unit)
        if self.rule not in ("all", "any"):
            raise ValueError(f"{self.name}: rule {self.rule!r}, expected all or any")
        if not min(self.enter_margin, self.exit_margin) >= 0:
            raise ValueError(f"{self.name}: a margin is below 0")


@dataclass(frozen=True)
class PointOfInterest:
    """A point that distances and directions are measured to."""

    name: str
    x: float
    y: float
    camera: str = ""
    unit: Literal["px", "mm"] = "px"
    source: Literal["trigger", "added"] = "added"

    def __post_init__(self) -> None:
        _check_unit(self.name, self.unit)
        if not (isfinite(self.x) and isfinite(self.y)):
            raise ValueError(f"{self.name}: expected finite numbers")


def _check_unit(name: str, unit: str) -> None:
    if unit not in ("px", "mm"):
        raise ValueError(f"{name}: unit {unit!r}, expected px or mm")


@dataclass(frozen=True)
class PlacesOfRun:
    """All regions and points of a run."""

    regions: tuple[RegionOfInterest, ...] = ()
    points: tuple[PointOfInterest, ...] = ()

    def with_added(
        self, regions: Iterable[RegionOfInterest], points: Iterable[PointOfInterest]
    ) -> "PlacesOfRun":
        """Return these regions and points with others; of equal names the last one counts."""
        return PlacesOfRun(
            tuple(
                {region.name: region for region in (*self.regions, *regions)}.values()
            ),
            tuple({point.name: point for point in (*self.points, *points)}.values()),
        )

    def of(self, camera: str) -> "PlacesOfRun":
        """Return the regions and points of one camera."""
        return PlacesOfRun(
            tuple(region for region in self.regions if region.camera in ("", camera)),
            tuple(point for point in self.points if point.camera in ("", camera)),
        )


def trigger_settings(
    facts: Mapping[str, Any], settings_text: str
) -> dict[str, dict[str, Any]]:
    """Return the settings of each trigger by key: of `run.json`, else of `settings.ini`.

    No plug-in is loaded.
    """
    recorded = facts.get("triggers")
    if isinstance(recorded, Mapping):
        return {str(k): dict(v) for k, v in recorded.items() if isinstance(v, Mapping)}
    sections = read_sections(settings_text).texts
    return {
        title.partition(" ")[2]: dict(keys)
        for title, keys in sections.items()
        if title.startswith("Trigger ")
    }


def places_of_triggers(
    triggers: Mapping[str, Mapping[str, Any]], deciding_camera: str
) -> PlacesOfRun:
    """Return the regions and points of triggers; equal regions only once.

    A region that can't be read is left out: the run was recorded without it.
    """
    regions: list[RegionOfInterest] = []
    points: list[PointOfInterest] = []
    for name, keys in triggers.items():
        found = _region_of(name, keys, deciding_camera)
        if found is not None and all(
            _shape(found) != _shape(known) for known in regions
        ):
            regions.append(found)
        numbers = [_number(word) for word in _names(keys.get("POINT"))]
        if len(numbers) == 2 and all(map(isfinite, numbers)):
            x, y = numbers
            camera, unit = _view(keys, deciding_camera)
            points.append(PointOfInterest(name, x, y, camera, unit, "trigger"))
    return PlacesOfRun(tuple(regions), tuple(points))


def region_names(
    triggers: Mapping[str, Mapping[str, Any]], deciding_camera: str
) -> dict[str, str]:
    """Return the name that the region of each trigger has in `places_of_triggers`."""
    known = places_of_triggers(triggers, deciding_camera).regions
    names = {}
    for name, keys in triggers.items():
        if (found := _region_of(name, keys, deciding_camera)) is not None:
            shape = _shape(found)
            names[name] = next(
                region.name for region in known if _shape(region) == shape
            )
    return names


def _view(
    keys: Mapping[str, Any], deciding_camera: str
) -> tuple[str, Literal["px", "mm"]]:
    """Return camera and unit of a trigger."""
    camera = str(keys.get("CAMERA") or deciding_camera)
    return camera, "mm" if keys.get("UNIT") == "mm" else "px"


def _region_of(
    name: str, keys: Mapping[str, Any], deciding_camera: str
) -> RegionOfInterest | None:
    """Return the region of a trigger; None: it has none, or one that can't be read."""
    region = keys.get("REGION")
    usual = "any" if keys.get("KIND") == "OutsideRegion" else "all"
    camera, unit = _view(keys, deciding_camera)
    if not region:
        return None
    try:
        return RegionOfInterest(
            name,
            parse_region(region),
            camera,
            unit,
            _names(keys.get("BODYPARTS")),
            "any" if str(keys.get("INSIDE") or usual) == "any" else "all",
            float(keys.get("ENTER_MARGIN") or 0),
            float(keys.get("EXIT_MARGIN") or 0),
            "trigger",
        )
    except ValueError:
        return None


def _shape(region: RegionOfInterest) -> dict[str, Any]:
    return {**asdict(region), "name": "", "region": str(region.region)}


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return tuple(map(str, value)) if isinstance(value, Iterable) else ()


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return nan


def read_places(run: Path) -> PlacesOfRun:
    """Return the regions and points that were added to a run; DeviceError: damaged file."""
    path = run / REGIONS
    if not path.exists():
        return PlacesOfRun()
    try:
        found = read_json(path)
        regions = tuple(
            RegionOfInterest(
                **{
                    **entry,
                    "region": parse_region(entry["region"]),
                    "bodyparts": tuple(entry.get("bodyparts", ())),
                    "source": "added",
                }
            )
            for entry in found["regions"]
        )
        points = tuple(
            PointOfInterest(**{**entry, "source": "added"}) for entry in found["points"]
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DeviceError(
            f"{path} can't be read: {error}; correct it, or delete it to draw the regions "
            "again"
        ) from error
    return PlacesOfRun(regions, points)


def write_places(
    run: Path,
    regions: Sequence[RegionOfInterest],
    points: Sequence[PointOfInterest] = (),
) -> None:
    """Save added regions and points with a run, replacing earlier ones.

    DeepLabStreamError: a name occurs twice or is empty. DeviceError: the file can't be written.
    """
    with exclusive(run / REGIONS):
        _write(run, regions, points)


def change_places(
    run: Path,
    change: Callable[[PlacesOfRun], PlacesOfRun],
    patience_s: float | None = None,
) -> None:
    """Change the regions and points that were added to a run.

    Nothing is lost when several programs change some. The errors are those of `read_places`
    and `write_places`; `patience_s` is that of `exclusive`.
    """
    with exclusive(run / REGIONS, patience_s):
        places = change(read_places(run))
        _write(run, places.regions, places.points)


def _write(
    run: Path,
    regions: Sequence[RegionOfInterest],
    points: Sequence[PointOfInterest],
) -> None:
    for places in (regions, points):
        names = [place.name for place in places]
        if "" in names or len(set(names)) < len(names):
            raise DeepLabStreamError(
                f"{run / REGIONS}: each region and each point needs a name of its own, "
                f"not {', '.join(names)}"
            )
    content = {
        "schema": 1,
        "regions": [_plain(region, str(region.region)) for region in regions],
        "points": [_plain(point) for point in points],
    }
    write_json(run / REGIONS, content)


def _plain(
    place: RegionOfInterest | PointOfInterest, region: str = ""
) -> dict[str, Any]:
    entry = {**asdict(place), "region": region} if region else asdict(place)
    entry.pop("source")
    return entry
