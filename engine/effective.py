"""What really counted in a run, said in the file or not: for the record."""

from types import NoneType
from typing import Any

from engine.fields import Maker, keys_of
from engine.sections import Settings

_PLAIN = (bool, int, float, str, NoneType, tuple)


def effective(settings: Settings) -> dict[str, object]:
    """Return all values of experiment and triggers, seeds too, and whose data it is."""
    name = settings.experiment.exp_name
    chosen = settings.experiments.get(name)
    return {
        "session": settings.subject.facts(),
        "experiment": {"NAME": name, **_values(chosen)} if chosen else None,
        "triggers": {name: _values(made) for name, made in settings.triggers.items()},
    }


def _values(maker: Maker[Any]) -> dict[str, object]:
    """Return KIND and all keys with their values, numbers as numbers."""
    made = maker()
    values = {
        key: getattr(made, attribute)
        for key, (attribute, _) in keys_of(maker.kind).items()
    }
    return {"KIND": maker.kind.__name__} | {
        key: value if isinstance(value, _PLAIN) else str(value)
        for key, value in values.items()
    }
