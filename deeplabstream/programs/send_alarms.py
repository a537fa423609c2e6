"""Send the alarms of a rack to the addresses of its section [Alarms]; or a test message.

    python utils/SendAlarms.py rack.ini --test

The rack starts it by itself.
"""

import os
import platform
import threading
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path

from deeplabstream.core.clock import SystemClock
from deeplabstream.core.errors import DeepLabStreamError, check_packages
from deeplabstream.programs.program import Program
from deeplabstream.rack.alarms.address_file import read_addresses
from deeplabstream.rack.alarms.alarm_log import AlarmLog, alarm_log
from deeplabstream.rack.alarms.alarm_messages import AlarmDecoder, AlarmMessage, encode
from deeplabstream.rack.alarms.alarm_sender import AlarmSender, Inbox, RackClosed
from deeplabstream.rack.alarms.apprise_sending import senders
from deeplabstream.rack.alarms.heartbeat_address import (
    UNANSWERED,
    HeartbeatAddress,
    call_address,
)
from deeplabstream.settings.alarm_section import AlarmSection
from deeplabstream.settings.option_fields import option, program_options
from deeplabstream.settings.rack_file import RackFile, load_rack

_STDIN, _STDOUT = 0, 1


@program_options
class AlarmOptions:
    """The rack, and what is sent."""

    file: Path = option(positional=True, metavar="FILE")
    """Rack file."""
    test: bool = option(default=False)
    """Send a test message to each address, and call the heartbeat address."""
    by_rack: bool = option(default=False)
    """Read alarms from standard input until its end, and send them; the rack starts the
    program by this."""

    def __post_init__(self) -> None:
        if self.test == self.by_rack:
            raise DeepLabStreamError("a rack sends its alarms by itself: add test")


def run(options: AlarmOptions) -> int:
    """Send a test message, or alarms until the rack ends; return the exit code."""
    check_packages("sending alarms", ["apprise"])
    rack = load_rack(options.file)
    if rack.alarms is None:
        raise DeepLabStreamError(
            f"{rack.path.name} has no section [Alarms]: add one with ADDRESS_FILE"
        )
    if options.test:
        return send_test(_title(rack), rack.alarms)
    _send_until_end(rack, rack.alarms)
    return 0


def send_test(title: str, section: AlarmSection) -> int:
    """Send a test message to each address; return 1 if one did not accept it."""
    addresses = read_addresses(section.address_file)
    failures = 0
    for name, send in senders(addresses, section.address_file, print).items():
        accepted = send(title, "This is a test: alarms reach this address.")
        failures += not accepted
        print(f"{name}: {'accepted' if accepted else 'NOT accepted'}", flush=True)
    if addresses.heartbeat:
        try:
            call_address(addresses.heartbeat)
            print("heartbeat: answers", flush=True)
        except UNANSWERED as error:
            failures += 1
            reason = error if isinstance(error, OSError) else type(error).__name__
            print(f"heartbeat: does not answer: {reason}", flush=True)
    return 1 if failures else 0


def _send_until_end(rack: RackFile, section: AlarmSection) -> None:
    addresses = read_addresses(section.address_file)
    call = partial(call_address, addresses.heartbeat) if addresses.heartbeat else None
    # apprise's warnings may have secrets, and the output of a rack may be kept
    services = senders(addresses, section.address_file, lambda text: None)
    sender = AlarmSender(
        _title(rack),
        section,
        services,
        AlarmLog(alarm_log(rack.path)),
        _answer,
        SystemClock(),
        HeartbeatAddress(call),
    )
    threading.Thread(target=_read, args=(sender.inbox,), daemon=True).start()
    sender.run(lambda: datetime.now().astimezone())


def _read(inbox: Inbox) -> None:
    """Put the rack's messages into the inbox until the rack has ended."""
    decoder = AlarmDecoder()
    try:
        # not by sys.stdin: its lock would be held when the interpreter ends
        while data := os.read(_STDIN, 65536):
            for message in decoder.decode(data):
                inbox.put(message)
    except OSError:
        pass  # a closed pipe is an end of the rack as well
    inbox.put(RackClosed())


def _answer(message: AlarmMessage) -> None:
    with suppress(OSError):  # the rack has ended; the log has it all
        os.write(_STDOUT, encode(message))


def _title(rack: RackFile) -> str:
    return f"DeepLabStream {rack.path.stem} on {platform.node()}"


PROGRAM = Program(AlarmOptions, run, __doc__, "SendAlarms", uses_rig=False)
