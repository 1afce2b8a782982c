"""Losses of masks, predicted IoU and object scores, and the side loss of the feature pyramid."""

import torch
import torch.nn.functional as F

import scenes


def mask_losses(logits, goal, reach=1):
    """BCE, heavier along outlines, plus dice: [N, M] for logits [N, M, h, w] against goal [N, h, w] in 0 … 1."""
    # Masks as channels that lie together, which the pooling takes many at a time; one way, then the other.
    near = torch.cat([goal, -goal])[None].contiguous(memory_format=torch.channels_last)
    for window in ((2 * reach + 1, 1), (1, 2 * reach + 1)):
        near = F.max_pool2d(near, window, 1, (window[0] // 2, window[1] // 2))
    near = near[0].contiguous()
    weight = 1.0 + 3.0 * (near[: len(goal)] + near[len(goal) :])[:, None]
    goal = goal[:, None].expand_as(logits)
    bce = F.binary_cross_entropy_with_logits(logits, goal, reduction="none")
    bce = (bce * weight).sum((2, 3)) / weight.sum((2, 3))
    p = logits.sigmoid()
    dice = 1.0 - (2.0 * (p * goal).sum((2, 3)) + 1.0) / (p.sum((2, 3)) + goal.sum((2, 3)) + 1.0)
    return 2.0 * bce + dice


def true_ious(logits, goal):
    found, wanted = logits > 0, goal[:, None] > 0.5
    return (found & wanted).sum((2, 3)) / (found | wanted).sum((2, 3)).clamp(min=1)


def prompt_loss(logits, ious, scores, goal, masks, present, multimask):
    """Loss of one decoder call. The best of masks 1–3 learns, the other two only a little, which keeps them bounded.

    `goal` is at the stride of the logits; where `masks` are given, at full size, the enlarged logits must fit them too.
    """
    object_loss = F.binary_cross_entropy_with_logits(scores[:, 0], present.float())
    logits, ious, goal = logits[present], ious[present], goal[present]
    losses = mask_losses(logits, goal)
    single, several = losses[:, 0], losses[:, 1:]
    mask_loss = several.min(1).values.mean() + 0.1 * several.mean() + (0.5 if multimask else 1.0) * single.mean()
    if masks is not None:
        some = torch.randperm(len(goal))[: len(goal) // 2]
        best = torch.stack([torch.zeros_like(some), several[some].argmin(1) + 1], 1)
        large = F.interpolate(logits[some[:, None], best], scale_factor=4.0, mode="bilinear", align_corners=False)
        mask_loss = mask_loss + mask_losses(large, masks[present][some].float(), reach=4).mean()
    truth = true_ious(logits.detach(), goal)
    iou_loss = (ious - truth).abs().mean()
    total = mask_loss + iou_loss + 0.5 * object_loss
    chosen = truth[:, 1:].gather(1, ious[:, 1:].argmax(1, keepdim=True)) if multimask else truth[:, :1]
    return total, {"object": float(object_loss.detach()), "iou": float(chosen.mean())}


def track_loss(logits, ious, scores, goal, present, shown):
    """`prompt_loss` for one tracked frame, the masks only of those that are `shown`."""
    total = F.binary_cross_entropy_with_logits(scores[:, 0], present.float())
    if shown.any():
        losses = mask_losses(logits[shown], goal[shown])
        truth = true_ious(logits[shown].detach(), goal[shown])
        share = shown.sum() / len(shown)
        total = total + share * (losses.min(1).values.mean() + 0.1 * losses.mean() + (ious[shown] - truth).abs().mean())
    return total


def side_loss(scale, levels, owners, count=160):
    """Same or not, for all pairs of `count` random pixels: BCE on scaled cosines, at every FPN level.

    Frames that lie side by side [N, H, frames · W] are compared with each other as well.

    The first half of the channels tells objects apart, the second half also their parts.
    """
    batch, height, width = owners.shape
    x, y = torch.randint(width, (batch, count)), torch.randint(height, (batch, count))
    rows = torch.arange(batch)[:, None]
    part = owners[rows, y, x]
    total = 0.0
    for k, level in enumerate(levels):
        stride = width // level.shape[-1]
        features = level[rows, :, y // stride, x // stride].float()
        for ids, f in zip((part & (scenes.PART - 1), part), features.chunk(2, -1)):
            same = ids[:, :, None] == ids[:, None, :]
            weight = torch.where(same, 0.5 / same.sum(), 0.5 / (~same).sum().clamp(min=1))
            f = F.normalize(f, dim=-1)
            logit = scale[k, 0] * (f @ f.transpose(1, 2)) + scale[k, 1]
            total = total + (weight * F.binary_cross_entropy_with_logits(logit, same.float(), reduction="none")).sum()
    return total / (2 * len(levels))
