"""Settings of the latency test: the rig's own, with an LED or a screen in place of the animal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass as pydantic_dataclass

from deeplabstream.core.errors import DeviceError, SettingsError
from deeplabstream.plugins.input import BoardPinAddress, Input
from deeplabstream.plugins.output import Output, section_using
from deeplabstream.pose.led_detector import Led
from deeplabstream.settings.ini_editing import add_section, remove_section, set_value
from deeplabstream.settings.ini_reading import read_sections
from deeplabstream.settings.loading import parse
from deeplabstream.settings.option_fields import option, raises
from deeplabstream.settings.sections import Settings

LED, ANSWER = "latency led", "latency answer"
"""Names of the inputs that the test adds, by which their edges are recorded. A photodiode on a
screen patch takes the place of the LED."""
PATCH = "latency patch"
"""Name of the screen patch among the edges; it is painted by the test, not by the engine."""
NO_OUTPUT = "latency none"
"""Simulated output of a test without an output."""
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
"""Sections about animals, experiments and remotes, which the test does not use."""
_NOTHING = Led(0, 0, 1, 1, 255.0)


def _pin(default: int, title: str, description: str, lowest: int = 0) -> Any:
    return option(
        default=default,
        ge=lowest,
        le=127,
        title=title,
        description=description,
        metavar="PIN",
    )


@raises(DeviceError)
@pydantic_dataclass(frozen=True)
class Wiring:
    """Measured output, light source, and wiring of the board."""

    output: str = option(
        default="",
        title="Output",
        description="output that is measured; default: the only one; with `screen` none: "
        "half the loop is measured, no output is switched",
        metavar="NAME",
    )
    port: str = option(
        default="",
        title="Board",
        description="serial port of the board; default: that of the settings",
    )
    led_pin: int = _pin(13, "LED at pin", "pin of the board with the LED", 2)
    answer_pin: int = _pin(
        2,
        "Output read back at pin",
        "input of the board to which the output is wired",
        2,
    )
    active_low: bool = option(
        default=False,
        title="Active low",
        description="the output's line is low while it is on",
        advanced=True,
    )
    screen: int | None = option(
        default=None,
        ge=0,
        title="What flashes",
        description="a patch on this monitor flashes in place of the LED; 0: the main one; "
        "default: the LED flashes",
        metavar="NUMBER",
    )
    full_screen: bool = option(
        default=False,
        title="Full screen",
        description="the patch covers the monitor; default: 400 x 400 pixels in its top "
        "left corner",
        advanced=True,
    )
    photodiode_pin: int = _pin(
        0,
        "Photodiode at pin",
        "input of the board with a photodiode on the patch; 0: none",
    )
    photodiode_low: bool = option(
        default=False,
        description="whether that input is low while the patch is lit; set by the test",
        internal=True,
    )

    @property
    def half(self) -> bool:
        """Whether the test ends with the decision: no output is switched."""
        return not self.output

    @property
    def switched(self) -> str:
        """NAME of the output that the experiment of the test switches."""
        return self.output or NO_OUTPUT

    @property
    def flash_input(self) -> str:
        """Name of the input whose edges are the flashes."""
        painted = self.screen is not None and not self.photodiode_pin
        return PATCH if painted else LED

    @property
    def flash_word(self) -> str:
        """Name of the light source in messages."""
        return "LED" if self.screen is None else "patch"

    @property
    def flash_place(self) -> str:
        """Name and place of the light source in messages."""
        if self.screen is None:
            return f"the LED at pin {self.led_pin}"
        return f"the patch on screen {self.screen}"

    @property
    def pins(self) -> dict[str, int]:
        """The board's pins in use, by the option that chooses each."""
        pins = {}
        if self.screen is None:
            pins["--led-pin"] = self.led_pin
        elif self.photodiode_pin:
            pins["--photodiode-pin"] = self.photodiode_pin
        if not self.half:
            pins["--answer-pin"] = self.answer_pin
        return pins


