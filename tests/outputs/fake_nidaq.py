"""NI's gRPC device server with one card, Dev1, that a test can look at.

A program: prints its port, then a line for each level written; obeys words on stdin.
The messages and the client are NI's own; what the driver behind them would do is played:
tasks keep their name and their lines until they are cleared, whoever made them.
"""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from nidaqmx._stubs import nidaqmx_pb2 as say
from nidaqmx._stubs import nidaqmx_pb2_grpc as service

PLACES = {f"Dev1/port0/line{n}" for n in range(8)} | {"Dev1/ao0", "Dev1/ao1"}


class Card(service.NiDAQmxServicer):
    """The server's side; `unplugged` and `stuck` are what may happen to it."""

    def __init__(self) -> None:
        self.tasks: dict[str, list[str]] = {}
        self.unplugged = False
        self.unstuck = threading.Event()
        self.unstuck.set()

    def CreateTask(self, asked: Any, context: Any) -> Any:
        name = asked.session_name or f"unnamed {len(self.tasks)}"
        new = name not in self.tasks
        self.tasks.setdefault(name, [])
        return say.CreateTaskResponse(task={"name": name}, new_session_initialized=new)

    def ClearTask(self, asked: Any, context: Any) -> Any:
        self.tasks.pop(asked.task.name)
        return say.ClearTaskResponse()

    def StartTask(self, asked: Any, context: Any) -> Any:
        return say.StartTaskResponse()

    def StopTask(self, asked: Any, context: Any) -> Any:
        return say.StopTaskResponse()

    def CreateDOChan(self, asked: Any, context: Any) -> Any:
        self.reserve(asked.task.name, asked.lines, context)
        return say.CreateDOChanResponse()

    def CreateAOVoltageChan(self, asked: Any, context: Any) -> Any:
        self.reserve(asked.task.name, asked.physical_channel, context)
        return say.CreateAOVoltageChanResponse()

    def GetTaskAttributeString(self, asked: Any, context: Any) -> Any:
        names = ", ".join(self.tasks[asked.task.name])
        return say.GetTaskAttributeStringResponse(value=names)

    def WriteDigitalLines(self, asked: Any, context: Any) -> Any:
        self.write(asked.task.name, float(asked.write_array[0]), context)
        return say.WriteDigitalLinesResponse(samps_per_chan_written=1)

    def WriteAnalogScalarF64(self, asked: Any, context: Any) -> Any:
        self.write(asked.task.name, asked.value, context)
        return say.WriteAnalogScalarF64Response()

    def reserve(self, task: str, place: str, context: Any) -> None:
        if place.partition("/")[0] != "Dev1":
            text = f"Device identifier is invalid.\n\nDevice Specified: {place[:4]}\n"
            refuse(context, -200220, text + "Suggested Device(s): Dev1")
        if place not in PLACES:
            refuse(context, -200170, "Physical channel specified does not exist.")
        if any(place in places for places in self.tasks.values()):
            refuse(context, -50103, "The specified resource is reserved.")
        self.tasks[task].append(place)

    def write(self, task: str, value: float, context: Any) -> None:
        self.unstuck.wait()
        if self.unplugged:
            refuse(context, -88705, "The specified device is not present.")
        send_line(f"{self.tasks[task][0]} {value:g}")


def send_line(line: str) -> None:
    # One write: `print` writes the line's end apart, and two threads send lines.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def refuse(context: Any, code: int, text: str) -> None:
    context.set_trailing_metadata([("ni-error", str(code))])
    context.abort(grpc.StatusCode.UNKNOWN, text)


def main() -> None:
    """Serve until stdin ends."""
    card = Card()
    server = grpc.server(ThreadPoolExecutor(8))
    service.add_NiDAQmxServicer_to_server(card, server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    for word in sys.stdin:
        match word.strip():
            case "unplug":
                card.unplugged = True
            case "hold":
                card.unstuck.clear()
            case "release":
                card.unstuck.set()
        send_line("done")
    card.unstuck.set()
    server.stop(None).wait()


if __name__ == "__main__":
    main()
