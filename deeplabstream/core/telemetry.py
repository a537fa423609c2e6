"""Telemetry of the libraries that compute networks, switched off.

ONNX Runtime 1.31 reports its use to its maker: on Linux and macOS its import alone writes
a device identifier and a database into the user's cache, a session file into the folder
for temporary files, and then looks for a server. `disable_telemetry_events()` comes too
late for all of that: only the environment variable, set before the import, prevents it.
On Windows its events go to the system's own tracing and nothing is written; there the
function is what switches them off. OpenVINO reports its import through a package of its
own, which it does without when that package can't be imported.

Programs call `turn_off_telemetry` before anything else
(`deeplabstream.core.program.prepare`), so that
it holds for every process that they start too;
`deeplabstream.pose.runtimes.compute_packages.package`, which alone
imports these libraries, calls it again for whoever uses the library without a program.
"""

import os
import sys
from types import ModuleType

VARIABLE = "ORT_DISABLE_TELEMETRY"
"""Read by ONNX Runtime once, when its library is loaded."""


def turn_off_telemetry() -> None:
    """Switch off what can be switched off before the libraries are imported."""
    os.environ[VARIABLE] = "1"
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def turn_off_events(onnxruntime: ModuleType) -> None:
    """Switch off the events that ONNX Runtime would give to Windows' tracing."""
    onnxruntime.disable_telemetry_events()
