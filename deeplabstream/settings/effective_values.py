"""What really counted in a run, said in the file or not: for the record."""

from types import NoneType
from typing import Any

from deeplabstream.settings.fields import Maker, keys_of
from deeplabstream.settings.sections import Settings

_PLAIN = (bool, int, float, str, NoneType)


def effective(settings: Settings) -> dict[str, object]:
    """Return whose data it is, and all values of what lies between picture and command.

    These are pose estimation, tracking of each camera, triggers, experiment, seeds too.
    """
    name = settings.experiment.exp_name
    chosen = settings.experiments.get(name)
    rules = settings.tracking
    return {
        "session": settings.subject.facts(),
        "pose": _values(settings.pose),
        "tracking": {
            camera: _values(rules.get(camera) or rules[""])
            for camera in settings.asked_of()
            if rules
        },
        "experiment": {"NAME": name, **_made(chosen)} if chosen else None,
        "triggers": {name: _made(maker) for name, maker in settings.triggers.items()},
    }


def _made(maker: Maker[Any]) -> dict[str, object]:
    return {"KIND": maker.kind.__name__, **_values(maker())}


def _values(made: object) -> dict[str, object]:
    """Return all keys with their values, numbers as numbers."""
    keys = keys_of(type(made)).items()
    return {key: _plain(getattr(made, attribute)) for key, (attribute, _) in keys}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value if isinstance(value, _PLAIN) else str(value)
