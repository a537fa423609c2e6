"""Signals after networks in OpenVINO were closed in the order in which they were opened."""

import signal
import subprocess
import sys

import pytest

from deeplabstream.files.paths import ROOT

SCRIPT = """
import gc, os, signal
from pathlib import Path
from deeplabstream.pose.model.model_folder import load_model_folder
from deeplabstream.pose.runtimes.runtime_list import load_network
folder = load_model_folder(Path("models/arena"))
networks = [load_network(folder, "openvino", 1) for _ in range(2)]
while networks:
    networks.pop(0)
    gc.collect()
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the stack of handlers is of Linux")
def test_a_signal_after_networks_were_closed_is_handled() -> None:
    pytest.importorskip("openvino")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, signal.Signals(-done.returncode)
    assert done.stdout == "handled\n"
