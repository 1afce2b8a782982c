"""Trains nano from nothing on scenes.py. Seeded; stop it at any time and the same command goes on.

    python train.py --run DIR            # train, or go on
    torchrun --nproc-per-node 2 -- train.py --run DIR   # two processes share pictures and single frames
    python train.py --run DIR --weights nano.safetensors --stage 6   # begin with those weights at a later stage
    python train.py --export FILE ...   # write nano.safetensors, the mean of these weights

Two processes share the gradients; each takes half of the pictures and single frames, but all the clips of a step.

Needs torch, sam2 1.1.0 and safetensors. The schedule is STAGES; the curve is DIR/log.csv; DIR/last.pt is the state;
DIR/average*.safetensors are the averaged weights after so many steps.
"""

import argparse
import bisect
import csv
import itertools
import math
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F

import model as nano
from trainer.clips import Clips
from trainer.recalls import Recalls
from trainer.stills import Images
from trainer.tracks import Tracks
from trainer.workers import RANK, WORKERS, share_gradients


@dataclass(kw_only=True)
class Stage:
    steps: int
    image: int  # size of the still images, eight scenes a step; 0 for none
    lr: tuple  # first and last learning rate
    warmup: int = 1
    fresh: bool = False  # begins with the averaged weights and a new optimiser
    average: float = 0.996  # what each step keeps of the averaged weights
    still: int = 1  # every so many steps there is a step on still images
    sharp: bool = False  # whether masks must fit at full size too, and not only at stride 4
    pairs: bool = False  # the images are two frames each of half as many scenes, and the side loss compares these too
    thorough: bool = False  # boxes for half of the targets, not a quarter; boxes and corrections count like the click
    memory: float = 1.0  # the memory modules learn so many times as fast
    clip: int = 0  # size of the clips, 0 for none
    every: int = 1  # every so many steps there is a clip step
    clips: int = 4  # clips of a step
    frames: int = 8  # frames of a clip
    blind: int = 0  # of these, how many at first are only tracked: what follows starts from the model's own memory
    stride: int = 3  # two frames are at most so many times apart
    taught: float = 0.0  # share of clip steps that remember the true masks instead of the found ones
    pointers: float = 1.0  # share of clip steps with object pointers
    recalls: int = 0  # instead of windows of clips, so many single frames with made-up memories; the encoder rests
    tracks: int = 0  # or so many with the memories that tracking leaves
    awake: bool = False  # the encoder does not rest then, but learns from these too


