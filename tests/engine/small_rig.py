"""A small rig as settings.ini would say it."""

from pathlib import Path

import pytest

from deeplabstream.core.errors import SettingsError
from deeplabstream.settings.loading import parse

FOLDER = Path("somewhere").resolve()
RIG = """
[Camera arena]
KIND = SimulatedCamera
[Trigger corner]
KIND = InsideRegion
BODYPARTS = snout, tail
REGION = circle 10 20 30
[Output laser]
KIND = SimulatedOutput
[Experiment light]
KIND = Optogenetic
TRIGGER = corner
OUTPUT = laser
"""


def problems(text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse(text, FOLDER)
    return list(caught.value.problems)
