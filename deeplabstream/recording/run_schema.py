"""Run schema: files of a run folder, columns of its tables, types, units and empty cells.

The writer, the reader, repair, exports and docs/run_folder.md take columns by name from
here. A name is never reused with another meaning: a new meaning is a new name, a new
`VERSION` and an entry in `UPGRADES`.

`python -m tools.table_docs` writes the generated part of that page.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.pose import Skeleton, part_names

VERSION = 3
"""Schema of the runs that this program writes: `schema` in `run.json`."""

REGIONS = "regions.json"
"""File of the regions and points that were added after a run."""
CORRECTIONS = "corrections.json"
"""File of the corrections of a run's poses."""
AUDIT = "audit.json"
"""File of the clips of an audit and of their verdicts."""
AUDIT_RESULTS = "audit_results.json"
"""File of the figures of an audit."""
IMPORTED = "imported"
"""Entry in `run.json` of a run that was imported, and how such a run ended."""
VIDEO_ENDED = "the video has ended"
"""How an experiment ended that was still running at the end of a video."""

_INT = r"-?[0-8]?\d{1,18}"
_FINITE = r"-?\d{1,12}(?:\.\d{0,20})?(?:e[-+]?\d\d?)?"
_TEXT = r'(?:[^",\r\n\0]*|"(?:[^"\r\n\0]|"")*")'


@dataclass(frozen=True, slots=True)
class CellType:
    """Type of the cells of a column."""

    dtype: str
    pattern: str
    """Regular expression of a cell that is not empty."""


INT64 = CellType("int64", _INT)
FINITE = CellType("float64", _FINITE)
FLOAT64 = CellType("float64", rf"(?:{_FINITE}|nan|-?inf)")
FLOAT32 = CellType("float32", FLOAT64.pattern)
BOOL = CellType("bool", "[01]")
STATE = CellType("0, 1 or unknown", "(?:0|1|unknown)")
TEXT = CellType("text", _TEXT)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, or a family of columns."""

    name: str
    """A family has a placeholder: `trigger_{trigger}`."""
    type: CellType
    unit: str
    meaning: str
    empty: str = ""
    """Meaning of an empty cell; without one, the cell is never empty."""

    @property
    def pattern(self) -> str:
        """Regular expression of a whole cell."""
        return f"(?:{self.type.pattern})?" if self.empty else self.type.pattern

    @property
    def prefix(self) -> str:
        """The part of the name before the placeholder of a family."""
        return self.name.partition("{")[0]


@dataclass(frozen=True, slots=True)
class TableSchema:
    """Columns of one kind of table, in the order in which they are written."""

    file: str
    rows: str
    """Meaning of a row."""
    columns: tuple[Column, ...]
    order: str = ""
    """Column whose values grow from row to row; empty: none."""
    numbered: bool = False
    """Whether `order` counts the rows from 0."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns; families have placeholders."""
        return tuple(column.name for column in self.columns)

    @property
    def fixed(self) -> dict[str, Column]:
        """Columns that are no family, by name."""
        return {
            column.name: column for column in self.columns if "{" not in column.name
        }


_NOT_ANALYSED = "frame not analysed"

