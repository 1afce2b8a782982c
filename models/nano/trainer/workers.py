"""Processes that share the work of every step: torchrun says how many there are, and which one this is."""

import os

import torch
import torch.distributed as dist

WORKERS = int(os.environ.get("WORLD_SIZE", 1))
RANK = int(os.environ.get("RANK", 0))


def share_gradients(parameters):
    """Replaces gradients by their mean over all processes; who has none anywhere keeps none."""
    if WORKERS == 1:
        return
    sizes = [p.numel() for p in parameters]
    sent = torch.cat([torch.zeros(p.numel()) if p.grad is None else p.grad.flatten() for p in parameters])
    sent = torch.cat([sent, torch.tensor([float(p.grad is not None) for p in parameters])])
    dist.all_reduce(sent)
    *means, known = sent.split([*sizes, len(sizes)])
    for p, mean, has in zip(parameters, means, known.tolist()):
        p.grad = mean.view_as(p) / WORKERS if has else None
