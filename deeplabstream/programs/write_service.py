"""Write a service that starts a rack or a rig with the computer, such as after a power cut.

    python utils/WriteService.py rack.ini
    python utils/WriteService.py rigs/left --output left.service

A rack file is run by `deeplabstream rack`; a rig's settings file or folder by its experiment,
without a window. Without --output the service is printed. How to install it is printed too;
nothing is installed.
"""

import getpass
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from deeplabstream.core.errors import DeepLabStreamError, DeviceError
from deeplabstream.files.atomic_replace import atomic_file
from deeplabstream.files.overwriting import check_free
from deeplabstream.files.paths import ROOT
from deeplabstream.files.rig_folder import SETTINGS
from deeplabstream.programs.program import Program
from deeplabstream.programs.shared_options import overwrite
from deeplabstream.rack.service_definition import ServiceDefinition
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.settings.rack_file import is_rack_file

_SYSTEMD, _WINDOWS = "systemd", "windows"
_HERE = _WINDOWS if sys.platform == "win32" else _SYSTEMD


@program_options
class ServiceOptions:
    """What is started, and where its service is written."""

    file: Path = option(positional=True, metavar="RIG_OR_RACK")
    """Rack file, settings file or rig folder."""
    system: str = option(default=_HERE, choices=(_SYSTEMD, _WINDOWS))
    """Unit for systemd of Linux, or task for the task scheduler of Windows; by default that of
    this computer."""
    output: Path | None = option(default=None, metavar="FILE")
    """Write the service here; a task for Windows needs it, as its file is UTF-16."""
    overwrite: bool = overwrite()

    def __post_init__(self) -> None:
        if self.system == _WINDOWS and self.output is None:
            raise DeepLabStreamError("a task for Windows needs output")


def write_service(options: ServiceOptions) -> int:
    """Print or write the service, and how to install it."""
    check_free([options.output], options.overwrite)
    service = defined(options.file)
    if options.system == _WINDOWS:
        user = "\\".join(
            filter(None, [os.environ.get("USERDOMAIN"), getpass.getuser()])
        )
        text, encoding = service.windows_task(user), "utf-16"
    else:
        text, encoding = service.systemd_unit(), "utf-8"

    if options.output is None:
        print(text)
    else:
        _write(options.output, text, encoding)
    for line in _how_to_install(service, options):
        print(line, file=sys.stderr)
    return 0


def defined(path: Path) -> ServiceDefinition:
    """Return the service of a rack file, settings file or rig folder."""
    file = (path / SETTINGS if path.is_dir() else path).resolve()
    if not file.is_file():
        raise DeepLabStreamError(f"{file} does not exist; name a rack file or a rig")
    rack = is_rack_file(file)
    if rack:
        words = [str(ROOT / "utils" / "RunRack.py"), str(file)]
        words += ["--headless", "--resume"]
    else:
        words = [str(ROOT / "DeepLabStream.py"), "--settings", str(file)]
        words += ["--experiment", "--headless"]
    title = file.stem if rack or file.name != SETTINGS else file.parent.name
    return ServiceDefinition(
        name="deeplabstream-" + re.sub(r"[^\w-]+", "-", title, flags=re.ASCII),
        about=f"DeepLabStream: {'rack' if rack else 'rig'} {title}",
        command=[sys.executable, *words],
        folder=file.parent,
    )


def _write(file: Path, text: str, encoding: str) -> None:
    try:
        with atomic_file(file) as draft:
            draft.write_text(text, encoding)
    except OSError as error:
        raise DeviceError(f"Can't write {file}: {error.strerror or error}") from error


def _how_to_install(
    service: ServiceDefinition, options: ServiceOptions
) -> Iterator[str]:
    yield "Nothing is installed yet. To install it:"
    if options.system == _WINDOWS:
        yield f'    schtasks /Create /TN {service.name} /XML "{options.output}"'
        yield f"To start it now: schtasks /Run /TN {service.name}"
        return
    file = options.output or Path(f"{service.name}.service")
    unit = f"~/.config/systemd/user/{service.name}.service"
    yield "    mkdir -p ~/.config/systemd/user"
    yield f'    cp "{file}" {unit}'
    yield f"    systemctl --user enable --now {service.name}"
    yield "    loginctl enable-linger    # start with the computer, without a log-in"
    yield f"To stop it: systemctl --user stop {service.name}"


PROGRAM = Program(
    ServiceOptions, write_service, __doc__, "WriteService", uses_rig=False
)
