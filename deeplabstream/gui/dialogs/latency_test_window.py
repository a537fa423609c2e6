"""Latency test window: lists of the rig's outputs, ports and screens, and what to connect."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PyQt5.QtGui import QGuiApplication
from PyQt5.QtWidgets import QWidget

from deeplabstream.core.errors import DeviceError
from deeplabstream.gui.dialogs.program_window import FormWindow
from deeplabstream.gui.form_fields import FormField, form_fields
from deeplabstream.gui.programs import ProgramForm, Values
from deeplabstream.gui.suggestions import serial_ports, usb_ports
from deeplabstream.latency_test.latency_result import read_sentences
from deeplabstream.latency_test.led_rig import Wiring, connections, wiring_of
from deeplabstream.programs.measure_latency import MeasureLatency
from deeplabstream.settings.option_fields import option_fields, option_name
from deeplabstream.settings.sections import Settings

_SCREEN, _OUTPUT, _PORT, _YES = "--screen", "--output", "--port", "--yes"
_LED_PIN, _ANSWER_PIN, _DIODE = "--led-pin", "--answer-pin", "--photodiode-pin"
_FULL_SCREEN, _LOW = "--full-screen", "--active-low"
_ORDER = (_SCREEN, _OUTPUT, _PORT, _LED_PIN, _ANSWER_PIN)
_FORM_WIDTH = 420  # px
_WRITTEN = re.compile(r"^written: (.+)$", re.MULTILINE)


class LatencyTestWindow(FormWindow):
    """Form of `utils/MeasureLatency.py` for a rig, with a result in words."""

    def __init__(self, settings: Settings, file: Path, parent: QWidget) -> None:
        values: dict[str, list[str]] = {"--settings": [str(file)]}
        outputs, port = [*settings.outputs], ""
        try:
            wiring = wiring_of(settings)
            outputs = [wiring.output, *(n for n in outputs if n != wiring.output)]
            port = wiring.port
        except DeviceError:  # several outputs, or no board: the user chooses
            port = _port_of_boards(settings) or next(iter(usb_ports()), "")
        if port:
            values[_PORT] = [port]
        program = latency_form(settings, outputs, port)
        models = settings.folder / "models"
        super().__init__(program, values, models, parent, _FORM_WIDTH)


def latency_form(settings: Settings, outputs: list[str], port: str) -> ProgramForm:
    """Return the form for a rig; the first of `outputs` is proposed, and the board's `port`."""
    first = outputs[:1]
    return ProgramForm(
        "Measure latency",
        "MeasureLatency.py",
        "Measure",
        "Measures the time from the camera's exposure to the change of an output, with a "
        "light that flashes in place of the animal. It takes about 3 minutes, with the saved "
        "settings. More in docs/latency_test.md.",
        _fields(outputs, port),
        switches_outputs=True,
        # for a test of a screen, only an output that the user selects is switched
        propose=lambda values, _: {_OUTPUT: [] if values.get(_SCREEN) else first},
        consequence=lambda values: _connections(settings, values),
        unused=_unused,
        check=lambda values: _why_not(settings, values),
        result=_result,
    )


def _fields(outputs: list[str], port: str) -> tuple[FormField, ...]:
    """Return the fields, lists of this rig in place of free text; the confirmation is last."""
    known = {field.key: field for field in form_fields(MeasureLatency)}
    screens = {
        f"patch on screen {number}: {screen.name()}": str(number)
        for number, screen in enumerate(QGuiApplication.screens())
    }
    known[_SCREEN] = replace(
        known[_SCREEN], kind="choice", choices={"LED at a board": "", **screens}
    )
    names = {"none, up to the decision": "", **{name: name for name in outputs}}
    known[_OUTPUT] = replace(known[_OUTPUT], kind="choice", choices=names)
    ports = [*([port] if port else []), *(p for p in serial_ports() if p != port)]
    known[_PORT] = replace(
        known[_PORT], kind="choice", choices={name: name for name in ports}, free=True
    )
    known[_DIODE] = replace(known[_DIODE], advanced=True)
    first = [known.pop(key) for key in _ORDER]
    last = known.pop(_YES)
    return (*first, *known.values(), last)


def _unused(values: Values) -> set[str]:
    """Return the fields without effect: of a screen or an LED, and of what is not wired."""
    patch, output = bool(values.get(_SCREEN)), bool(values.get(_OUTPUT))
    diode = values.get(_DIODE, ["0"]) != ["0"]
    unused = {_LED_PIN} if patch else {_DIODE, _FULL_SCREEN}
    if not output:
        unused |= {_ANSWER_PIN, _LOW}
    if patch and not output and not diode:
        unused.add(_PORT)
    return unused


def _wiring(values: Values) -> Wiring:
    """Return the wiring in the form; fields without effect are left out."""
    unused, chosen = _unused(values), dict[str, Any]()
    for name, info in option_fields(Wiring).items():
        key = option_name(name, info)
        given = values.get(key, ())
        if given and key not in unused:
            chosen[name] = True if info.annotation is bool else given[0]
    return Wiring(**chosen)


def _why_not(settings: Settings, values: Values) -> str:
    if not values.get(_SCREEN) and not values.get(_OUTPUT):
        return "Output: choose one, or let a patch on a screen flash."
    try:
        wiring_of(settings, _wiring(values))
    except DeviceError as error:
        return f"{error}."
    return ""


def _connections(settings: Settings, values: Values) -> str:
    """Return what to connect, numbered."""
    flashes = int(values.get("--flashes", ["0"])[0])
    steps = connections(_wiring(values), settings.deciding_camera, flashes)
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))


def _result(output: str) -> str:
    found = _WRITTEN.findall(output)
    return "\n".join(read_sentences(Path(found[-1].strip()))) if found else ""


def _port_of_boards(settings: Settings) -> str:
    """Return the port of a board that the settings name; empty: none."""
    devices: Mapping[str, Any] = {**settings.outputs, **settings.inputs}
    pins = (device.board_pin for device in devices.values())
    return next((pin.port for pin in pins if pin is not None), "")
