"""Example of wells: a rig of simulated flies in 48 wells, each with a closed loop of its own."""

from deeplabstream.simulation.wells import Wells

ROWS, COLUMNS = 6, 8
SHAPE = 480, 640
"""Height and width of the frames, px."""
_LETTERS = "ABCDEFGHIJKLMNOP"
_HEAD = """\
# Simulated flies in {count} wells of one camera, each with its own trigger, output and trials.
# For a plate of your own: another camera, and the centres of its first and last well in
# CORNERS. docs/models.md, "Arenas of one camera", has all keys.

[Streaming]
OUTPUT_DIRECTORY = output

[Camera plate]
KIND = SimulatedWells
WIDTH = {width}
HEIGHT = {height}
RATE = 30
ROWS = {rows}
COLUMNS = {columns}

[Pose Estimation]
MODEL = background

[Background Subtraction]
LENGTH_PX = {length:.0f}

[Arenas]
ROWS = {rows}
COLUMNS = {columns}
CORNERS = {corners}
SHAPE = circle {radius:.0f}

[Experiment]
EXP_NAME = light

# in px from the centre of each well
[Trigger left half]
KIND = InsideRegion
BODYPARTS = centre
REGION = rectangle -{radius:.0f} -{radius:.0f} {radius:.0f} {diameter:.0f}

# The light of a well is on while its fly is in the left half of the well.
[Experiment light]
KIND = Conditional
TRIGGER = left half
OUTPUT = light
MAX_ON_S = 10
TRIALS = 1000
"""
_OUTPUT = """
[Output light.{name}]
KIND = SimulatedOutput
"""


def wells_text() -> str:
    """Return the settings; every path in them is relative to the settings file."""
    plate = Wells(SHAPE, ROWS, COLUMNS)
    radius = plate.radius
    names = [
        f"{_LETTERS[row]}{column + 1}"
        for row in range(ROWS)
        for column in range(COLUMNS)
    ]
    centres = dict(zip(names, plate.centres.tolist(), strict=True))
    corners = [centres[names[0]], centres[names[-1]]]
    head = _HEAD.format(
        count=len(names),
        height=SHAPE[0],
        width=SHAPE[1],
        rows=ROWS,
        columns=COLUMNS,
        length=radius / 3,
        corners=", ".join(f"{x:.0f} {y:.0f}" for x, y in corners),
        radius=radius,
        diameter=2 * radius,
    )
    outputs = [_OUTPUT.format(name=name) for name in names]
    return "".join([head, *outputs])
