"""The network that the settings name, loaded, warm, and fit for their triggers."""

from core.errors import SettingsError
from engine.settings import Settings, check_against
from pose.estimator import PoseEstimator
from pose.opening import open_estimator


def open_network(settings: Settings) -> PoseEstimator:
    """Return the estimator; ModelError or SettingsError say what does not fit."""
    pose = settings.pose
    estimator = open_estimator(
        settings.model, pose.runtime, pose.threads, pose.tolerance_px
    )
    if problems := check_against(settings, estimator.skeleton):
        raise SettingsError(problems)
    return estimator
