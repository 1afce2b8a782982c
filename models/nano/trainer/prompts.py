"""Masks of targets, and clicks, boxes and corrections for them. Coordinates are pixels, (x, y)."""

import torch
import torch.nn.functional as F

import scenes


def masks_of(owners, codes):
    """Boolean masks of `codes` [N] on `owners` [N, S, S]; code 0 is the empty mask (255 owns nothing)."""
    bits = torch.where(codes >= scenes.PART, 255, scenes.PART - 1).to(torch.uint8).view(-1, 1, 1)
    codes = torch.where(codes > 0, codes, 255).to(torch.uint8).view(-1, 1, 1)
    return (owners & bits) == codes


def blur(maps, radius):
    return F.avg_pool2d(maps[:, None].float(), 2 * radius + 1, 1, radius, count_include_pad=False)[:, 0]


def pick(allowed, eager):
    """One random pixel (x, y) of each map [N, h, w], inner ones preferred where `eager` [N] is 1."""
    n, h, w = allowed.shape
    score = torch.rand(n, h, w) * (1.0 - 0.7 * eager.view(-1, 1, 1)) + eager.view(-1, 1, 1) * blur(allowed, 4)
    best = (score * allowed + allowed).flatten(1).argmax(1)
    return torch.stack([best % w, best // w], -1).float()


def clicks_on(owners, codes, masks):
    """First clicks [N, 1, 2] in pixels: on the target, mostly off its part if it is a whole; or on the ground."""
    body = torch.where(torch.rand(len(codes)).view(-1, 1, 1) < 0.85, owners == codes.view(-1, 1, 1), masks)
    allowed = torch.where((body & masks).flatten(1).any(1).view(-1, 1, 1), body & masks, masks)
    allowed = torch.where(codes.view(-1, 1, 1) == 0, owners == 0, allowed)
    # Chosen on the grid of stride 4, then moved within the cell onto a pixel that is allowed.
    cells = F.avg_pool2d(allowed[:, None].float(), 4)[:, 0]
    grid = cells > 0.6
    grid = torch.where(grid.flatten(1).any(1).view(-1, 1, 1), grid, cells > 0)
    eager = (torch.rand(len(codes)) < 0.6).float()
    return (pick(grid, eager) * 4 + torch.randint(0, 4, (len(codes), 2)))[:, None]


def boxes_of(masks):
    """Corners [N, 2, 2] of the masks [N, S, S], half of them shaken by up to 5 % of their sides."""
    n, size, _ = masks.shape
    columns, rows = masks.any(1), masks.any(2)
    at = torch.arange(size)
    low = [torch.where(m, at, size).amin(1) for m in (columns, rows)]
    high = [torch.where(m, at, -1).amax(1) for m in (columns, rows)]
    box = torch.stack([*low, *high], 1).float()
    side = (box[:, 2:] - box[:, :2]).repeat(1, 2)
    shake = 0.05 * side * (2 * torch.rand(n, 4) - 1) * (torch.rand(n, 1) < 0.5)
    return (box + shake).clamp(0, size - 1).view(n, 2, 2)


def corrections(logits, masks, rounds=12):
    """A click [N, 1, 2] with its label [N, 1] where `logits` [N, h, w], enlarged, differ most thickly from `masks`."""
    found = F.interpolate(logits[:, None], masks.shape[-2:], mode="bilinear", align_corners=False)[:, 0] > 0
    wrong = found ^ masks
    wrong = torch.where(wrong.flatten(1).any(1).view(-1, 1, 1), wrong, masks)
    # Missed and extra pixels are worn off separately; what lasts longest is innermost.
    depth = torch.rand(wrong.shape) * wrong
    layers = torch.stack([wrong & masks, wrong & ~masks])
    for _ in range(rounds):
        depth += layers.any(0)
        padded = F.pad(layers, (1, 1, 1, 1))
        layers = layers & padded[..., :-2, 1:-1] & padded[..., 2:, 1:-1]
        layers = layers & padded[..., 1:-1, :-2] & padded[..., 1:-1, 2:]
    best = depth.flatten(1).argmax(1)
    labels = masks.flatten(1).gather(1, best[:, None]).int()
    w = masks.shape[-1]
    return torch.stack([best % w, best // w], -1)[:, None].float(), labels
