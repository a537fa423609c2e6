"""Stimulations of DeepLabStream 1's experiment files, which are outputs now."""

from dataclasses import dataclass

from deeplabstream.plugins.discovery import discover
from deeplabstream.settings.fields import keys_of
from deeplabstream.settings.loading import FAMILIES
from deeplabstream.settings.v1_import.key_conversion import Made, Old, OldFile

_NOT_YET = (
    "this kind of output does not exist here; [Output {name}] is simulated. See "
    "docs/outputs.md for the kinds of outputs"
)


@dataclass(frozen=True)
class Stimulation:
    """Output of an experiment."""

    output: str = ""
    """Its NAME; empty: it could not be converted."""
    removal: str = ""
    on_s: str = ""
    """On-time as written there; empty: not given."""
    removal_s: str = ""


def carry_stimulation(old: OldFile, made: Made, name: str) -> Stimulation:
    """Convert the stimulation of that class."""
    if not old.has(name):
        made.sentences.append(
            f"[{name}]: the section is missing, so the output is missing too"
        )
    match name.casefold():
        case "basestimulation":
            seconds = old.word(name, "STIM_TIME")
            _device(old, made, name, "stimulus", "PORT")
            return Stimulation("stimulus", on_s=seconds)
        case "rewarddispenser":
            return _reward(old, made, name)
        case "screenstimulation":
            return _screen(old, made, name)
    made.sentences.append(
        f"the stimulation {name} is your own class: write an [Output stimulus] "
        "instead (docs/outputs.md)"
    )
    made.put("Output stimulus", "KIND", "SimulatedOutput")
    return Stimulation("stimulus")


def _reward(old: OldFile, made: Made, name: str) -> Stimulation:
    seconds, removal_s = old.word(name, "STIM_TIME"), old.word(name, "REMOVAL_TIME")
    kind, host = old.take(name, "TYPE"), old.take(name, "IP")
    _write(old.take(name, "STIM_PORT"), kind, host, made, "reward")
    _write(old.take(name, "REMOVAL_PORT"), kind, host, made, "removal")
    return Stimulation("reward", "removal", seconds, removal_s)


def _screen(old: OldFile, made: Made, name: str) -> Stimulation:
    kind, path = old.take(name, "TYPE"), old.take(name, "STIM_PATH")
    made.put("Output screen", "KIND", "Screen")
    if kind is not None and kind.word.casefold() == "video":
        video = "VIDEO" in _keys("Screen")
        made.carry("Output screen", "VIDEO" if video else "IMAGE", path)
        if not video:
            made.report(kind, "the screen shows images: choose one for IMAGE")
    else:
        made.carry("Output screen", "IMAGE", path)
    made.report(
        old.take(name, "BACKGROUND_PATH"),
        "while it is off, the screen shows the colour BACKGROUND = #rrggbb",
    )
    seconds = old.word(name, "STIM_TIME")
    return Stimulation("screen", on_s=seconds)


def _device(old: OldFile, made: Made, section: str, name: str, port: str) -> None:
    _write(
        old.take(section, port),
        old.take(section, "TYPE"),
        old.take(section, "IP"),
        made,
        name,
    )


def _write(
    port: Old | None, kind: Old | None, host: Old | None, made: Made, name: str
) -> None:
    title, word = f"Output {name}", (kind.word if kind else "").upper()
    if word == "NI" and "NiDigital" in _kinds():
        made.put(title, "KIND", "NiDigital", kind)
        made.carry(title, "LINE", port)
    elif word == "ARDUINO":
        made.put(title, "KIND", "SerialLine", kind)
        made.carry(title, "PORT", port)
        for key, value in {
            "BAUDRATE": "9600",
            "ON_BYTES": "H",
            "OFF_BYTES": "L",
        }.items():
            made.put(title, key, value)
    elif word in ("RASPBERRY", "RASP_NETWORK") and "GpioPin" in _kinds():
        made.put(title, "KIND", "GpioPin", kind)
        made.carry(title, "PIN", port)
        if word == "RASP_NETWORK" and "HOST" in _keys("GpioPin"):
            made.carry(title, "HOST", host)
            host = None
    else:
        made.put(title, "KIND", "SimulatedOutput", kind)
        made.report(port, _NOT_YET.format(name=name))
        made.report(kind, _NOT_YET.format(name=name))
    if host is not None and host.word:
        made.report(host, f"[Output {name}] needs no address")


def _kinds() -> dict[str, type]:
    folder, contract = FAMILIES["Output"]
    return dict(discover(folder, contract).classes)


def _keys(kind: str) -> set[str]:
    return set(keys_of(_kinds()[kind])) if kind in _kinds() else set()