# Still images first and small, because features and prompts are learned there at a quarter of the cost. Stages 1 to 4
# left tracking to colours; so places are learned from pairs of frames: the memory map of the first one, mostly without
# object pointers, is all that tells which of two like things is meant. Then clips join the pairs up.
STAGES = [
    Stage(steps=2500, image=128, lr=(6e-4, 6e-4), warmup=400),
    Stage(steps=1950, image=256, lr=(5e-4, 3e-4), warmup=200, clip=128, every=4, taught=0.6),
    Stage(steps=739, image=256, lr=(3.5e-4, 1.3e-4), clip=256, every=2, taught=0.3),
    Stage(steps=480, image=256, lr=(1.3e-4, 5e-6)),
    # Pairs, near in time, then further apart.
    Stage(
        steps=750, image=0, lr=(2e-4, 2e-4), warmup=100, fresh=True, memory=3, clip=128, clips=16, frames=2, pointers=0,
    ),
    Stage(
        steps=750, image=0, lr=(2e-4, 2e-4), warmup=100, fresh=True, memory=3, clip=128, clips=16, frames=2, stride=10,
        pointers=0.3,
    ),
    # Clips with all memories and pointers; still images beside them, which must fit at full size.
    Stage(
        steps=284, image=256, lr=(3e-4, 3e-4), warmup=50, fresh=True, still=2, sharp=True, memory=2, clip=128, clips=6,
        taught=0.3, pointers=0.8,
    ),
    Stage(steps=200, image=256, lr=(3e-4, 3e-4), still=2, sharp=True, memory=2, clip=256, taught=0.2, pointers=0.9),
    # Long clips, of which only the end teaches: by then the memories are full of what the model made itself. Tracking
    # does not bear the high rate for long, so the second of these begins with the averaged weights and ends softly.
    Stage(steps=97, image=256, lr=(3e-4, 3e-4), sharp=True, memory=2, clip=256, clips=3, frames=14, blind=8),
    Stage(
        steps=258, image=256, lr=(1.5e-4, 5e-6), warmup=30, fresh=True, average=0.99, sharp=True, clip=256, clips=3,
        frames=12, blind=5, taught=0.1,
    ),
    # Nearly whole clips, so that objects that were gone for long are found again.
    Stage(
        steps=83, image=256, lr=(1e-4, 2e-5), warmup=10, fresh=True, average=0.98, still=3, sharp=True, clip=256,
        clips=3, frames=20, blind=9,
    ),
    # Still images alone once more: what the image encoder, boxes and corrections gain from more steps.
    Stage(steps=292, image=256, lr=(3e-4, 2.3e-4), warmup=40, fresh=True, average=0.99, sharp=True, thorough=True),
    Stage(steps=300, image=256, lr=(2.3e-4, 2e-5), warmup=1, average=0.99, sharp=True, thorough=True),
    # (Here 773 steps followed on single frames of whole clips, with what tracking these had left behind. They are no
    # longer part of this file: the recalls below replace them, without having to track.)
    # Still images with the image encoder learning, two frames of each scene: one object looks alike in both.
    Stage(
        steps=800, image=256, lr=(3e-4, 2e-5), warmup=40, fresh=True, average=0.99, sharp=True, pairs=True,
        thorough=True,
    ),
    # Single frames with made-up memories (one cosine over both stages).
    Stage(
        steps=494, image=256, lr=(3e-4, 2e-4), warmup=40, fresh=True, average=0.99, still=4, sharp=True, pairs=False,
        thorough=True, memory=2, clip=256, recalls=40,
    ),
    Stage(
        steps=308, image=256, lr=(2e-4, 1.5e-4), warmup=1, fresh=False, average=0.99, still=4, sharp=True, pairs=False,
        thorough=True, memory=2, clip=256, recalls=40,
    ),
    # Single frames with the memories that tracking leaves. Tracking goes up and down, and means of weights are above
    # what they are of: this began with the mean of the averages at the ends of the two stages before (--export, then
    # --weights --stage 17); nano is the mean of these weights and of the averages after 715 and after all of its steps.
    Stage(
        steps=2000, image=256, lr=(1.5e-4, 0), warmup=60, fresh=True, average=0.995, still=3, sharp=True, pairs=False,
        thorough=True, clip=256, tracks=40,
    ),
]
TRAIN_SEEDS = 1_000_000 + 200_000_000 * RANK  # training draws seeds from here on
CLIP_SEEDS = 500_000_000 + 200_000_000 * RANK
VALID_SEEDS = range(100_000, 100_064)  # picks the weights; evaluate.py reports on other seeds
EVERY = 500  # steps between validations
MEMORY = "memory_", "maskmem_", "no_obj_", "obj_ptr_", "mask_downsample"  # what serves tracking alone
COLUMNS = "step cpu_s size lr loss track_loss iou box corrected object side track sign".split()
VALID_COLUMNS = "valid_click valid_box valid_corrected".split()


def attention(q, k, v, dropout_p=0.0):
    """softmax(q·kᵀ/√c)·v written out: on a CPU its backward pass is 3× faster than the fused kernel's."""
    return torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2), -1) @ v


def channels_last(_, inputs):
    """Before a depthwise convolution: its backward pass is then 3× faster."""
    return inputs[0].contiguous(memory_format=torch.channels_last)


class Blank(torch.nn.Module):
    """Stands in for the neck's position encodings while training, which reads only the last one."""

    def forward(self, x):
        return x.new_zeros(1)


def learning_rate(stage, at):
    """Warm-up, then a half cosine from the first to the second rate of the stage."""
    high, low = stage.lr
    rate = low + (high - low) * 0.5 * (1 + math.cos(math.pi * at / stage.steps))
    return rate * min(1.0, (at + 1) / stage.warmup)


@torch.no_grad()
def validate(model, size):
    """Mean IoU on the validation seeds at full resolution: one click, a box, and two corrections."""
    from evaluate import still_scores

    scores = still_scores(model, VALID_SEEDS, size, kinds=("click", "box", "corrected"))
    return tuple(float(np.mean(values)) for values in scores.values())


def export_mean(files):
    """Writes nano.safetensors: the mean of the weights in some exported files."""
    found = [nano.load(file).state_dict() for file in files]
    model = nano.build(STAGES[-1].image)
    model.load_state_dict({name: sum(weights[name] for weights in found) / len(found) for name in found[0]})
    nano.export(model, Path(__file__).parent / "nano.safetensors", STAGES[-1].image)


