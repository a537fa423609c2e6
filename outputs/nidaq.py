"""Lines and voltages of National Instruments devices, through NI-DAQmx."""

import re
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass as settings

from deeplabstream.plugin import DeviceAddress, DeviceError, Output, Write

from .background_writer import HANG_S, background_write

if TYPE_CHECKING:
    import nidaqmx

ANSWER_S = 5.0
"""Longest wait for an answer from another computer."""


@settings(frozen=True, kw_only=True)
class _NiOutput(Output):
    """Settings of digital lines and voltages."""

    packages: ClassVar[tuple[str, ...]] = ("nidaqmx", "nidaqmx.stream_writers", "grpc")

    host: str = Field(
        "",
        description="computer:port of NI's gRPC device server; empty: a device of this "
        "computer",
    )

    @property
    def occupied(self) -> tuple[DeviceAddress, ...]:
        """The line or channel."""
        name = f"{self.host}/{self._place}" if self.host else self._place
        return (DeviceAddress("NI line", name),)

    @contextmanager
    def opened(self) -> Iterator[Write]:
        """Reserve the line or channel; a thread writes to it."""
        import nidaqmx.errors

        try:
            with (
                self._task() as task,
                background_write(_sentence(self._writer(task))) as write,
            ):
                yield write
        except nidaqmx.errors.Error as error:
            raise DeviceError(_short(error)) from error

    @contextmanager
    def _task(self) -> "Iterator[nidaqmx.Task]":
        """Create a task with one channel, or take over that of an engine that was killed.

        NI's server keeps the tasks of a client that has ended, with their lines reserved.
        """
        import nidaqmx

        if not self.host:
            with nidaqmx.Task() as task:
                self._add_channel(task)
                task.start()
                yield task
            return
        import grpc

        name = "DeepLabStream_" + re.sub(r"\W+", "_", self._place)
        with ExitStack() as stack:
            channel = stack.enter_context(grpc.insecure_channel(self.host))
            try:
                grpc.channel_ready_future(channel).result(timeout=ANSWER_S)
            except grpc.FutureTimeoutError as error:
                raise DeviceError(
                    f"HOST = {self.host} does not answer; does NI's gRPC device server "
                    "run there?"
                ) from error
            options = nidaqmx.GrpcSessionOptions(channel, name)
            task = nidaqmx.Task(name, grpc_options=options)
            stack.enter_context(closing(task))
            if not task.channel_names:
                self._add_channel(task)
                task.start()
            yield task

    @property
    @abstractmethod
    def _place(self) -> str:
        """The line or channel."""

    @abstractmethod
    def _add_channel(self, task: "nidaqmx.Task") -> None:
        """Add the one channel."""

    @abstractmethod
    def _writer(self, task: "nidaqmx.Task") -> Write:
        """Return a function that writes a level with one driver call."""


@settings(frozen=True, kw_only=True)
class NiDigital(_NiOutput):
    """A digital line of an NI device: on is high."""

    line: str = Field(
        pattern=r"^[^/,:]+/(port\d+/line\d+|PFI\d+)$",
        description="line, such as Dev1/port0/line3 or Dev1/PFI6",
        examples=["Dev1/port0/line3"],
    )
    active_low: bool = Field(False, description="yes: on is low")

    @property
    def _place(self) -> str:
        return self.line

    def _add_channel(self, task: "nidaqmx.Task") -> None:
        task.do_channels.add_do_chan(self.line)

    def _writer(self, task: "nidaqmx.Task") -> Write:
        from nidaqmx.stream_writers import DigitalSingleChannelWriter

        write: Any = DigitalSingleChannelWriter(task.out_stream, auto_start=True)
        return lambda level: write.write_one_sample_one_line(
            (level > 0) is not self.active_low, timeout=HANG_S
        )


@settings(frozen=True, kw_only=True)
class NiAnalog(_NiOutput):
    """A voltage of an NI device, between OFF_V and ON_V."""

    channel: str = Field(
        pattern=r"^[^/,:]+/ao\d+$",
        description="channel, such as Dev1/ao0",
        examples=["Dev1/ao0"],
    )
    off_v: float = Field(0.0, ge=-10, le=10, description="voltage at level 0, in V")
    on_v: float = Field(5.0, ge=-10, le=10, description="voltage at level 1, in V")

    def __post_init__(self) -> None:
        """Reject a voltage outside the range of the device."""
        if self.off_v == self.on_v:
            raise ValueError("OFF_V and ON_V must differ")

    @property
    def _place(self) -> str:
        return self.channel

    def _add_channel(self, task: "nidaqmx.Task") -> None:
        low, high = sorted((self.off_v, self.on_v))
        task.ao_channels.add_ao_voltage_chan(self.channel, min_val=low, max_val=high)

    def _writer(self, task: "nidaqmx.Task") -> Write:
        from nidaqmx.stream_writers import AnalogSingleChannelWriter

        write: Any = AnalogSingleChannelWriter(task.out_stream, auto_start=True)
        span_v = self.on_v - self.off_v
        return lambda level: write.write_one_sample(
            self.off_v + level * span_v, timeout=HANG_S
        )


def _sentence(write: Write) -> Write:
    import nidaqmx.errors

    def wrapped(level: float) -> None:
        try:
            write(level)
        except nidaqmx.errors.Error as error:
            raise DeviceError(_short(error)) from error

    return wrapped


def _short(error: Exception) -> str:
    """Return NI's error message in one line, without its list of details."""
    text = str(error).partition("\n\nTask Name")[0].partition("\n\nStatus Code")[0]
    return " ".join(text.split())
