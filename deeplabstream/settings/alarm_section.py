"""Alarm section: the addresses that get alarms, and the hours in which few are sent."""

from datetime import datetime
from pathlib import Path

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.settings.daily_span_setting import DailySpanSetting


@settings(frozen=True, kw_only=True)
class AlarmSection:
    """Alarms that are sent by e-mail, messenger or other services, by apprise."""

    address_file: Path = Field(
        description="file with one apprise address per line, such as "
        "mailto://NAME:PASSWORD@gmail.com, and if wanted one line heartbeat=URL, an "
        "address that is called once a minute while all is well; only you may be able to "
        "read it",
        title="File of addresses",
    )
    quiet_hours: DailySpanSetting | None = Field(
        None,
        description="times of day between which only urgent alarms are sent, the others in "
        "one message at the end; empty: none",
    )
    repeat_min: float = Field(
        30.0,
        ge=0,
        le=10_080,
        description="minutes in which the same alarm of the same box is not sent again",
        title="Same alarm again after (min)",
    )

    def is_quiet(self, moment: datetime) -> bool:
        """Return whether a moment, with its time zone, is in the quiet hours."""
        if self.quiet_hours is None:
            return False
        return next(self.quiet_hours.spans(moment, moment.tzinfo)).contains(moment)