_FRAME = Column(
    "frame", INT64, "", "count of exposures at the camera; a gap: lost frames"
)
_TIME_S = Column("time_s", FINITE, "s", "time of exposure since Start Stream")
_EXPOSED = Column("exposed_ns", INT64, "ns", "time of exposure; of arrival if unknown")
_ARRIVED = Column("arrived_ns", INT64, "ns", "time of arrival in the computer")
FRAME_COLUMNS = (
    _FRAME,
    _TIME_S,
    _EXPOSED,
    _ARRIVED,
    Column("posed_ns", INT64, "ns", "time at which the pose was ready", _NOT_ANALYSED),
    Column(
        "decided_ns", INT64, "ns", "time of the experiment's decision", _NOT_ANALYSED
    ),
    Column(
        "written_ns",
        INT64,
        "ns",
        "time at which the last output was written",
        "no output written, or frame not analysed",
    ),
    Column("analysed", BOOL, "", "1: analysed; 0: skipped, the network was busy"),
)
"""Columns before the points in `CAMERA.csv`."""
KEYPOINT_COLUMNS = (
    Column(
        "{keypoint}_x", FLOAT32, "px", "to the right; NaN: not found", _NOT_ANALYSED
    ),
    Column("{keypoint}_y", FLOAT32, "px", "down; NaN: not found", _NOT_ANALYSED),
    Column("{keypoint}_confidence", FLOAT32, "", "from 0 to 1", _NOT_ANALYSED),
)
TRIGGER_STATE = Column("trigger_{trigger}", BOOL, "", "state of the trigger", "unknown")
STATUS_COLUMNS = (
    Column(
        "status",
        TEXT,
        "",
        "status of the experiment: its last mark, or `running`",
        "no experiment runs",
    ),
    Column(
        "lost",
        BOOL,
        "",
        "1: a trigger of the experiment was unknown; with arenas: in each whose plan runs",
        "0",
    ),
    Column("too_old", BOOL, "", "1: the frame was older than `MAX_AGE_MS`", "0"),
    Column(
        "flags", TEXT, "", "flags of points, animals, triggers: see below", "no flag"
    ),
)
"""Columns after the trigger states in `CAMERA.csv`."""
BEHAVIOUR = Column(
    "behaviour_{behaviour}",
    FLOAT64,
    "",
    "probability from a classifier, 0 to 1",
    "unknown",
)
INPUT = Column(
    "input_{input}",
    FLOAT64,
    "",
    "1: the input was active; `.count`: activations since Start Stream",
    "unknown",
)
LIGHT = Column(
    "light",
    TEXT,
    "",
    "phase of the room, `light` or `dark`; the column exists with `[Light Cycle]`",
    "not known",
)
NETWORK = Column(
    "network",
    TEXT,
    "",
    "network of the pose, `white` or `infrared`; `unknown`: the light changed, the pose is NaN; "
    "the column exists with `INFRARED_MODEL`",
    "a network of its own",
)
OPTIONAL_COLUMNS = (LIGHT, NETWORK)
"""Columns at the end of `CAMERA.csv` that only some runs have."""
_KEYPOINT = re.compile(r".+_(x|y|confidence)")
_SKIPPED = ("frame", "time_s", "exposed_ns", "arrived_ns")
"""Cells that the row of a skipped frame has, besides `analysed`."""

