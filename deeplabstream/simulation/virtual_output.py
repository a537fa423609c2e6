"""Virtual output: an output without a device, for demonstrations, replays and tests."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, fields, replace
from typing import Any, ClassVar

from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugins.output import Output, Write


@settings(frozen=True, kw_only=True)
class VirtualOutput(Output):
    """No device; the levels are stored in `levels`."""

    exact: ClassVar[bool] = True

    levels: list[float] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """Yield a function that stores the levels."""
        yield self.levels.append


def virtual_outputs(outputs: Mapping[str, Output]) -> dict[str, Output]:
    """Return virtual outputs with the limits and followers of these outputs."""
    shared = [field.name for field in fields(Output)]
    return {
        name: VirtualOutput(**{key: getattr(output, key) for key in shared})
        for name, output in outputs.items()
    }


def without_dose_limits(outputs: Mapping[str, Output]) -> dict[str, Output]:
    """Return outputs without limits per hour and day, so that no doses are kept."""

    def none(output: Output) -> dict[str, Any]:
        return {limit.key.lower(): 0 for limit in output.declared_limits}

    return {name: replace(it, **none(it)) for name, it in outputs.items()}
