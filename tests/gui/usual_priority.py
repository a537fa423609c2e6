"""The results process at the priority of the process that starts it."""

from deeplabstream.gui import results_process
from deeplabstream.ipc.pipe import Connection


def serve_at_usual_priority(pipe: Connection) -> None:
    """Answer requests; a process of lower priority waits long on a busy computer."""
    results_process._STEPS = 0
    results_process.serve(pipe)