CAMERA = TableSchema(
    "CAMERA.csv",
    "delivered frame of an analysed camera",
    (
        *FRAME_COLUMNS,
        *KEYPOINT_COLUMNS,
        TRIGGER_STATE,
        *STATUS_COLUMNS,
        BEHAVIOUR,
        INPUT,
        *OPTIONAL_COLUMNS,
    ),
    order="posed_ns",
)
VIDEO = TableSchema(
    "CAMERA.frames.csv",
    "frame of the video",
    (
        Column("video_frame", INT64, "", "index of the frame in the video, from 0"),
        _FRAME,
        _EXPOSED,
        _ARRIVED,
        Column("device_id", INT64, "", "frame number of the device", "none given"),
    ),
    order="video_frame",
    numbered=True,
)
TRIGGERS = TableSchema(
    "triggers.csv",
    "change of a trigger's state",
    (
        Column("camera", TEXT, "", "camera of the frame"),
        _FRAME,
        _TIME_S,
        Column("trigger", TEXT, "", "name of the trigger"),
        Column("answer", STATE, "", "new state"),
    ),
)
_NO_FRAME = "not caused by a frame"
EVENTS = TableSchema(
    "events.csv",
    "event",
    (
        Column("time_s", FINITE, "s", "time of the event since Start Stream"),
        Column("kind", TEXT, "", "kind of event, see below"),
        Column("camera", TEXT, "", "camera of the frame", _NO_FRAME),
        Column("frame", INT64, "", "`frame` of `CAMERA.csv`", _NO_FRAME),
        Column("name", TEXT, "", "output, input, or subject of a note", "none"),
        Column(
            "level", FINITE, "", "level of the output, 0 (off) to 1; input 0, 1", "none"
        ),
        Column("cause", TEXT, "", "cause of an edge ([safety.md](safety.md))", "none"),
        Column("exposed_ns", INT64, "ns", "exposure of the frame", _NO_FRAME),
        Column("arrived_ns", INT64, "ns", "arrival of the frame", _NO_FRAME),
        Column("posed_ns", INT64, "ns", "pose of the frame ready", _NO_FRAME),
        Column("decided_ns", INT64, "ns", "command decided", "no command"),
        Column("written_ns", INT64, "ns", "output written", "not written"),
        Column("acted_ns", INT64, "ns", "device acted", "not reported"),
        Column(
            "acked_ns", INT64, "ns", "report of the device received", "not reported"
        ),
        Column(
            "device_us",
            INT64,
            "µs",
            "time of an input's change by the device's own clock",
            "not reported",
        ),
        Column("text", TEXT, "", "command, mark, or sentence of a note", "none"),
    ),
)
QUEUE_FOLDER = "queue"
QUEUE = TableSchema(
    f"{QUEUE_FOLDER}/frames.csv",
    "frame that entered the queue of uncertain frames",
    (
        Column("camera", TEXT, "", "camera of the frame"),
        _FRAME,
        _EXPOSED,
        _TIME_S,
        Column("uncertainty", FINITE, "", "sum over the reasons, from 0 on"),
        Column("reason", TEXT, "", "why the frame is uncertain"),
        Column("replaces", INT64, "", "`frame` that left the queue for it", "none"),
        Column(
            "image",
            TEXT,
            "",
            f"file in `{QUEUE_FOLDER}/`",
            "it is in the recorded video",
        ),
    ),
)
PULSES = TableSchema(
    "pulses.csv",
    "numbered pulse of an exposure",
    (
        Column("input", TEXT, "", "input that counts or generates the pulses"),
        Column(
            "pulse",
            INT64,
            "",
            "number by the device since the input was opened; a gap: pulses without times",
        ),
        Column("time_s", FINITE, "s", "time of the pulse since Start Stream"),
        Column("acted_ns", INT64, "ns", "time by the device's clock, converted"),
        Column("acked_ns", INT64, "ns", "report of the device received"),
        Column("device_us", INT64, "µs", "time by the device's own clock"),
    ),
)
_NO_PULSE, _NO_FRAME_OF_PULSE = "no pulse belongs to it", "no frame belongs to it"
MATCHES = TableSchema(
    "CAMERA.pulses.csv",
    "pulse or frame of a camera whose exposures have numbered pulses",
    (
        Column("input", TEXT, "", "input that counts or generates the pulses"),
        Column(
            "part", INT64, "", "counts how often the numbers of the pulses restarted"
        ),
        Column("pulse", INT64, "", "number of the pulse", _NO_PULSE),
        Column("frame", INT64, "", "`frame` of the frame", _NO_FRAME_OF_PULSE),
        Column("pulse_s", FINITE, "s", "pulse since Start Stream", "not known"),
        Column("delay_ms", FINITE, "ms", "from the pulse to `exposed_ns`", "not known"),
        Column("state", TEXT, "", "`matched`, `lost`, `no pulse`, `silent`, `refused`"),
    ),
)
_UNKNOWN = "not known"
POINT_COLUMNS = (
    Column(
        "{bodypart}_x_mm", FLOAT32, "mm", "in the axes of the calibration", _UNKNOWN
    ),
    Column("{bodypart}_y_mm", FLOAT32, "mm", "the same", _UNKNOWN),
    Column("{bodypart}_z_mm", FLOAT32, "mm", "the same, up", _UNKNOWN),
    Column("{bodypart}_error_mm", FLOAT32, "mm", "standard error", _UNKNOWN),
    Column(
        "{bodypart}_reprojection_px",
        FLOAT32,
        "px",
        "root mean square distance of the used views from the projections",
        _UNKNOWN,
    ),
    Column("{bodypart}_views", FLOAT32, "", "number of cameras that were used"),
    Column(
        "{bodypart}_confidence",
        FLOAT32,
        "",
        "mean confidence of the used views",
        _UNKNOWN,
    ),
)
"""Columns of each body part in `space.moments.csv`."""
_MOMENT = (
    Column("moment", INT64, "", "count of the moments, from 0"),
    Column("time_s", FINITE, "s", "first exposure of the moment since Start Stream"),
    Column("exposed_ns", INT64, "ns", "time of that exposure"),
    Column("camera", TEXT, "", "camera whose frame has ended the moment"),
    Column("frame", INT64, "", "`frame` of that frame"),
)
MOMENTS = TableSchema(
    "space.moments.csv",
    "moment of several calibrated cameras",
    (
        *_MOMENT,
        TRIGGER_STATE,
        *POINT_COLUMNS,
        Column(
            "{camera}_{bodypart}_left_out_px",
            FLOAT32,
            "px",
            "distance of the camera's view from the point that the others give",
            _UNKNOWN,
        ),
    ),
)
TABLES = (CAMERA, VIDEO, TRIGGERS, EVENTS, QUEUE, PULSES, MATCHES, MOMENTS)
FILES: Mapping[str, str] = {
    "settings.ini": "the settings as used, unchanged",
    "run.json": "schema, versions, networks with their hashes, cameras, skeleton, every "
    "value of the settings with defaults and seeds, start, end, frame accounts",
    "CAMERA.csv": "one row per frame that arrived during analysis: times, body parts, "
    "trigger states, status of the experiment",
    "triggers.csv": "one row per change of a trigger's state: `1`, `0` or `unknown`",
    "events.csv": "one row per event: intents, commands, marks, edges of outputs, notes",
    "CAMERA.mkv": "the recorded frames, nothing drawn on them; `CAMERA_2.mkv` is the next "
    "recording or part; an imported video keeps its ending",
    "CAMERA.frames.csv": "one row per frame of the video",
    "deleted_videos.json": "videos that were deleted by rules, with day, rule, size and "
    "number of frames, if any",
    f"{QUEUE_FOLDER}/": "`frames.csv`: uncertain frames to label ([training.md](training.md)), and "
    "the images of those that were not recorded, if any",
    "pulses.csv": "one row per numbered pulse, if exposures are counted or triggered by a board",
    "CAMERA.pulses.csv": "one row per pulse of a camera, with its frame ([cameras.md](cameras.md))",
    "space.moments.csv": "one row per moment of the cameras of `[Space]`: points in space, their "
    "errors, states of triggers in space",
    "calibration/": "the calibration of the cameras of `[Space]`; `run.json` has its hash",
    "notes.json": "notes and tags that were written on the page Runs later, if any",
    REGIONS: "regions and points that were added after the run, if any ([results.md](results.md))",
    CORRECTIONS: "corrections of the poses, if any; the tables keep what was recorded "
    "([results.md](results.md))",
    AUDIT: "clips of the audit and their verdicts, if any ([audit.md](audit.md))",
    AUDIT_RESULTS: "figures of the audit with their intervals, if any ([audit.md](audit.md))",
}
"""Files of a run folder. CAMERA is the name of a camera."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Differences between a schema and the next one."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """New names of columns by their old names."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """New names of the counts below `identity` in `run.json`."""
    added: tuple[str, ...] = ()
    """Columns that tables may lack; their cells read as empty."""


UPGRADES: Mapping[int, Upgrade] = {
    1: Upgrade(
        columns={"doubts": "flags"},
        identity={"doubts": "ambiguities", "doubted_frames": "ambiguous_frames"},
        added=("flags", "device_id", "acted_ns", "acked_ns"),
    ),
    2: Upgrade(added=("device_us",)),
}
"""By the older schema: how its names read in the next one."""


def current_names(columns: Sequence[str]) -> tuple[str, ...]:
    """Return column names of any earlier schema as names of this one."""
    names = {
        old: new
        for upgrade in UPGRADES.values()
        for old, new in upgrade.columns.items()
    }
    return tuple(names.get(name, name) for name in columns)


def current_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of `run.json` of any earlier schema with names of this one."""
    upgraded = dict(facts)
    counts = facts.get("identity")
    if isinstance(counts, Mapping):
        names = {
            old: new
            for upgrade in UPGRADES.values()
            for old, new in upgrade.identity.items()
        }
        upgraded["identity"] = {
            camera: {names.get(name, name): count for name, count in totals.items()}
            if isinstance(totals, Mapping)
            else totals
            for camera, totals in counts.items()
        }
    return upgraded


