"""Telemetry of inference libraries, switched off.

ONNX Runtime 1.31 sends usage data. On Linux and macOS its import writes a device identifier
and a database into the user's cache and a session file into the temporary folder, and then
contacts a server. `disable_telemetry_events()` comes too
late for that: only the environment variable, set before the import, prevents it. On Windows
its events go to the system's tracing, and the function switches them off. OpenVINO reports
its import through a separate package, and works without it.

Programs call `turn_off_telemetry` before anything else
(`deeplabstream.startup.program.prepare`), so that
it holds for every process that they start too;
`deeplabstream.pose.runtimes.compute_packages.package`, which alone
imports these libraries, calls it again, for uses of the library without a program.
"""

import os
import sys
from types import ModuleType

VARIABLE = "ORT_DISABLE_TELEMETRY"
"""Read by ONNX Runtime once, when its library is loaded."""


def turn_off_telemetry() -> None:
    """Switch off telemetry; called before the libraries are imported."""
    os.environ[VARIABLE] = "1"
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def turn_off_events(onnxruntime: ModuleType) -> None:
    """Switch off the events that ONNX Runtime sends to Windows' tracing."""
    onnxruntime.disable_telemetry_events()
