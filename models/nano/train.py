"""Trains nano from nothing on scenes.py. Seeded; stop it at any time and the same command goes on.

    python train.py --run DIR            # train, or go on
    python train.py --run DIR --weights nano.safetensors --stage 6   # begin with those weights at a later stage
    python train.py --run DIR --export   # write nano.safetensors, when all stages are done

Needs torch, sam2 1.1.0 and safetensors. The schedule is STAGES; the curve is DIR/log.csv; DIR/last.pt is the state.
"""

import argparse
import bisect
import csv
import itertools
import math
import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sam2.modeling.sam2_utils import get_1d_sine_pe

import model as nano
import scenes


@dataclass
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


# Still images first and small, because features and prompts are learned there at a quarter of the cost. Stages 1 to 4
# left tracking to colours; so places are learned from pairs of frames: the memory map of the first one, mostly without
# object pointers, is all that tells which of two like things is meant. Then clips join the pairs up.
STAGES = [
    Stage(2500, 128, (6e-4, 6e-4), warmup=400),
    Stage(1950, 256, (5e-4, 3e-4), warmup=200, clip=128, every=4, taught=0.6),
    Stage(739, 256, (3.5e-4, 1.3e-4), clip=256, every=2, taught=0.3),
    Stage(480, 256, (1.3e-4, 5e-6)),
    # Pairs, near in time, then further apart.
    Stage(750, 0, (2e-4, 2e-4), 100, fresh=True, memory=3, clip=128, clips=16, frames=2, pointers=0),
    Stage(750, 0, (2e-4, 2e-4), 100, fresh=True, memory=3, clip=128, clips=16, frames=2, stride=10, pointers=0.3),
    # Clips with all memories and pointers; still images beside them, which must fit at full size.
    Stage(284, 256, (3e-4, 3e-4), 50, True, still=2, sharp=True, memory=2, clip=128, clips=6, taught=0.3, pointers=0.8),
    Stage(200, 256, (3e-4, 3e-4), still=2, sharp=True, memory=2, clip=256, taught=0.2, pointers=0.9),
    # Long clips, of which only the end teaches: by then the memories are full of what the model made itself. Tracking
    # does not bear the high rate for long, so the second of these begins with the averaged weights and ends softly.
    Stage(97, 256, (3e-4, 3e-4), sharp=True, memory=2, clip=256, clips=3, frames=14, blind=8),
    Stage(258, 256, (1.5e-4, 5e-6), 30, True, 0.99, sharp=True, clip=256, clips=3, frames=12, blind=5, taught=0.1),
    # Nearly whole clips, so that objects that were gone for long are found again.
    Stage(83, 256, (1e-4, 2e-5), 10, True, 0.98, still=3, sharp=True, clip=256, clips=3, frames=20, blind=9),
    # Still images alone once more: what the image encoder, boxes and corrections gain from more steps.
    Stage(292, 256, (3e-4, 2.3e-4), 40, True, 0.99, sharp=True, thorough=True),
    Stage(300, 256, (2.3e-4, 2e-5), 1, average=0.99, sharp=True, thorough=True),
    # (Here 773 steps followed on single frames of whole clips, with what tracking these had left behind. They are no
    # longer part of this file: the recalls below replace them, without having to track.)
    # Still images with the image encoder learning, two frames of each scene: one object looks alike in both.
    Stage(800, 256, (3e-4, 2e-5), 40, True, 0.99, sharp=True, pairs=True, thorough=True),
    # Single frames with made-up memories (one cosine over both stages). Tracking goes up and down, so the mean of the
    # averaged weights at the ends of the two is exported.
    Stage(494, 256, (3e-4, 2e-4), 40, True, 0.99, 4, True, False, True, memory=2, clip=256, recalls=40),
    Stage(308, 256, (2e-4, 1.5e-4), 1, False, 0.99, 4, True, False, True, memory=2, clip=256, recalls=40),
]
SCENES = 8  # scenes of a step
PROMPTS = 4  # targets of a scene
POOL = 400  # drawn scenes that wait; each step replaces FRESH of them
FRESH = 2
TRACKS = 2  # objects of a clip
CLIP_POOL = 10  # drawn clips that wait, for each clip of a step
HELD = 200  # clips whose moments are recalled; every step replaces one
STORIES = "cover", "leave", "cover", "leave", "roam"  # of these, in turn
WINDOW = 12  # frames of them in a row, beside frame 0
TARGETS = 4  # objects of them
TRAIN_SEEDS = 1_000_000  # training draws seeds from here on
CLIP_SEEDS = 500_000_000
VALID_SEEDS = range(100_000, 100_064)  # picks the weights; evaluate.py reports on other seeds
EVERY = 250  # steps between validations
MEMORY = "memory_", "maskmem_", "no_obj_", "obj_ptr_", "mask_downsample"  # what serves tracking alone
COLUMNS = "step cpu_s size lr loss track_loss iou box corrected object side track sign".split()
VALID_COLUMNS = "valid_click valid_box valid_corrected".split()
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def attention(q, k, v, dropout_p=0.0):
    """softmax(q·kᵀ/√c)·v written out: on a CPU its backward pass is 3× faster than the fused kernel's."""
    with torch.autocast("cpu", enabled=False):
        return torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2), -1) @ v