def connections(wiring: Wiring, camera: str, flashes: int) -> list[str]:
    """Return what to connect before a test, and what will be switched, as sentences."""
    board = f"the board at {wiring.port}" if wiring.port else "the board"
    view = f"in view of [Camera {camera}]"
    steps = []
    if wiring.screen is None:
        steps.append(
            f"Connect an LED with its resistor to pin {wiring.led_pin} and ground of {board}, "
            f"and place it {view}."
        )
    else:
        steps.append(
            f"Place the upper left corner of screen {wiring.screen} {view}: a patch flashes "
            "there."
        )
        if wiring.photodiode_pin:
            steps.append(
                f"Put the photodiode on the patch, its line at pin {wiring.photodiode_pin} "
                f"of {board}."
            )
    if wiring.half:
        steps.append("No output is switched: the test ends with the decision.")
        return steps
    steps.append(
        f"Connect the line of [Output {wiring.output}] to pin {wiring.answer_pin} of {board}, "
        "and ground to ground."
    )
    steps.append(
        f"Take the animal out and block the laser: [Output {wiring.output}] is switched on "
        f"with each flash, about {flashes} times."
    )
    return steps


def wiring_of(settings: Settings, requested: Wiring | None = None) -> Wiring:
    """Return the wiring; options that are not given are taken from the settings.

    With a screen, no output is chosen unless it is asked for.

    DeviceError: an output or a board is missing, or a pin or monitor is in use.
    """
    requested = requested or Wiring()
    output = requested.output
    if requested.screen is None:
        if requested.photodiode_pin:
            raise DeviceError("a photodiode sees a patch: give its screen, --screen 0")
        if requested.full_screen:
            raise DeviceError("--full-screen needs a screen for the patch: --screen 0")
        output = output or _only_output(settings)
    if output and output not in settings.outputs:
        names = ", ".join(settings.outputs) or "none"
        raise DeviceError(f"no section [Output {output}]; there are: {names}")
    wiring = replace(requested, output=output)
    if not wiring.pins:
        return replace(wiring, port="")
    wiring = replace(wiring, port=requested.port or _only_port(settings, output))
    options: dict[int, str] = {}
    for name, pin in wiring.pins.items():
        if pin in options:
            raise DeviceError(
                f"{options[pin]} and {name} are both pin {pin}: use two pins"
            )
        options[pin] = name
        address = BoardPinAddress(wiring.port, pin)
        if used := section_using(address, settings.outputs, settings.inputs):
            raise DeviceError(
                f"pin {pin} of the board at {wiring.port} is that of {used}: choose another "
                f"pin with {name}"
            )
    _check_monitor(settings, wiring)
    return wiring


def _check_monitor(settings: Settings, wiring: Wiring) -> None:
    """Raise DeviceError when an output has a window on the patch's monitor."""
    for name, output in settings.outputs.items():
        used = getattr(output, "monitor", None)
        if wiring.screen is not None and used == wiring.screen and not wiring.half:
            raise DeviceError(
                f"screen {used} is that of [Output {name}]: show the patch on another one "
                "(--screen), use an LED, or leave out --output to measure half the loop"
            )


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
    devices: list[Output | Input] = [
        *([settings.outputs[output]] if output else []),
        *settings.outputs.values(),
        *settings.inputs.values(),
    ]
    for device in devices:
        if device.board_pin is not None:
            return device.board_pin.port
    raise DeviceError(
        "the settings name no board with our firmware (docs/board.md): give its serial "
        "port with --port"
    )


def settings_for_search(rig: Settings, wiring: Wiring, runs: Path) -> Settings:
    """Return settings for the search: LED or patch flash, and no network runs."""
    return _settings(rig, wiring, _NOTHING, runs, SEARCH_S, network=False)


