"""Address file: where alarms are sent to; it holds passwords, so only its user may read it."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from deeplabstream.core.errors import DeviceError

_HEARTBEAT = "heartbeat="


@dataclass(frozen=True)
class Addresses:
    """The addresses of a file."""

    alarms: tuple[str, ...]
    """Addresses of apprise."""
    heartbeat: str = ""
    """Address that is called once a minute while all is well; empty: none."""

    @property
    def names(self) -> list[str]:
        """Return what records and messages call the alarm addresses, without secrets.

        >>> Addresses(("mailto://me:word@lab.org", "tgram://token/1")).names
        ['mailto (line 1)', 'tgram (line 2)']
        """
        schemes = [address.partition(":")[0] for address in self.alarms]
        return [f"{scheme} (line {n})" for n, scheme in enumerate(schemes, 1)]


def read_addresses(file: Path) -> Addresses:
    """Return the addresses in a file; DeviceError: it has a problem. No secret is in it."""
    name = f"[Alarms] ADDRESS_FILE = {file}"
    try:
        text = file.read_text("utf-8-sig")
        mode = file.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text file"
        raise DeviceError(f"{name} can't be read: {reason}") from error
    # Windows has no such permissions: there, the user's folders are private
    if os.name != "nt" and stat.S_IMODE(mode) & 0o077:
        raise DeviceError(f"{name}: others can read it; type: chmod 600 {file}")

    alarms, heartbeat = [], ""
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith("#"):
            continue
        if line.lower().startswith(_HEARTBEAT):
            heartbeat = line[len(_HEARTBEAT) :].strip()
            if not _is_web_address(heartbeat):
                raise DeviceError(
                    f"{name}, line {number}: heartbeat= needs http(s)://, no spaces"
                )
        elif "://" in line:
            alarms.append(line)
        else:
            raise DeviceError(
                f"{name}, line {number}: no address such as mailto://NAME:PASSWORD@gmail.com"
            )
    if not alarms:
        raise DeviceError(f"{name}: it has no address to send alarms to")
    return Addresses(tuple(alarms), heartbeat)


def _is_web_address(word: str) -> bool:
    if " " in word or not word.isprintable():
        return False
    try:
        parts = urlsplit(word)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
