"""Errors with a message for the user, and the context that adds the settings section.

DeepLabStreamError
├── SettingsError      the settings are wrong; all problems at once
├── DeviceError        a camera, an output, a file or a run can't be used
├── ModelError         a network can't be used
└── ExperimentError    an experiment broke a rule of plans
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class DeepLabStreamError(Exception):
    """An error that the user can correct; its text is one sentence for the user."""


class SettingsError(DeepLabStreamError):
    """The settings are wrong; `problems` names each section and key."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type["SettingsError"], tuple[tuple[str, ...]]]:
        """Return what rebuilds the error in another process."""
        return SettingsError, (self.problems,)


class DeviceError(DeepLabStreamError):
    """A camera or an output can't be opened, or stopped working."""


class ModelError(DeepLabStreamError):
    """A network can't be loaded, or does not fit what is asked of it."""


class ExperimentError(DeepLabStreamError):
    """An experiment broke a rule of plans."""


_PACKAGES = {"serial": "pyserial", "zmq": "pyzmq", "pythonosc": "python-osc"}
"""Packages to install, by the names of their modules, where these differ."""


def package_missing(name: str) -> str:
    """Return the message about a module that can't be imported.

    >>> package_missing("zmq.utils")
    "needs the package 'zmq': pip install pyzmq"
    """
    top = name.partition(".")[0]
    return f"needs the package {top!r}: pip install {_PACKAGES.get(top, top)}"


@contextmanager
def error_context(section: str) -> Iterator[None]:
    """Turn a driver's error into a `DeviceError` that names its settings section.

    Any exception of a driver becomes `[Output laser] could not open port COM3: …`. Other
    errors of DeepLabStream, such as `ModelError`, pass unchanged.
    """
    try:
        yield
    except DeviceError as error:
        text = str(error)
        if text.startswith("["):
            raise
        raise DeviceError(f"[{section}] {text}") from error
    except DeepLabStreamError:
        raise
    except ImportError as error:
        text = f"[{section}] {package_missing(error.name or str(error))}"
        raise DeviceError(text) from error
    except Exception as error:
        text = str(error) or type(error).__name__
        raise DeviceError(f"[{section}] {text}") from error
