"""Lightning module of pose networks: training step, validation, optimiser."""

from collections.abc import Mapping
from typing import Any

import lightning.pytorch as lightning
import torch
from torch import Tensor

from deeplabstream.core.errors import ModelError
from deeplabstream.pose.decoders.decoder import Decoder
from deeplabstream.training.data.batches import Batch
from deeplabstream.training.data.camera_views import CameraLosses
from deeplabstream.training.evaluation.animal_matching import match
from deeplabstream.training.fit_settings import FitSettings
from deeplabstream.training.losses.soft_argmax import (
    decode,
    decode_with_centroid_gradient,
)
from deeplabstream.training.losses.supervised import (
    field_loss,
    regression_loss,
    supervised_loss,
)
from deeplabstream.training.losses.unsupervised import (
    UnsupervisedLoss,
    back_to_camera,
    loss_weight,
)
from deeplabstream.training.networks.context import ContextNetwork
from deeplabstream.training.networks.heads import STRIDE
from deeplabstream.training.networks.multiview import MultiviewNetwork, masked_share
from deeplabstream.training.networks.pose_network import PoseNetwork
from deeplabstream.training.networks.regression import RegressionNetwork

SHOWN = 4
"""Held-out images shown in TensorBoard."""


class PoseModule(lightning.LightningModule):
    """Training step, validation and optimiser of a network."""

    def __init__(
        self,
        network: PoseNetwork,
        decoder: Decoder,
        settings: FitSettings,
        epoch_steps: int,
        extra: Mapping[str, UnsupervisedLoss],
        cameras: CameraLosses | None = None,
    ) -> None:
        """Store the arguments; `decoder` decodes the poses in held-out images."""
        super().__init__()
        self.cameras, self.decoder = cameras, decoder
        self.network, self.how, self.extra = network, settings, dict(extra)
        self.epoch_steps = epoch_steps
        self._away: list[Tensor] = []
        self._found: list[Tensor] = []
        self.found = torch.empty(0)
        """(image, bodypart, 2) of the held-out images, input pixels, last validation."""
        self._shown: Batch | None = None

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Return the batch on `device`."""
        return batch.to(device)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Freeze or unfreeze the backbone; set the masked patches of multiview networks."""
        if isinstance(self.network, MultiviewNetwork):
            epoch = self.global_step // self.epoch_steps
            self.network.masked = masked_share(epoch, *self.how.masked)
            step = self.global_step, self.global_rank
            self.network.mask_seed = (self.how.seed, 3, *step)

        # A random head would at first destroy the features of a pretrained backbone.
        frozen = self.global_step < self.how.schedule.unfreeze_at
        if frozen != self.network.frozen:
            self.network.freeze(frozen)

    def forward(self, batch: Batch) -> Tensor:
        """Return the loss of a labelled batch; Lightning calls it in every process."""
        loss, _ = self._supervised(batch)
        if batch.clip is None:
            return torch.as_tensor(loss)
        return torch.as_tensor(loss + self._unsupervised(batch))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss; ModelError when it is not finite."""
        loss: Tensor = self(batch)
        if not torch.isfinite(loss.detach()):
            raise ModelError(
                f"training diverged at step {self.global_step + 1}: the loss is "
                f"{float(loss)}"
            )
        self.log("total_loss", loss.detach())
        return loss

    def _supervised(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the loss, and the output of the best head."""
        network, how = self.network, self.how
        if isinstance(network, RegressionNetwork):
            found = network(batch.images)
            height, width = batch.images.shape[1:3]
            size = torch.tensor([width, height], device=found.device)
            # Coordinates are shares of the input; augmentation moves some points outside.
            inside = (batch.points >= -0.5) & (batch.points <= size - 0.5)
            shares = (batch.points + 0.5) / size
            shares[~inside.all(dim=2)] = float("nan")
            loss = regression_loss(found.float(), shares, batch.weight)
            logits = found

        elif isinstance(network, ContextNetwork) and batch.images.ndim == 5:
            # Both heads are trained: the one for a single frame is exported too.
            alone, logits = network.in_context(batch.images)
            loss = supervised_loss(
                how.loss, alone.float(), batch.targets, batch.weight
            ) + supervised_loss(how.loss, logits.float(), batch.targets, batch.weight)

        elif edges := network.how.edges:
            logits = network(batch.images)
            parts = network.bodyparts
            # An edge is known only if both of its body parts are.
            both = batch.weight[:, [a for a, _ in edges]]
            both = both * batch.weight[:, [b for _, b in edges]]
            loss = supervised_loss(
                how.loss, logits[:, :parts].float(), batch.targets[:, :parts],
                batch.weight,
            ) + field_loss(
                logits[:, parts:].float(), batch.targets[:, parts:], both
            )  # fmt: skip

        else:
            logits = network(batch.images)
            loss = supervised_loss(
                how.loss, logits.float(), batch.targets, batch.weight
            )

        # Views must agree in training only: the validation loss stays that of the labels.
        if self.cameras is not None and self.training:
            loss = loss + self._agreement(self.cameras, batch, logits.float())
        name = "train" if self.training else "val"
        self.log(f"{name}_supervised_loss", loss.detach(), batch_size=len(batch.points))
        return loss, logits

    def _agreement(self, cameras: CameraLosses, batch: Batch, logits: Tensor) -> Tensor:
        """Return the annealed losses of calibrated views of the same points."""
        sigma = self.how.network.sigma
        found, _ = decode(self.network.as_maps(logits), STRIDE, sigma)
        # Triangulation needs more digits than the network's 16 bits have.
        with torch.autocast(found.device.type, enabled=False):
            return self._of_cameras(cameras, batch, found)

    def _of_cameras(self, cameras: CameraLosses, batch: Batch, found: Tensor) -> Tensor:
        sigma = self.how.network.sigma
        anneal = self.how.anneal(self.global_step // self.epoch_steps)
        total = torch.zeros((), device=found.device)
        if cameras.pairwise is not None:
            value = cameras.pairwise_loss(found, batch.points)
            self.log("train_supervised_pairwise_projections_loss", value.detach())
            total = total + loss_weight(cameras.pairwise, anneal) * value
        if cameras.reprojection is not None:
            value = cameras.reprojection_loss(found, batch.targets, STRIDE, sigma)
            self.log("train_supervised_reprojection_heatmap_mse_loss", value.detach())
            total = total + loss_weight(cameras.reprojection, anneal) * value
        return total

    def _unsupervised(self, batch: Batch) -> Tensor:
        """Return the annealed sum of the losses on an unlabelled clip."""
        clip, matrix = batch.clip, batch.matrix
        if clip is None or matrix is None:
            raise ModelError("a batch without a clip has no unsupervised loss")
        maps = self.network.maps(clip).float()
        # Pixels need more digits than the network's 16 bits have.
        with torch.autocast(maps.device.type, enabled=False):
            return self._on_video(batch, maps, matrix)

    def _on_video(self, batch: Batch, maps: Tensor, matrix: Tensor) -> Tensor:
        sigma = self.how.network.sigma
        points, confidence = decode_with_centroid_gradient(maps, STRIDE, sigma)
        points = back_to_camera(points, matrix, batch.scale, batch.corner)

        # Early poses are arbitrary: the weight of the video losses increases over some
        # epochs.
        anneal = self.how.anneal(self.global_step // self.epoch_steps)
        self.log("total_unsupervised_importance", anneal)
        total = torch.zeros((), device=points.device)
        for name, loss in self.extra.items():
            value = loss(points, confidence)
            weight = loss_weight(loss.log_weight, anneal)
            self.log(f"train_{name}_loss", value.detach())
            self.log(f"train_{name}_loss_weighted", weight * value.detach())
            total = total + weight * value
        return total

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Store loss and pixel error of held-out images."""
        self._supervised(batch)
        images = batch.images
        if isinstance(self.network, ContextNetwork) and images.ndim == 5:
            maps = self.network.surest(images)
        else:
            maps = self.network.maps(images)

        found = decoded(self.decoder, maps.float(), batch.points)
        away = torch.linalg.vector_norm(found - batch.points, dim=2)
        self._away.append(away[torch.isfinite(away)].cpu())
        self._found.append(found.float().cpu())
        if batch_idx == 0:
            self._show(batch, found)

    def on_validation_epoch_end(self) -> None:
        """Log the pixel error, in pixels of the network's input."""
        away = torch.cat(self._away) if self._away else torch.empty(0)
        self._away.clear()
        self.found = torch.cat(self._found) if self._found else torch.empty(0)
        self._found.clear()
        if len(away):
            self.log("val_pixel_error", away.mean())
            self.log("val_pixel_error_median", away.median())

    def _show(self, batch: Batch, found: Tensor) -> None:
        """Write held-out images with their points to TensorBoard."""
        board = getattr(self.logger, "experiment", None)
        if board is None or not hasattr(board, "add_image"):
            return
        images, labelled = batch.images, batch.points
        if images.ndim == 5:  # the middle frame, or the first view
            views = self.how.network.views
            images = images[:, 0 if views > 1 else images.shape[1] // 2]
            count = labelled.shape[1] // views
            labelled, found = labelled[:, :count], found[:, :count]

        for place in range(min(SHOWN, len(images))):
            drawn = images[place].cpu().numpy()[..., ::-1].copy()
            mark(drawn, labelled[place].cpu().numpy(), (0, 255, 0))
            mark(drawn, found[place].cpu().numpy(), (255, 0, 0))
            board.add_image(
                f"held_out/{place}", drawn, self.global_step, dataformats="HWC"
            )

    def configure_optimizers(self) -> Any:
        """Return optimiser and schedule, with separate rates for backbone and head."""
        backbone = {id(parameter) for parameter in self.network.backbone()}
        rest = [p for p in self.network.parameters() if id(p) not in backbone]
        groups = [
            {"params": self.network.backbone(), "name": "backbone"},
            {"params": rest, "name": "head"},
        ]

        rate = self.how.learning_rate
        optimiser: torch.optim.Optimizer = (
            torch.optim.AdamW(groups, lr=rate, weight_decay=1e-3)
            if self.how.optimiser == "adamw"
            else torch.optim.Adam(groups, lr=rate)
        )

        # One factor per group: a pretrained backbone learns more slowly than its head.
        factors = self.how.schedule.factors(self.how.steps, self.epoch_steps)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, list(factors))
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def decoded(decoder: Decoder, output: Tensor, labels: Tensor) -> Tensor:
    """Return the decoded points of a network's output.

    Parameters
    ----------
    decoder
        Converts the output to poses.
    output
        (n, *shape), one of the decoder's `output_shapes`.
    labels
        (n, animal · bodypart, 2), pixels of the input; NaN: not visible.

    Returns
    -------
    points
        Like `labels`. Of several animals, in the order of the labelled ones; NaN where a
        labelled animal was not found.
    """
    points, confidences = decoder.decode(output.cpu().numpy())
    if decoder.animals > 1:
        truth = labels.cpu().numpy().reshape(points.shape)
        points = match(points, confidences, truth).points
    return torch.from_numpy(points.reshape(labels.shape)).to(labels)


def mark(image: Any, points: Any, colour: tuple[int, int, int]) -> None:
    """Draw points (bodypart, 2) into an image; NaN is left out."""
    import cv2
    import numpy as np

    for x, y in points[np.isfinite(points).all(axis=1)]:
        centre = (round(float(x)), round(float(y)))
        cv2.circle(image, centre, 3, colour, 1, cv2.LINE_AA)