def settings_for_loop(
    rig: Settings,
    wiring: Wiring,
    led: Led,
    runs: Path,
    every_s: float,
    network: bool,
) -> Settings:
    """Return settings with which the output follows the LED or the patch.

    `runs`: folder of the run; `every_s`: mean interval of the flashes; `network`: whether
    the rig's network runs on each frame.
    """
    return _settings(rig, wiring, led, runs, every_s, network)


def _settings(
    rig: Settings,
    wiring: Wiring,
    led: Led,
    runs: Path,
    every_s: float,
    network: bool,
) -> Settings:
    text, camera = rig.text, rig.deciding_camera
    unused = (*_OF_THE_RIG, "Output") if wiring.half else _OF_THE_RIG
    for title in read_sections(text).texts:
        if title != "Experiment" and title.partition(" ")[0] in unused:
            text = remove_section(text, title)

    # the detector of the LED wraps the deciding camera's network; no other camera is analysed
    own = rig.cameras[camera].model or rig.pose.model
    for name, settings in rig.cameras.items():
        if name == camera:
            text = set_value(text, f"Camera {name}", "MODEL", None)
        elif settings.model and settings.analyse:
            text = set_value(text, f"Camera {name}", "ANALYSE", "no")
    model = led.model(own if network else "")
    text = set_value(text, "Pose Estimation", "MODEL", model)
    # live crop needs a network
    if not network:
        text = set_value(text, "Pose Estimation", "LIVE_CROP", None)

    text = set_value(text, "Streaming", "OUTPUT_DIRECTORY", runs.as_posix())
    if not wiring.half:
        text = set_value(text, f"Output {wiring.output}", "THEN", None)
    for key, word in {
        "EXP_NAME": "latency",
        "CAMERA": camera,
        "EXP_TIME_S": None,
        "STOP_TRIGGER": None,
    }.items():
        text = set_value(text, "Experiment", key, word)

    x, y = led.centre
    for title, keys in (
        *_devices(wiring, every_s),
        (
            "Trigger latency led",
            {"KIND": "InsideRegion", "BODYPARTS": "led"}
            | {"REGION": f"circle {x:g} {y:g} 2", "CAMERA": camera},
        ),
        (
            "Experiment latency",
            {"KIND": "Conditional", "TRIGGER": "latency led"}
            | {"OUTPUT": wiring.switched, "MAX_ON_S": "10", "REST_S": "0"}
            | {"TRIALS": "100000", "MAX_TOTAL_S": "100000"},
        ),
    ):
        text = add_section(text, title, keys)

    try:
        return parse(text, rig.folder)
    except SettingsError as error:
        raise DeviceError(
            f"the latency test does not fit the settings: {_first(error.problems)}"
        ) from error


def _devices(wiring: Wiring, every_s: float) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the sections of the board's pins, and of the output of a half-loop test."""
    pin = {"KIND": "BoardInput", "PORT": wiring.port, "DEBOUNCE_MS": "0"}
    if wiring.screen is None:
        yield (
            f"Input {LED}",
            {"KIND": "BoardSync", "PORT": wiring.port, "PIN": str(wiring.led_pin)}
            | {"PATTERN": "flashes", "EVERY_S": f"{every_s:g}"},
        )
    elif wiring.photodiode_pin:
        low = "yes" if wiring.photodiode_low else "no"
        place = {"PIN": str(wiring.photodiode_pin), "ACTIVE_LOW": low}
        yield f"Input {LED}", pin | place
    if wiring.half:
        yield f"Output {NO_OUTPUT}", {"KIND": "SimulatedOutput"}
    else:
        low = "yes" if wiring.active_low else "no"
        place = {"PIN": str(wiring.answer_pin), "ACTIVE_LOW": low}
        yield f"Input {ANSWER}", pin | place


def _first(problems: Sequence[str]) -> str:
    more = len(problems) - 1
    return f"{problems[0]} (and {more} more)" if more else problems[0]
