"""Apprise sending: sends texts to the addresses of services."""

import logging
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from deeplabstream.core.errors import DeviceError
from deeplabstream.rack.alarms.address_file import Addresses
from deeplabstream.rack.alarms.address_queue import Send


def senders(
    addresses: Addresses, file: object, problem: Callable[[str], object]
) -> dict[str, Send]:
    """Return what sends to each address, by its name; DeviceError: one is not valid.

    `problem` gets apprise's warnings, which may have secrets: show them to the user only.
    """
    logger = logging.getLogger("apprise")
    logger.addHandler(_Problems(problem))
    logger.propagate = False
    found: dict[str, Send] = {}
    wrong = []
    with warnings.catch_warnings():
        # its module for e-mail imports one that Python is about to remove
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise

        for name, address in zip(addresses.names, addresses.alarms, strict=True):
            service = apprise.Apprise.instantiate(address)
            if service is None:
                wrong.append(name)
            else:
                found[name] = partial(_sent, service)
    if wrong:
        raise DeviceError(
            f"[Alarms] ADDRESS_FILE = {file}: unknown to apprise: {', '.join(wrong)}; "
            "https://github.com/caronc/apprise/wiki lists the forms"
        )
    return found


def _sent(service: Any, title: str, text: str) -> bool:
    return bool(service.notify(title=title, body=text, body_format="text"))


class _Problems(logging.Handler):
    """Passes on warnings of apprise."""

    def __init__(self, problem: Callable[[str], object]) -> None:
        super().__init__(logging.WARNING)
        self._problem = problem

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on the text of a warning."""
        self._problem(record.getMessage())
