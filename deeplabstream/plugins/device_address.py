"""Device address: names a device that only one rig of this computer can use at a time."""

from typing import NamedTuple


class DeviceAddress(NamedTuple):
    """A device that two rigs cannot share, such as a serial port or a line of a DAQ device."""

    kind: str
    """Kind of the device, as in a sentence: `serial port`."""
    name: str
    """Name or number of the device; a path may be a link to it."""


def port_of(device: object) -> tuple[DeviceAddress, ...]:
    """Return the serial port in the field `port` of a plug-in; none: it has no such field.

    A number is a port of a network.
    """
    port = getattr(device, "port", None)
    return (DeviceAddress("serial port", port),) if isinstance(port, str) else ()