def main():
    parser = argparse.ArgumentParser()
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--run", type=Path, metavar="DIR", help="train in this folder, or go on")
    task.add_argument("--export", type=Path, nargs="+", metavar="FILE", help="write the mean of these weights")
    parser.add_argument("--weights", type=Path, help="a new run begins with these weights")
    parser.add_argument("--stage", type=int, default=1, help="a new run begins with this stage (1: the first)")
    options = parser.parse_args()
    if options.export:
        export_mean(options.export)
        return
    options.run.mkdir(parents=True, exist_ok=True)
    state_file = options.run / "last.pt"

    torch.set_num_threads(1)
    torch.manual_seed(1)
    if WORKERS > 1:
        dist.init_process_group("gloo")
    F.scaled_dot_product_attention = attention
    model = nano.build(STAGES[0].image)
    model.image_encoder.neck.position_encoding = Blank()
    for block in model.memory_encoder.fuser.layers:
        block.dwconv.register_forward_pre_hook(channels_last)
    model.side = torch.nn.Parameter(torch.tensor([[5.0, -2.0]] * 3))
    average = nano.build(STAGES[0].image).requires_grad_(False).eval()
    ends = list(itertools.accumulate(stage.steps for stage in STAGES))
    groups = {}
    for name, p in model.named_parameters():
        groups.setdefault((name.startswith(MEMORY), p.ndim > 1), []).append(p)
    groups = [
        {"params": params, "memory": memory, "weight_decay": 0.05 * matrix}
        for (memory, matrix), params in sorted(groups.items())
    ]
    parameters = [p for group in groups for p in group["params"]]
    optimiser = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.98))
    start = ends[options.stage - 1] - STAGES[options.stage - 1].steps
    state = {"step": start, "cpu": 0.0, "scenes": 2 * start, "clips": 10 * start}
    if state_file.exists():
        saved = torch.load(state_file, weights_only=True)
        state.update(saved["state"])
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
    else:
        if options.weights:
            model.load_state_dict(nano.load(options.weights).state_dict(), strict=False)
        average.load_state_dict(model.state_dict(), strict=False)
    torch.manual_seed(1 + WORKERS * state["step"] + RANK)
    log = open(options.run / "log.csv" if RANK == 0 else os.devnull, "a", newline="")
    writer = csv.writer(log)
    if log.tell() == 0:
        writer.writerow(COLUMNS + VALID_COLUMNS)

    def save():
        if RANK:
            return
        saved = {
            "state": state,
            "model": model.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
        }
        torch.save(saved, options.run / "new.pt")
        os.replace(options.run / "new.pt", state_file)
        nano.export(average, options.run / f"average{state['step']}.safetensors", STAGES[-1].image)

    cpu_before = state["cpu"] - time.process_time()
    images, clips, current, sums, count = None, None, None, {}, {}
    stopped = torch.zeros(1)  # by the first process, for all
    signal.signal(signal.SIGTERM, lambda *_: stopped.fill_(1))
    while state["step"] < ends[-1]:
        if WORKERS > 1:
            dist.broadcast(stopped, 0)
        if stopped:
            break
        number = bisect.bisect_right(ends, state["step"])
        stage = STAGES[number]
        if state["step"] in ends:
            save()
            if stage.fresh:
                model.load_state_dict(average.state_dict(), strict=False)
                optimiser.state.clear()
        if current != number:
            current = number
            images = Images(model, stage, TRAIN_SEEDS + state["scenes"]) if stage.image else None
            kind = Recalls if stage.recalls else Tracks if stage.tracks else Clips
            clips = kind(model, stage, CLIP_SEEDS + state["clips"]) if stage.clip else None
        rate = learning_rate(stage, state["step"] - (ends[number] - stage.steps))
        for group in optimiser.param_groups:
            group["lr"] = rate * (stage.memory if group["memory"] else 1.0)
        optimiser.zero_grad(set_to_none=True)
        report = {}
        for part, every in ((images, stage.still), (clips, stage.every)):
            if part and state["step"] % every == 0:
                loss, found = part.loss()
                loss.backward()
                report.update(found)
        share_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        state["step"] += 1
        state["scenes"] = images.pool.seed - TRAIN_SEEDS if images else state["scenes"]
        state["clips"] = clips.seed - CLIP_SEEDS if clips else state["clips"]
        blend = min(stage.average, 1 - 1 / (1 + state["step"] / 10))
        with torch.no_grad():
            ours = dict(model.named_parameters())
            names = [n for n, _ in average.named_parameters()]
            torch._foreach_lerp_([p for _, p in average.named_parameters()], [ours[n] for n in names], 1 - blend)
        for key, value in report.items():
            sums[key] = sums.get(key, 0.0) + value
            count[key] = count.get(key, 0) + 1
        if state["step"] % 50 == 0:
            state["cpu"] = cpu_before + time.process_time()
            mean = {k: round(v / count[k], 4) for k, v in sums.items()}
            sums, count = {}, {}
            valid = [""] * len(VALID_COLUMNS)
            if state["step"] % EVERY == 0 and RANK == 0:
                if stage.image:
                    nano.set_size(average, stage.image)
                    valid = tuple(round(v, 4) for v in validate(average, stage.image))
                save()
            row = [state["step"], round(state["cpu"]), stage.image or stage.clip, f"{rate:.2e}"]
            row += [mean.get(key, "") for key in COLUMNS[4:]] + list(valid)
            writer.writerow(row)
            log.flush()
    state["cpu"] = cpu_before + time.process_time()
    save()


if __name__ == "__main__":
    main()
