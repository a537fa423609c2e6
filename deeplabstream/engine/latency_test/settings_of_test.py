"""Settings of the latency test: the rig's own, with an LED in place of the animal."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deeplabstream.core.errors import DeviceError, SettingsError
from deeplabstream.engine.checks.board_watchdogs import BoardLine, user_of
from deeplabstream.pose.led_detector import Led
from deeplabstream.settings.ini_editing import add_section, remove_section, set_value
from deeplabstream.settings.ini_reading import read_sections
from deeplabstream.settings.loading import parse
from deeplabstream.settings.sections import Settings

LED, ANSWER = "latency led", "latency answer"
"""Names of the inputs that the test adds, by which their edges are recorded."""
SEARCH_S = 1.0
"""Interval of the flashes while the LED is searched."""
_OF_THE_RIG = (
    "Trigger",
    "Experiment",
    "Tracking",
    "Classifier",
    "Animals",
    "Measures",
    "Remote",
)
"""Sections that say what is done about animals, and who else records and starts."""
_NOTHING = Led(0, 0, 1, 1, 255.0)


@dataclass(frozen=True)
class TestWiring:
    """What is measured, and how the board is wired to it."""

    output: str
    """NAME of the output."""
    port: str
    """Serial port of the board with LED and answer."""
    led_pin: int = 13
    answer_pin: int = 2
    """Input of the board to which the output is wired."""
    active_low: bool = False
    """Whether the output's line is low while it is on."""


def wiring_of(
    settings: Settings,
    output: str = "",
    port: str = "",
    led_pin: int = 13,
    answer_pin: int = 2,
    active_low: bool = False,
) -> TestWiring:
    """Return the wiring; what is not given is taken from the settings.

    DeviceError: an output or a board is missing, or a pin is used for something else.
    """
    output = output or _only_output(settings)
    if output not in settings.outputs:
        names = ", ".join(settings.outputs) or "none"
        raise DeviceError(f"no section [Output {output}]; there are: {names}")
    port = port or _only_port(settings, output)
    if led_pin == answer_pin:
        raise DeviceError(f"LED and answer are both at pin {led_pin}: use two pins")
    for pin, option in ((led_pin, "--led-pin"), (answer_pin, "--answer-pin")):
        if used := user_of(settings, port, pin):
            raise DeviceError(
                f"pin {pin} of the board at {port} is that of {used}: choose another "
                f"pin with {option}"
            )
    return TestWiring(output, port, led_pin, answer_pin, active_low)


def _only_output(settings: Settings) -> str:
    chosen = settings.experiments.get(settings.experiment.exp_name)
    used = {str(value) for value in chosen.values.values()} if chosen else set()
    names = [name for name in settings.outputs if name in used] or [*settings.outputs]
    if len(names) != 1:
        raise DeviceError(
            "the settings contain no [Output NAME]"
            if not names
            else f"choose the output with --output: {', '.join(names)}"
        )
    return names[0]


def _only_port(settings: Settings, output: str) -> str:
    lines = [
        settings.outputs[output],
        *settings.outputs.values(),
        *settings.inputs.values(),
    ]
    for line in lines:
        if isinstance(line, BoardLine):
            return line.port
    raise DeviceError(
        "the settings name no board with our firmware (docs/board.md): give its serial "
        "port with --port"
    )


def settings_for_search(rig: Settings, wiring: TestWiring, runs: Path) -> Settings:
    """Return settings with which the board flashes the LED, and no network runs."""
    return _settings(rig, wiring, _NOTHING, runs, SEARCH_S, network=False)


def settings_for_loop(
    rig: Settings,
    wiring: TestWiring,
    led: Led,
    runs: Path,
    every_s: float,
    network: bool,
) -> Settings:
    """Return settings with which the output follows the LED.

    `runs`: folder of the run; `every_s`: mean interval of the flashes; `network`: whether
    the rig's network runs on each frame.
    """
    return _settings(rig, wiring, led, runs, every_s, network)


def _settings(
    rig: Settings,
    wiring: TestWiring,
    led: Led,
    runs: Path,
    every_s: float,
    network: bool,
) -> Settings:
    text, camera = rig.text, rig.deciding_camera
    for title in read_sections(text).words:
        if title != "Experiment" and title.partition(" ")[0] in _OF_THE_RIG:
            text = remove_section(text, title)
    own = rig.cameras[camera].model or rig.pose.model
    for name, each in rig.cameras.items():
        if name == camera:
            text = set_value(text, f"Camera {name}", "MODEL", None)
        elif each.model and each.analyse:
            text = set_value(text, f"Camera {name}", "ANALYSE", "no")
    model = led.model(own if network else "")
    text = set_value(text, "Pose Estimation", "MODEL", model)
    if not network:
        text = set_value(text, "Pose Estimation", "LIVE_CROP", None)
    text = set_value(text, "Streaming", "OUTPUT_DIRECTORY", runs.as_posix())
    text = set_value(text, f"Output {wiring.output}", "THEN", None)
    for key, word in {
        "EXP_NAME": "latency",
        "CAMERA": camera,
        "EXP_TIME_S": None,
        "STOP_TRIGGER": None,
    }.items():
        text = set_value(text, "Experiment", key, word)
    port = {"PORT": wiring.port}
    x, y = led.centre
    for title, words in (
        (
            f"Input {LED}",
            {"KIND": "BoardSync", **port, "PIN": str(wiring.led_pin)}
            | {"PATTERN": "flashes", "EVERY_S": f"{every_s:g}"},
        ),
        (
            f"Input {ANSWER}",
            {"KIND": "BoardInput", **port, "PIN": str(wiring.answer_pin)}
            | {"DEBOUNCE_MS": "0", "ACTIVE_LOW": "yes" if wiring.active_low else "no"},
        ),
        (
            "Trigger latency led",
            {"KIND": "InsideRegion", "BODYPARTS": "led"}
            | {"REGION": f"circle {x:g} {y:g} 2", "CAMERA": camera},
        ),
        (
            "Experiment latency",
            {"KIND": "Conditional", "TRIGGER": "latency led"}
            | {"OUTPUT": wiring.output, "MAX_ON_S": "10", "REST_S": "0"}
            | {"TRIALS": "100000", "MAX_TOTAL_S": "100000"},
        ),
    ):
        text = add_section(text, title, words)
    try:
        return parse(text, rig.folder)
    except SettingsError as error:
        raise DeviceError(
            f"the latency test does not fit the settings: {_first(error.problems)}"
        ) from error


def _first(problems: Sequence[str]) -> str:
    more = len(problems) - 1
    return f"{problems[0]} (and {more} more)" if more else problems[0]
