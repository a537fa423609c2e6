"""Daily span as a setting: reads the two times of day of a settings file."""

from typing import Annotated

from pydantic import BeforeValidator

from deeplabstream.core.daily_span import DailySpan, read_daily_span


def _read(word: object) -> object:
    return read_daily_span(word) if isinstance(word, str) else word


DailySpanSetting = Annotated[DailySpan, BeforeValidator(_read)]
"""A daily span that is written as a text such as `19:00 - 07:00`."""
