"""Networks of other programs that are kept in this folder."""

from tests.pose.importers.estimated import SLEAP_NN_SIZE

FOREIGN: dict[str, tuple[str, ...]] = {
    "deeplabcut2": (),
    "deeplabcut3_axes": (),
    "deeplabcut3_centres": (),
    "deeplabcut3_fields": (),
    "deeplabcut3_hrnet": (),
    "deeplabcut3_maps": (),
    "lightning_pose_dinov2": (),
    "lightning_pose_efficientnet": (),
    "lightning_pose_heatmap_mhcrnn": (),
    "lightning_pose_regression": (),
    "lightning_pose_vit": (),
    "sleap_nn_bottom_up": (*SLEAP_NN_SIZE, "--animals", "3"),
    "sleap_nn_single": SLEAP_NN_SIZE,
    "sleap_nn_top_down": (*SLEAP_NN_SIZE, "--animals", "2"),
    "sleap_nn_windows": ("--size", "64x64"),
}
"""Each with the words that ImportModel.py needs for it."""
