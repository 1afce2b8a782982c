"""Still images: a pool of drawn scenes, and the loss of one step on them."""

import numpy as np
import torch
import torch.nn.functional as F

import model as nano
import scenes
from trainer.losses import prompt_loss, side_loss
from trainer.prompts import boxes_of, clicks_on, corrections, masks_of
from trainer.workers import WORKERS

SCENES = 8 // WORKERS  # scenes of a step, in this process
PROMPTS = 4  # targets of a scene
POOL = 400  # drawn scenes that wait; each step replaces FRESH of them
FRESH = max(1, SCENES // 4)
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def normalise(images):
    """uint8 [..., H, W, 3] → float [..., 3, H, W] as the reference's transforms do."""
    return (images.movedim(-1, -3).float() / 255.0 - MEAN) / STD


def rarity(owner, code, mask):
    """How much more often than others a target is asked for: parts, wholes with a part, and small ones are harder."""
    return 2.0 if (owner == code | scenes.PART).any() or mask.mean() < 0.02 else 1.0


class Pool:
    """Drawn scenes to sample from, a few frames of each: flipped, turned, colour channels permuted at every use."""

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
            codes = [[(code, rarity(owner, code, mask)) for code, mask in scenes.targets(owner)] for owner in owners]
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
                targets, weights = zip(*known)
                order = torch.multinomial(torch.tensor(weights), len(known)).tolist()
                chosen = [targets[order[p % len(known)]] for p in range(PROMPTS)]
                if float(torch.rand(())) < 0.4:
                    chosen[-1] = 0
                codes.append(chosen)
        return normalise(torch.cat(images)), torch.cat(owners), torch.tensor(codes)


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
        """All four masks for prompts on `rows`: logits [N, 4, h, w], predicted IoU [N, 4], object scores [N, 1]."""
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
        # Then three corrections of what came out for half of the targets, and a box for a quarter or half.
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
        for _ in range(3):
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
