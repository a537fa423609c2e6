"""Inter-camera synchronization of RealSense devices: leader, follower, external pulses.

The option belongs to the depth module and applies to the whole device. It stays set until
the device is unplugged, and the SDK refuses to change it while the module streams.
"""

from typing import TYPE_CHECKING, Any

from deeplabstream.plugin import DeviceError

if TYPE_CHECKING:
    from .camera import RealSense

FREE, LEADER, FOLLOWER, FULL_FOLLOWER, GENLOCK = range(5)
"""Values of `rs.option.inter_cam_sync_mode`. A follower synchronises depth and infrared, a
full follower colour too; both run by their own clock while pulses are missing. With genlock
one frame is exposed per pulse, and none without."""


def mode_of(camera: "RealSense") -> int:
    """Return the mode that the settings request."""
    if camera.leads:
        return LEADER
    if camera.trigger == "free":
        return FREE
    if camera.leader is None:
        return GENLOCK
    return FULL_FOLLOWER if camera.stream == "color" else FOLLOWER


def set_mode(device: Any, mode: int) -> tuple[str, ...]:
    """Set the mode unless it is set; return a sentence if only a simpler one is possible.

    DeviceError: the device cannot be synchronised as requested.
    """
    import pyrealsense2 as rs

    option = rs.option.inter_cam_sync_mode
    sensors = [s for s in device.query_sensors() if s.supports(option)]
    if not sensors or sensors[0].is_option_read_only(option):
        if mode == FREE:
            return ()
        raise DeviceError(
            "TRIGGER = line and LEADS = yes: this device or its firmware has no "
            "inter-camera synchronisation"
        )
    sensor = sensors[0]
    remarks: tuple[str, ...] = ()
    highest = int(sensor.get_option_range(option).max)
    if mode == GENLOCK and highest < GENLOCK:
        raise DeviceError(
            "TRIGGER = line without LEADER: this device or its firmware cannot follow "
            "external pulses. Update the firmware, or follow another RealSense (LEADER)"
        )
    if mode == FULL_FOLLOWER and highest < FULL_FOLLOWER:
        mode = FOLLOWER
        remarks = ("STREAM = color follows its own clock: only depth is synchronised",)
    now = int(sensor.get_option(option))
    if now == mode or (mode, now) == (FOLLOWER, FULL_FOLLOWER):
        return remarks
    sensor.set_option(option, float(mode))
    if int(sensor.get_option(option)) != mode:
        raise DeviceError(
            f"inter-camera synchronisation stayed in mode {now}; requested: {mode}"
        )
    return remarks
