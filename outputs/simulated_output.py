"""Simulated output: an output without a device."""

from pydantic.dataclasses import dataclass as settings

from deeplabstream.simulation.virtual_output import VirtualOutput


@settings(frozen=True, kw_only=True)
class SimulatedOutput(VirtualOutput):
    """No device; the levels are stored in `levels`."""
