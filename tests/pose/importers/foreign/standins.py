"""Parts that the other programs would load from the net, or that do not run here."""


def suppression():
    """Make `torchvision.ops.nms` work, unless there is no torchvision, or it works.

    Torchvision's wheel for cards has no part that runs beside a torch for processors.
    """
    try:
        import torch
        import torchvision
    except ImportError:
        return
    none = torch.zeros(0, 4), torch.zeros(0)
    try:
        torchvision.ops.nms(*none, 0.5)
    except (NotImplementedError, RuntimeError):
        torchvision.extension._has_ops = lambda: True
        library = torch.library.Library("torchvision", "IMPL")
        library.impl("nms", _kept, "CPU")
        suppression.library = library  # it ends with its object


def transformers():
    """Make Lightning Pose's transformers small ones, of random weights.

    It takes both shape and weights of the net, even where a checkpoint replaces them.
    """
    import transformers

    shape = {"hidden_size": 96, "num_hidden_layers": 2, "num_attention_heads": 3}
    shape |= {"intermediate_size": 192}

    def vit(name, **how):
        return transformers.ViTModel(transformers.ViTConfig(**shape), **how)

    def any_model(name, **how):
        config = transformers.Dinov2Config(
            hidden_size=96, num_hidden_layers=2, num_attention_heads=3, mlp_ratio=2,
            patch_size=14, image_size=518,
        )  # fmt: skip
        return transformers.Dinov2Model(config)

    transformers.ViTModel.from_pretrained = vit
    transformers.AutoModel.from_pretrained = any_model


def _kept(boxes, scores, threshold):
    """Of boxes that overlap by more than a share of their union, keep the surest."""
    import torch
    from torchvision.ops import box_iou

    order, kept = scores.argsort(descending=True, stable=True), []
    over = box_iou(boxes, boxes) > threshold
    dropped = torch.zeros(len(boxes), dtype=torch.bool)
    for place in order.tolist():
        if not dropped[place]:
            kept.append(place)
            dropped |= over[place]
    return torch.tensor(kept, dtype=torch.int64)
