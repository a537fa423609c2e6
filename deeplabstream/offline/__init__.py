"""Whole videos, as fast as the machine allows.

>>> from deeplabstream.offline import (
...     lightning_pose,
...     dlc,
...     motion_energy,
...     run_session,
...     run_queue,
... )
"""

from deeplabstream.offline.ibl.ibl import dlc, lightning_pose, motion_energy
from deeplabstream.offline.ibl.paw_states import lightning_action
from deeplabstream.offline.ibl.session_processing import run_session
from deeplabstream.offline.queue.session_queue import run_queue

__all__ = [
    "dlc",
    "lightning_action",
    "lightning_pose",
    "motion_energy",
    "run_queue",
    "run_session",
]