def normalise(images):
    """uint8 [..., H, W, 3] → float [..., 3, H, W] as the reference's transforms do."""
    return (images.movedim(-1, -3).float() / 255.0 - MEAN) / STD


class Blank(torch.nn.Module):
    """Stands in for the neck's position encodings while training, which reads only the last one."""

    def forward(self, x):
        return x.new_zeros(1)


class Pool:
    """Drawn scenes to sample from, a few frames of each: flipped, turned, with permuted colour channels at every use."""

    def __init__(self, size, seed, frames):
        self.size, self.seed, self.frames = size, seed, frames
        self.images = torch.empty(POOL, frames, size, size, 3, dtype=torch.uint8)
        self.owners = torch.empty(POOL, frames, size, size, dtype=torch.uint8)
        self.codes = [None] * POOL  # of each frame
        self.next = 0
        self.refresh(POOL)

    def refresh(self, count):
        while count:
            scene = scenes.describe(self.seed)
            self.seed += 1
            times = scene["still"], *torch.randint(scenes.LENGTH, (self.frames - 1,)).tolist()
            images, owners = zip(*(scenes.frame(scene, t, self.size) for t in times))
            codes = [[code for code, _ in scenes.targets(owner)] for owner in owners]
            if not all(codes):
                continue
            self.images[self.next] = torch.from_numpy(np.stack(images))
            self.owners[self.next] = torch.from_numpy(np.stack(owners))
            self.codes[self.next] = codes
            self.next = (self.next + 1) % POOL
            count -= 1

    def sample(self, count):
        """Images [count, 3, S, S], owners [count, S, S], codes [count, PROMPTS] (0: nothing, a click on the ground).

        Frames of one scene follow each other.
        """
        images, owners, codes = [], [], []
        for i in torch.randperm(POOL)[: count // self.frames].tolist():
            image, owner = self.images[i], self.owners[i]
            turn = int(torch.randint(8, ()))
            if turn & 1:
                image, owner = image.flip(1), owner.flip(1)
            if turn & 2:
                image, owner = image.flip(2), owner.flip(2)
            if turn & 4:
                image, owner = image.transpose(1, 2), owner.transpose(1, 2)
            images.append(image[..., torch.randperm(3)])
            owners.append(owner)
            for known in self.codes[i]:
                order = torch.randperm(len(known)).tolist()
                chosen = [known[order[p % len(known)]] for p in range(PROMPTS)]
                if float(torch.rand(())) < 0.4:
                    chosen[-1] = 0
                codes.append(chosen)
        return normalise(torch.cat(images)), torch.cat(owners), torch.tensor(codes)


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


class Images:
    """Loss of one step on still images."""

    def __init__(self, model, stage, seed):
        self.model, self.size, self.sharp, self.thorough = model, stage.image, stage.sharp, stage.thorough
        self.pool = Pool(self.size, seed, 2 if stage.pairs else 1)
        nano.set_size(model, self.size)
        with torch.no_grad():
            self.place = model.sam_prompt_encoder.get_dense_pe()

    def features(self, images):
        """FPN levels of stride 4, 8, 16 before anything is added."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.model.image_encoder(images.contiguous(memory_format=torch.channels_last))["backbone_fpn"]

    def decode(self, features, rows, points, labels, logits=None):
        """All four masks for prompts of scenes `rows`: logits [N, 4, h, w], predicted IoU [N, 4], object score [N, 1]."""
        sparse, dense = self.model.sam_prompt_encoder(points=(points, labels), boxes=None, masks=logits)
        high, mid, low = features
        decoder = self.model.sam_mask_decoder
        with torch.autocast("cpu", dtype=torch.bfloat16):
            masks, ious, _, scores = decoder.predict_masks(
                image_embeddings=low[rows],
                image_pe=self.place,
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                repeat_image=False,
                high_res_features=[high[rows], mid[rows]],
            )
        return masks.float(), ious.float(), scores.float()

    def loss(self):
        model = self.model
        nano.set_size(model, self.size)
        self.pool.refresh(FRESH)
        images, owners, codes = self.pool.sample(SCENES)
        levels = self.features(images)
        wide = [torch.cat(maps.unflatten(0, (-1, self.pool.frames)).unbind(1), -1) for maps in (owners, *levels)]
        side = side_loss(model.side, wide[1:], wide[0])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            decoder = model.sam_mask_decoder
            empty = model.no_mem_embed.view(1, -1, 1, 1)
            features = decoder.conv_s0(levels[0]), decoder.conv_s1(levels[1]), levels[2] + empty
        rows = torch.arange(SCENES).repeat_interleave(PROMPTS)
        codes, owners = codes.flatten(), owners[rows]
        masks = masks_of(owners, codes)
        goal = F.avg_pool2d(masks[:, None].float(), 4)[:, 0]
        # One click.
        points, labels = clicks_on(owners, codes, masks), torch.ones(len(rows), 1, dtype=torch.int32)
        logits, ious, scores = self.decode(features, rows, points, labels)
        full = masks if self.sharp else None
        total, report = prompt_loss(logits, ious, scores, goal, full, codes > 0, multimask=True)
        # Then two corrections of what came out for half of the targets, and a box for a quarter or half.
        some = torch.nonzero(codes > 0)[:, 0]
        some = some[torch.randperm(len(some))]
        half, weight = len(rows) // 2, 1.0 if self.thorough else 0.5
        boxed = some[-(half if self.thorough else half // 2) :]
        labels_of_box = torch.tensor([2, 3], dtype=torch.int32).expand(len(boxed), 2)
        decoded = self.decode(features, rows[boxed], boxes_of(masks[boxed]), labels_of_box)
        full = masks[boxed] if self.sharp else None
        more, box = prompt_loss(*decoded, goal[boxed], full, torch.ones(len(boxed), dtype=torch.bool), multimask=False)
        total = total + weight * more
        report["box"] = box["iou"]
        some = some[:half]
        points, labels, logits = points[some], labels[some], logits[some, ious[some, 1:].argmax(1) + 1]
        rows, goal, masks = rows[some], goal[some], masks[some]
        full, present = masks if self.sharp else None, torch.ones(half, dtype=torch.bool)
        for _ in range(2):
            logits = logits.detach().clamp(-32, 32)
            point, label = corrections(logits, masks)
            points, labels = torch.cat([points, point], 1), torch.cat([labels, label], 1)
            decoded = self.decode(features, rows, points, labels, logits[:, None])
            more, corrected = prompt_loss(*decoded, goal, full, present, multimask=False)
            total = total + weight * more
            logits = decoded[0][:, 0]
        report["corrected"] = corrected["iou"]
        total = total + 0.5 * side
        report["side"], report["loss"] = float(side.detach()), float(total.detach())
        return total, report


class Clips:
    """Loss of one step on clips, by the reference's own tracking step. The image encoder is not trained here."""

    def __init__(self, model, stage, seed):
        self.model, self.stage, self.size, self.seed = model, stage, stage.clip, seed
        self.sine = nano.sine(nano.D_MODEL)
        self.waiting = []
        while len(self.waiting) < CLIP_POOL * stage.clips:
            self.draw()

    def draw(self):
        """Adds a clip: a window of a clip's times, mostly one in which the hero disappears and returns."""
        scene = scenes.describe(self.seed)
        self.seed += 1
        steps = self.stage.frames - 1
        stride = 1 + int(torch.randint(min(self.stage.stride, (scenes.LENGTH - 1) // steps), ()))
        span = stride * steps
        start = int(torch.randint(scenes.LENGTH - span, ()))
        if scene["story"] != "roam" and float(torch.rand(())) < 0.8:
            away = next(o[scene["story"]]["peak"] for o in scene["objects"] if scene["story"] in o)
            start = int(min(max(0, away - span * float(torch.empty(()).uniform_(0.4, 1.0))), scenes.LENGTH - 1 - span))
        times = range(start, start + span + 1, stride)
        images, owners = zip(*(scenes.frame(scene, t, self.size) for t in times))
        codes = [code for code, _ in scenes.targets(owners[0])]
        if not codes:
            return
        hero = [code for code in codes if code & (scenes.PART - 1) == 1]
        self.waiting.append((torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(owners)), codes, hero))

    def sample(self):
        """Images [T, clips, 3, S, S], owners [T, clips · TRACKS, S, S], codes [clips · TRACKS]."""
        for _ in range(max(1, self.stage.clips // 4)):
            self.draw()
        self.waiting = self.waiting[-CLIP_POOL * self.stage.clips :]
        images, owners, codes = [], [], []
        for i in torch.randperm(len(self.waiting))[: self.stage.clips].tolist():
            image, owner, all_codes, hero = self.waiting[i]
            for bit, axis in ((1, 1), (2, 2)):
                if int(torch.randint(2, ())):
                    image, owner = image.flip(axis), owner.flip(axis)
            images.append(normalise(image[..., torch.randperm(3)]))
            for track in range(TRACKS):
                pool = hero if hero and track == 0 else all_codes
                codes.append(pool[int(torch.randint(len(pool), ()))])
                owners.append(owner)
        return torch.stack(images, 1), torch.stack(owners, 1), torch.tensor(codes)

    def loss(self):
        model, frames, clips = self.model, self.stage.frames, self.stage.clips
        nano.set_size(model, self.size)
        images, owners, codes = self.sample()
        rows = torch.arange(clips).repeat_interleave(TRACKS)
        images = images.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            levels = model.image_encoder(images)["backbone_fpn"]
        taught = float(torch.rand(())) < self.stage.taught  # remember the true masks instead of the found ones
        # Without pointers the place must be read from the memory maps; with them alone the colour would do.
        model.use_obj_ptrs_in_encoder = float(torch.rand(())) < self.stage.pointers
        gap = int(torch.randint(1, 30, ())) if float(torch.rand(())) < 0.5 else 0
        kind = ("click", "click", "box", "mask")[int(torch.randint(4, ()))]
        bank = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
        total, report = 0.0, {}
        ious, signs = [], []
        for t in range(frames):
            masks = masks_of(owners[t], codes)
            present = masks.flatten(1).any(1)
            goal = F.avg_pool2d(masks[:, None].float(), 4)[:, 0]
            prompt, given = None, None
            if t == 0 and kind == "click":
                prompt = {"point_coords": clicks_on(owners[0], codes, masks)[:, 0:1]}
                prompt["point_labels"] = torch.ones(len(codes), 1, dtype=torch.int32)
            if t == 0 and kind == "box":
                prompt = {"point_coords": boxes_of(masks)}
                prompt["point_labels"] = torch.tensor([2, 3], dtype=torch.int32).expand(len(codes), 2)
            if t == 0 and kind == "mask":
                given = masks[:, None].float()
            frame = [level.unflatten(0, (frames, clips))[t].float() for level in levels]
            learns = t >= self.stage.blind
            with torch.set_grad_enabled(learns), torch.autocast("cpu", dtype=torch.bfloat16):
                decoder = model.sam_mask_decoder
                frame = [decoder.conv_s0(frame[0]), decoder.conv_s1(frame[1]), frame[2]]
                sizes = [level.shape[-2:] for level in frame]
                features = [level[rows].flatten(2).permute(2, 0, 1) for level in frame]
                places = [self.sine(frame[2]).flatten(2).permute(2, 0, 1)[:, rows]]
                index = 0 if t == 0 else gap + t
                current, outputs, _, _ = model._track_step(
                    index, t == 0, features, places, sizes, prompt, given, bank, scenes.LENGTH, False, None
                )
                _, _, guesses, best, high, pointer, scores = outputs
                scores_kept = scores
                current["obj_ptr"] = pointer
                if t > 0 and taught:
                    high = torch.where(masks, 10.0, -10.0)[:, None]
                    scores_kept = torch.where(present, 10.0, -10.0)[:, None]
                if t + 1 < frames:
                    model._encode_memory_in_output(features, sizes, prompt, True, high, scores_kept, current)
            bank["cond_frame_outputs" if t == 0 else "non_cond_frame_outputs"][index] = current
            best = best[:, 0].detach().float()
            if t > 0:
                truth = true_ious(best[:, None], goal)[:, 0]
                ious.append(truth[present])
                signs.append(((scores[:, 0] > 0) == present).float())
            if learns and given is None:
                shown = present & (scores[:, 0].detach() > 0)  # masks of what is taken for absent are −1024 everywhere
                total = total + track_loss(outputs[0].float(), guesses.float(), scores.float(), goal, present, shown)
        model.use_obj_ptrs_in_encoder = True
        report["track"] = float(torch.cat(ious).mean())
        report["sign"] = float(torch.cat(signs).mean())
        total = total / (frames - 1 - self.stage.blind)
        report["track_loss"] = float(total.detach())
        return total, report


class Recalls:
    """Loss of one step on single frames of clips whose memories are made up, so that nothing has to be tracked.

    Of each clip frame 0 is kept, with what was found there after a click or a box, and WINDOW frames in a row. A moment
    is one of these frames and one of TARGETS objects; its bank holds frame 0, and for each of the frames before it one
    of: the true mask, what the model found there when it was asked last, another object (a ghost), nothing. Whatever
    these say, the object of frame 0 is to be found, or nothing where it does not show. The image encoder and what it
    hands to the mask decoder rest.
    """

    def __init__(self, model, stage, seed):
        self.model, self.stage, self.size, self.seed = model, stage, stage.clip, seed
        self.next = self.dealt = 0
        nano.set_size(model, self.size)
        model.eval()  # so that what is remembered of frame 0 is a binary mask, as when tracking
        model.binarize_mask_from_pts_for_mem_enc = True
        for module in (model.image_encoder, model.sam_mask_decoder.conv_s0, model.sam_mask_decoder.conv_s1):
            module.requires_grad_(False)
        low, frames, half = self.size // 16, 1 + WINDOW, {"dtype": torch.bfloat16}
        self.levels = [
            torch.zeros(HELD, frames, nano.D_MODEL // 8, 4 * low, 4 * low, **half),
            torch.zeros(HELD, frames, nano.D_MODEL // 4, 2 * low, 2 * low, **half),
            torch.zeros(HELD, frames, nano.D_MODEL, low, low, **half),
        ]
        self.owners = torch.zeros(HELD, frames, self.size, self.size, dtype=torch.uint8)
        self.start = torch.zeros(HELD, dtype=torch.long)  # time of frame 1
        self.codes = torch.zeros(HELD, TARGETS, dtype=torch.long)
        self.first = torch.zeros(HELD, TARGETS, self.size, self.size, dtype=torch.bool)  # as found on frame 0
        # Twice: as it is, and as the model found it when it was asked last.
        self.shown = torch.zeros(HELD, frames, TARGETS, 2, dtype=torch.bool)
        self.memory = torch.zeros(HELD, frames, TARGETS, 2, nano.MEM_DIM, low, low, **half)
        self.tokens = torch.zeros(HELD, frames, TARGETS, 2, nano.D_MODEL)  # pointers before their projection
        self.nothing = torch.zeros(HELD, frames, nano.MEM_DIM, low, low, **half)  # memory of an empty mask
        self.weight = torch.zeros(HELD, frames, TARGETS)
        self.sizes = [level.shape[-2:] for level in self.levels]
        self.place = nano.sine(nano.D_MODEL)(self.levels[2][0, :1]).flatten(2).permute(2, 0, 1)
        self.memory_place = nano.sine(nano.MEM_DIM)(self.nothing[0, :1]).flatten(2).permute(2, 0, 1)
        for _ in range(HELD):
            self.draw()

    def scene(self):
        """A clip that shows its hero on frame 0, and the codes of its targets: the hero, what covers it, others."""
        story = STORIES[self.dealt % len(STORIES)]
        self.dealt += 1
        while True:
            scene = scenes.describe(self.seed)
            self.seed += 1
            if scene["story"] != story:
                continue
            codes = [code for code, _ in scenes.targets(scenes.frame(scene, 0, self.size)[1])]
            if 1 in codes and len(codes) > 1:
                break
        codes.remove(1)
        codes = [codes[i] for i in torch.randperm(len(codes)).tolist()]
        codes.sort(key=lambda code: story != "cover" or code != len(scene["objects"]))
        return scene, [1, *itertools.islice(itertools.cycle(codes), TARGETS - 1)]

    @torch.no_grad()
    def draw(self):
        """A new clip takes the place of the oldest one."""
        model, at = self.model, self.next
        self.next = (at + 1) % HELD
        scene, codes = self.scene()
        last = scenes.LENGTH - WINDOW
        start = 1 + int(torch.randint(last, ()))
        if scene["story"] != "roam" and float(torch.rand(())) < 0.6:
            away = next(o[scene["story"]]["peak"] for o in scene["objects"] if scene["story"] in o)
            start = int(min(max(1, away + float(torch.empty(()).uniform_(-WINDOW, WINDOW / 2))), last))
        images, owners = zip(*(scenes.frame(scene, t, self.size) for t in (0, *range(start, start + WINDOW))))
        images, owners = torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(owners))
        for axis in (1, 2):
            if int(torch.randint(2, ())):
                images, owners = images.flip(axis), owners.flip(axis)
        self.start[at], self.owners[at], self.codes[at] = start, owners, torch.tensor(codes)
        masks = torch.stack([masks_of(owner.expand(TARGETS, -1, -1), self.codes[at]) for owner in owners])
        goals = F.avg_pool2d(masks.float(), 4)
        tokens = []
        hook = model.obj_ptr_proj.register_forward_pre_hook(lambda _, inputs: tokens.append(inputs[0]))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            images = normalise(images[..., torch.randperm(3)]).contiguous(memory_format=torch.channels_last)
            levels, decoder = model.image_encoder(images)["backbone_fpn"], model.sam_mask_decoder
            levels = decoder.conv_s0(levels[0]), decoder.conv_s1(levels[1]), levels[2]
            for kept, level in zip(self.levels, levels):
                kept[at] = level
            boxed = int(torch.randint(3, ())) == 0
            owner = owners[:1].expand(TARGETS, -1, -1)
            points = boxes_of(masks[0]) if boxed else clicks_on(owner, self.codes[at], masks[0])
            labels = torch.tensor([2, 3] if boxed else [1], dtype=torch.int32).expand(TARGETS, -1)
            high, mid, low = (level[:1].float().expand(TARGETS, -1, -1, -1) for level in levels)
            outputs = model._forward_sam_heads(
                low + model.no_mem_embed.view(1, -1, 1, 1),
                {"point_coords": points, "point_labels": labels},
                None,
                [high, mid],
                not boxed,
            )
            found = outputs[3].float()
            fits = (true_ious(found, goals[0])[:, 0] > 0.5).view(-1, 1, 1)
            large = F.interpolate(found, (self.size, self.size), mode="bilinear", align_corners=False)[:, 0]
            self.first[at] = torch.where(fits, large > 0, masks[0])
            frames = torch.arange(1 + WINDOW)
            self.nothing[at] = self.encode(torch.full_like(frames, at), frames, torch.full_like(goals[:, :1], -10))
            frames = frames.repeat_interleave(TARGETS)
            memory = self.encode(torch.full_like(frames, at), frames, 20 * goals.flatten(0, 1)[:, None] - 10)
            self.memory[at] = memory.unflatten(0, (-1, TARGETS))[:, :, None]
        hook.remove()
        self.tokens[at] = tokens[0].float()[:, None]
        shown = masks.flatten(2).any(2)
        self.shown[at] = shown[..., None]
        # Frames that show nothing of the object weigh more, and the four before and after them; so does the hero.
        near = F.max_pool1d((~shown).T[:, None].float(), 9, 1, 4)[:, 0].T > 0
        self.weight[at] = torch.where(near, 1.0, 0.5)
        self.weight[at, :, 0] *= 2
        self.weight[at, :3] = 0  # nothing is known before these

    def features(self, clips, frames):
        """Levels of some frames as the reference's tracking wants them, [H·W, N, C]."""
        return [level[clips, frames].float().flatten(2).permute(2, 0, 1) for level in self.levels]

    def encode(self, clips, frames, logits, first=False):
        """The memory map of masks that show something, [N, 64, H/16, W/16]."""
        masks = F.interpolate(logits, (self.size, self.size), mode="bilinear", align_corners=False)
        seen = torch.ones(len(masks), 1)
        return self.model._encode_new_memory(self.features(clips, frames), self.sizes, masks, seen, first)[0].float()

    def history(self, clips, frames, objects, count):
        """The `count` frames before as the bank has them: frames, objects, views, and whether these show, [N, count]."""
        n = len(clips)
        past = frames[:, None] - torch.arange(1, count + 1)
        past = torch.where(past > 0, past, 1 + (torch.rand(past.shape) * (frames[:, None] - 1)).long())
        kind = torch.randint(4, (n, 1))  # true and found mixed, as found, ghost, nothing
        reach = 1 + (torch.rand(n, 1) * count).long()  # how many of the last frames are wrong
        reach = torch.where(torch.rand(n, 1) < 0.5, reach, count)
        wrong = torch.arange(count) < reach
        views = torch.where(kind == 1, 1, (torch.rand(n, count) < 0.5).long())
        other = torch.where(torch.rand(n) < 0.5, (objects == 0).long(), torch.randint(TARGETS, (n,)))
        whole = self.codes[clips] & (scenes.PART - 1)
        pick = torch.arange(n)
        apart = (whole[pick, other] != whole[pick, objects])[:, None]
        ghost = (kind == 2) & wrong & apart
        who = torch.where(ghost, other[:, None], objects[:, None])
        views = torch.where(ghost, 0, views)
        shows = self.shown[clips[:, None], past, who, views] & ~((kind == 3) & wrong)
        return past, who, views, shows

    def loss(self):
        model = self.model
        nano.set_size(model, self.size)
        self.draw()
        total, ious_found, signs = 0.0, [], []
        for _ in range(2):  # twice half of the moments, with banks of different length
            n = self.stage.recalls // 2
            cells = torch.multinomial(self.weight.flatten(), n)
            clips, frames, objects = torch.unravel_index(cells, self.weight.shape)
            masks = masks_of(self.owners[clips, frames], self.codes[clips, objects])
            present = masks.flatten(1).any(1)
            goal = F.avg_pool2d(masks[:, None].float(), 4)[:, 0]
            slots = model.num_maskmem - 1
            slots = slots if float(torch.rand(())) < 0.75 else int(torch.randint(slots, ()))
            pointers = model.max_obj_ptrs_in_encoder - 1
            pointers = pointers if slots == model.num_maskmem - 1 else slots
            with torch.autocast("cpu", dtype=torch.bfloat16):
                past, who, views, shows = self.history(clips, frames, objects, pointers)
                kept = clips[:, None], past[:, :slots], who[:, :slots], views[:, :slots]
                empty = self.nothing[kept[0], kept[1]].float() + model.no_obj_embed_spatial.view(1, 1, -1, 1, 1)
                shown = shows[:, :slots, None, None, None]
                recent = torch.where(shown, self.memory[kept].float(), empty)
                logits = torch.where(self.first[clips, objects], 10.0, -10.0)[:, None]
                first = self.encode(clips, torch.zeros_like(frames), logits, first=True)
                memory = torch.cat([first[:, None], recent], 1).flatten(3).permute(1, 3, 0, 2).flatten(0, 1)
                ages = [model.num_maskmem - 1, *range(slots)]
                places = torch.cat([self.memory_place + model.maskmem_tpos_enc[age, 0] for age in ages])
                # Pointers, each as two tokens.
                token = self.tokens[clips[:, None], past, who, views]
                token = torch.cat([self.tokens[clips, 0, objects, :1], token], 1)
                seen = torch.cat([torch.ones(n, 1, dtype=torch.bool), shows], 1)[..., None]
                pointer = torch.where(seen, model.obj_ptr_proj(token).float(), model.no_obj_ptr)
                age = torch.arange(1, pointers + 1).expand(n, -1)
                age = torch.cat([(self.start[clips] + frames - 1)[:, None], age], 1)
                age = get_1d_sine_pe(age / (model.max_obj_ptrs_in_encoder - 1), dim=nano.D_MODEL)
                age = model.obj_ptr_tpos_proj(age).repeat_interleave(2, 1)
                pointer = pointer.unflatten(2, (2, -1)).flatten(1, 2)
                features = self.features(clips, frames)
                low = model.memory_attention(
                    curr=features[2:],
                    curr_pos=[self.place.expand(-1, n, -1)],
                    memory=torch.cat([memory, pointer.transpose(0, 1)]),
                    memory_pos=torch.cat([places.expand(-1, n, -1), age.transpose(0, 1)]),
                    num_obj_ptr_tokens=pointer.shape[1],
                )
                points = torch.zeros(n, 1, 2), -torch.ones(n, 1, dtype=torch.int32)
                sparse, dense = model.sam_prompt_encoder(points=points, boxes=None, masks=None)
                logits, ious, tokens, scores = model.sam_mask_decoder.predict_masks(
                    image_embeddings=low.permute(1, 2, 0).unflatten(2, self.sizes[2]),
                    image_pe=model.sam_prompt_encoder.get_dense_pe(),
                    sparse_prompt_embeddings=sparse,
                    dense_prompt_embeddings=dense,
                    repeat_image=False,
                    high_res_features=[level[clips, frames] for level in self.levels[:2]],
                )
            logits, ious, scores = logits[:, 1:].float(), ious[:, 1:].float(), scores.float()
            total = total + 0.5 * track_loss(logits, ious, scores, goal, present, present)
            truth = true_ious(logits.detach(), goal)
            with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
                pick, best = torch.arange(n), ious.argmax(1)
                truth, seen = truth[pick, best], scores[:, 0] > 0
                token = tokens[pick, best + 1].float()
                self.shown[clips, frames, objects, 1] = seen
                self.memory[clips, frames, objects, 1] = self.encode(clips, frames, logits[pick, best, None]).bfloat16()
                self.tokens[clips, frames, objects, 1] = token
                right = seen & (truth > 0.7)
                self.tokens[clips[right], frames[right], objects[right], 0] = token[right]
            ious_found.append((truth * seen)[present])
            signs.append((seen == present).float())
        report = {"track": float(torch.cat(ious_found).mean()), "sign": float(torch.cat(signs).mean())}
        report["track_loss"] = float(total.detach())
        return total, report


def mask_losses(logits, goal, reach=1):
    """BCE, heavier along outlines, plus dice: [N, M] for logits [N, M, h, w] against goal [N, h, w] in 0 … 1."""
    near = torch.cat([goal, -goal])[:, None]
    for window in ((2 * reach + 1, 1), (1, 2 * reach + 1)):  # one way, then the other: far less work at once
        near = F.max_pool2d(near, window, 1, (window[0] // 2, window[1] // 2))
    weight = 1.0 + 3.0 * (near[: len(goal)] + near[len(goal) :])
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


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--export", action="store_true")
    parser.add_argument("--weights", type=Path, help="a new run begins with these weights")
    parser.add_argument("--stage", type=int, default=1, help="a new run begins with this stage (1: the first)")
    options = parser.parse_args()
    options.run.mkdir(parents=True, exist_ok=True)
    state_file = options.run / "last.pt"

    torch.set_num_threads(1)
    torch.manual_seed(1)
    F.scaled_dot_product_attention = attention
    model = nano.build(STAGES[0].image)
    model.image_encoder.neck.position_encoding = Blank()
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
    optimiser = torch.optim.AdamW(groups, lr=1e-4, betas=(0.9, 0.98))
    start = ends[options.stage - 1] - STAGES[options.stage - 1].steps
    state = {"step": start, "cpu": 0.0, "seed": TRAIN_SEEDS + 2 * start, "clip_seed": CLIP_SEEDS + 10 * start}
    if state_file.exists():
        saved = torch.load(state_file, weights_only=True)
        state.update(saved["state"])
        model.load_state_dict(saved["model"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        torch.set_rng_state(saved["random"])
    else:
        if options.weights:
            model.load_state_dict(nano.load(options.weights).state_dict(), strict=False)
        average.load_state_dict(model.state_dict(), strict=False)
    if options.export:
        files = options.run / f"stage{len(STAGES) - 1}.pt", state_file
        found = [torch.load(file, weights_only=True)["average"] for file in files]
        average.load_state_dict({name: sum(weights[name] for weights in found) / len(found) for name in found[0]})
        nano.export(average, Path(__file__).parent / "nano.safetensors", STAGES[-1].image)
        return
    (options.run / "train.pid").write_text(str(os.getpid()))
    log = open(options.run / "log.csv", "a", newline="")
    writer = csv.writer(log)
    if log.tell() == 0:
        writer.writerow(COLUMNS + VALID_COLUMNS)

    def save():
        saved = {
            "state": state,
            "model": model.state_dict(),
            "average": average.state_dict(),
            "optimiser": optimiser.state_dict(),
            "random": torch.get_rng_state(),
        }
        torch.save(saved, options.run / "new.pt")
        os.replace(options.run / "new.pt", state_file)

    cpu_before = state["cpu"] - time.process_time()
    images, clips, current, sums, count = None, None, None, {}, {}
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    while state["step"] < ends[-1] and not stopped:
        number = bisect.bisect_right(ends, state["step"])
        stage = STAGES[number]
        if state["step"] in ends:
            save()
            shutil.copy(state_file, options.run / f"stage{number}.pt")
            if stage.fresh:
                model.load_state_dict(average.state_dict(), strict=False)
                optimiser.state.clear()
        if current != number:
            current = number
            images = Images(model, stage, state["seed"]) if stage.image else None
            kind = Recalls if stage.recalls else Clips
            clips = kind(model, stage, state["clip_seed"]) if stage.clip else None
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
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        state["step"] += 1
        state["seed"] = images.pool.seed if images else state["seed"]
        state["clip_seed"] = clips.seed if clips else state["clip_seed"]
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
            if state["step"] % EVERY == 0:
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
