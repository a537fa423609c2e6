"""Import of optional packages for computing."""

from importlib import import_module
from typing import Any

from deeplabstream.core.errors import ModelError, package_missing
from deeplabstream.startup.telemetry import turn_off_events, turn_off_telemetry


def package(name: str, purpose: str) -> Any:
    """Return a package with its telemetry turned off.

    All code that needs these packages uses this function. ModelError: `purpose` needs the
    package; the message says how to install it.
    """
    turn_off_telemetry()  # sets environment variables that are read at the import
    try:
        found = import_module(name)
        if name.partition(".")[0] == "onnxruntime":
            turn_off_events(import_module("onnxruntime"))
        return found
    except ModuleNotFoundError as error:
        raise ModelError(f"{purpose} {package_missing(error.name or name)}") from error
    except ImportError as error:  # a library that the package needs is missing
        reason = (str(error) or "no reason given").splitlines()[0]
        raise ModelError(
            f"{purpose} {package_missing(name)} --force-reinstall (the one that is there "
            f"can't be loaded: {reason})"
        ) from error
