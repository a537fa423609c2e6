"""Whole videos, as fast as the machine allows.

>>> from offline import lightning_pose, dlc, motion_energy, run_session, run_queue
"""

from offline.ibl import dlc, lightning_pose, motion_energy
from offline.paw_states import lightning_action
from offline.queue import run_queue
from offline.session import run_session

__all__ = [
    "dlc",
    "lightning_action",
    "lightning_pose",
    "motion_energy",
    "run_queue",
    "run_session",
]
