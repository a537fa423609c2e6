"""Settings of a classifier of behaviours."""

from pathlib import Path

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugins.trigger import AnimalName


@settings(frozen=True, kw_only=True)
class Classification:
    """A classifier of behaviours: `[Trigger NAME]` with KIND = Behaviour looks at it."""

    folder: Path = Field(
        description="what utils/TrainClassifier.py or utils/ConvertClassifier.py made: a "
        "path, or the name of a folder under models/",
    )
    camera: str = Field(
        "", description="whose poses it sees; empty: those of the one that decides"
    )
    animal: AnimalName = Field(
        "1", description="of several animals the one whose behaviour it tells"
    )
