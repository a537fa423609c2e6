"""Publish the states of a rack's boxes at an MQTT broker, for dashboards of a lab.

    python utils/PublishRack.py rack.ini --broker mqtt.lab.example

It is a program of its own, which reads the states as the page in the browser does: a broker
that is down changes nothing on a rig. It receives no messages, so no command can come through
the broker. Topics: deeplabstream/COMPUTER/RACK/state (online; offline by last will), /rack,
/boxes/NAME (JSON); all are retained.
"""

import platform
from contextlib import closing
from pathlib import Path

from deeplabstream.core.clock import SystemClock, rest
from deeplabstream.core.errors import DeepLabStreamError, check_packages
from deeplabstream.engine.processes.termination import termination
from deeplabstream.files.exclusive_writing import is_locked
from deeplabstream.plugins.remote import is_loopback
from deeplabstream.programs.program import Program
from deeplabstream.rack.box_views import RackReader
from deeplabstream.rack.state_publisher import Broker, StatePublisher
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.settings.rack_file import RackFile, load_rack

_INTERVAL_S = 1.0


@program_options
class PublishOptions:
    """The rack, and the broker."""

    file: Path = option(positional=True, metavar="FILE")
    """Rack file."""
    broker: str = option(default="127.0.0.1", metavar="HOST")
    """Address of the broker."""
    port: int | None = option(default=None, ge=1, le=65535)
    """Port of the broker; default: 1883, with tls 8883."""
    user: str = option(default="", metavar="NAME")
    """User name at the broker."""
    password_file: Path | None = option(default=None, metavar="FILE")
    """File with the password of the user."""
    tls: bool = option(default=False)
    """Encrypt the connection, and check the certificate of the broker."""
    authority: Path | None = option(default=None, metavar="FILE")
    """Certificate of the authority that has signed that of the broker, PEM."""

    def __post_init__(self) -> None:
        if self.password_file is not None and not self.user:
            raise DeepLabStreamError("password_file is for a user: add user")
        if self.authority is not None and not self.tls:
            raise DeepLabStreamError("authority is for encryption: add tls")
        if self.password_file and not (self.tls or is_loopback(self.broker)):
            raise DeepLabStreamError(
                "password_file: others could read the password on the network; add tls"
            )


def run(options: PublishOptions) -> int:
    """Publish until Ctrl-C; return the exit code."""
    check_packages("publishing", ["paho"])
    rack = load_rack(options.file)
    broker = Broker(
        options.broker,
        options.port or (8883 if options.tls else 1883),
        options.user,
        _password(options.password_file),
        options.tls,
        options.authority,
    )
    root = topic_root(platform.node(), rack)
    clock = SystemClock()
    reader = RackReader(rack, clock)
    with (
        termination() as requests,
        closing(StatePublisher(broker, root, clock)) as publisher,
    ):
        # once this is read, a signal ends the program in order
        print(f"Publishing as {root} at {broker.host}:{broker.port}.", flush=True)
        connected = False
        while not requests.requested:
            publisher.publish(reader.boxes(), is_locked(rack.path))
            if publisher.connected != connected:
                connected = publisher.connected
                state = "accepts messages" if connected else "does not answer"
                print(f"The broker {state}.", flush=True)
            rest(_INTERVAL_S)
        return requests.exit_code(0, ctrl_c=0)


def topic_root(computer: str, rack: RackFile) -> str:
    """Return the first part of the topics of a rack, without letters that topics reserve."""
    parts = ("deeplabstream", computer, rack.path.stem)
    reserved = str.maketrans("/+#", "___")
    return "/".join(part.translate(reserved) for part in parts)


def _password(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        return file.read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DeepLabStreamError(
            f"password_file {file} can't be read: {error}"
        ) from error


PROGRAM = Program(PublishOptions, run, __doc__, "PublishRack", uses_rig=False)