def check_schema(path: Path, facts: object) -> None:
    """Raise DeviceError when a run was written by a newer program.

    `facts` is the content of `run.json`; without a usable `schema` the run is read as one
    of this schema or an earlier one.
    """
    schema = facts.get("schema") if isinstance(facts, Mapping) else None
    if type(schema) is int and schema > VERSION:
        raise DeviceError(
            f"{path / 'run.json'}: schema = {schema} is newer than this program, which "
            f"reads schemas 1 to {VERSION}; open the run with a newer DeepLabStream"
        )


def keypoint_columns(skeleton: Skeleton) -> tuple[str, ...]:
    """Return the names of the columns of points: x, y, confidence of each body part."""
    return tuple(
        column.name.format(keypoint=name)
        for name in part_names(skeleton, skeleton.count)
        for column in KEYPOINT_COLUMNS
    )


def camera_columns(
    skeleton: Skeleton,
    triggers: Sequence[str] = (),
    behaviours: Sequence[str] = (),
    inputs: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return the header of `CAMERA.csv`; `optional`: which of `OPTIONAL_COLUMNS` it has."""
    return (
        *(column.name for column in FRAME_COLUMNS),
        *keypoint_columns(skeleton),
        *(TRIGGER_STATE.prefix + name for name in triggers),
        *(column.name for column in STATUS_COLUMNS),
        *(BEHAVIOUR.prefix + name for name in behaviours),
        *(INPUT.prefix + name for name in inputs),
        *optional,
    )


def members(columns: Sequence[str], family: Column) -> dict[str, str]:
    """Return the columns of a family by their own names: `{"left": "trigger_left"}`.

    >>> members(["trigger_left", "status"], TRIGGER_STATE)
    {'left': 'trigger_left'}
    """
    prefix = family.prefix
    return {
        name.removeprefix(prefix): name for name in columns if name.startswith(prefix)
    }


def points_end(columns: Sequence[str]) -> int:
    """Return the position in a header of `CAMERA.csv` at which the points end."""
    status = {column.name for column in STATUS_COLUMNS}
    for place, name in enumerate(columns):
        is_trigger = name.startswith(TRIGGER_STATE.prefix)
        if place >= len(FRAME_COLUMNS) and (
            name in status or (is_trigger and not _KEYPOINT.fullmatch(name))
        ):
            return place
    return len(columns)


def keypoints_of(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the points in a header of `CAMERA.csv`; empty when unclear."""
    points = columns[len(FRAME_COLUMNS) : points_end(columns)]
    suffix = KEYPOINT_COLUMNS[0].name.format(keypoint="")
    names = tuple(
        name.removesuffix(suffix) for name in points[:: len(KEYPOINT_COLUMNS)]
    )
    expected = [
        c.name.format(keypoint=name) for name in names for c in KEYPOINT_COLUMNS
    ]
    return names if expected == list(points) else ()


def row_pattern(
    schema: TableSchema, columns: Sequence[str], keypoints: Sequence[str] = ()
) -> re.Pattern[str]:
    """Return the regular expression of a valid row.

    `keypoints` are the columns that are known to hold points.
    """
    fixed = schema.fixed
    if schema is EVENTS:  # most cells of an event are empty: see `is_event`
        kinds = [f"(?:{_column(fixed, name).type.pattern})?" for name in columns]
        return re.compile(",".join(kinds))
    if schema is MOMENTS:
        kinds = [_moment_cell(fixed, name) for name in columns]
        return re.compile(",".join(kinds))
    if schema is not CAMERA:
        return re.compile(",".join(_column(fixed, name).pattern for name in columns))
    known = {*keypoints}
    analysed = [_analysed_cell(fixed, name, name in known) for name in columns]
    skipped = [fixed[name].pattern if name in _SKIPPED else "" for name in columns]
    if "analysed" in columns:
        place = columns.index("analysed")
        analysed[place], skipped[place] = "1", "0"
    return re.compile(f"(?:{','.join(analysed)}|{','.join(skipped)})")


def _moment_cell(fixed: Mapping[str, Column], name: str) -> str:
    """Return the regular expression of a cell in the row of a moment."""
    is_state = name.startswith(TRIGGER_STATE.prefix)
    is_number = name not in fixed and not is_state
    return (_ANY_NUMBER if is_number else _column(fixed, name)).pattern


def _analysed_cell(fixed: Mapping[str, Column], name: str, is_point: bool) -> str:
    """Return the regular expression of a cell in the row of an analysed frame."""
    if is_point:
        return KEYPOINT_COLUMNS[0].type.pattern
    column = _column(fixed, name)
    return column.type.pattern if column.empty == _NOT_ANALYSED else column.pattern


_OTHER = Column("", TEXT, "", "", "unknown column")
_ANY_NUMBER = Column("", FLOAT64, "", "", "unknown")


def _column(fixed: Mapping[str, Column], name: str) -> Column:
    """Return the column of a name; one that is not in the schema holds any text."""
    if name in fixed:
        return fixed[name]
    is_point = _KEYPOINT.fullmatch(name) is not None
    if name.startswith(TRIGGER_STATE.prefix) and not is_point:
        return TRIGGER_STATE
    if is_point or name.startswith((BEHAVIOUR.prefix, INPUT.prefix)):
        return _ANY_NUMBER
    return _OTHER
