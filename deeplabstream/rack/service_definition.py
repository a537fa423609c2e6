"""Service definition: what starts a program with the computer, for systemd or Windows."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from deeplabstream.core.errors import DeepLabStreamError

_STOPS_S = 120
"""Time in which everything has ended after a request."""


@dataclass(frozen=True)
class ServiceDefinition:
    """A program that the computer starts."""

    name: str
    """Without the ending of a unit; a space is `-`."""
    about: str
    command: Sequence[str]
    folder: Path
    """Working directory."""

    def __post_init__(self) -> None:
        for text in (self.name, *self.command, str(self.folder)):
            if not text.isprintable():
                raise DeepLabStreamError(
                    f"{text!r} has a character that a service can't have: rename the file"
                )

    def systemd_unit(self) -> str:
        """Return a unit for the user's own systemd.

        It is restarted when a signal has ended it, not after an exit code, which an end with
        an alarm has too: an experiment that has ended must not start again.
        """
        command = " ".join(_unit_word(word) for word in self.command)
        return f"""\
[Unit]
Description={_percent(self.about)}

[Service]
Type=exec
WorkingDirectory={_percent(str(self.folder))}
ExecStart={command}
StandardInput=null
Restart=on-abnormal
RestartSec=10
# boxes end when their input ends; guards, which switch outputs off, and the process that sends
# alarms must outlive the main process
KillMode=process
# a box that ends for lack of memory ends alone
OOMPolicy=continue
TimeoutStopSec={_STOPS_S}

[Install]
WantedBy=default.target
"""

    def windows_task(self, user: str) -> str:
        """Return a task for the task scheduler of Windows, run as `user` without a log-in."""
        program, *words = self.command
        arguments = subprocess.list2cmdline(words)
        return f"""\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>{escape(self.about)}</Description>
  </RegistrationInfo>
  <Triggers>
    <BootTrigger>
      <Enabled>true</Enabled>
    </BootTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author">
      <UserId>{escape(user)}</UserId>
      <LogonType>S4U</LogonType>
      <RunLevel>LeastPrivilege</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>5</Priority>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{escape(program)}</Command>
      <Arguments>{escape(arguments)}</Arguments>
      <WorkingDirectory>{escape(str(self.folder))}</WorkingDirectory>
    </Exec>
  </Actions>
</Task>
"""


def _percent(text: str) -> str:
    """Return a text in which systemd replaces nothing."""
    return text.replace("%", "%%")


def _unit_word(word: str) -> str:
    r"""Return a word of a command line as systemd reads it.

    >>> print(_unit_word('/data/a b/100%/"$1"'))
    "/data/a b/100%%/\"$$1\""
    """
    plain = _percent(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{plain}"'
