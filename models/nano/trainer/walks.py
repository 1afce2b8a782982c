"""Whole clips, tracked as they are when nothing is learned, and the loss of one step on them."""

import itertools
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from sam2.modeling.sam2_utils import get_1d_sine_pe

import model as nano
import scenes
from trainer.losses import track_loss, true_ious
from trainer.prompts import boxes_of, clicks_on, masks_of
from trainer.stills import normalise
from trainer.workers import WORKERS

COHORTS = 4  # of clips that are tracked side by side
STORIES = "cover", "leave", "cover", "leave", "roam"  # of their clips, in turn
TARGETS = 3  # objects of each


class Walks:
    """Loss of one step on tracked clips: one frame of each, with the memories that the model itself has by then.

    Clips walk in cohorts: a step takes one cohort a frame further, and the cohorts take turns. Three in five objects
    see just what they found before, as when tracking; the others at times another object's past, as if they had
    followed the wrong one, or nothing. Whatever the memories say, the object of frame 0 is to be found, or nothing
    where it does not show. The image encoder and what it hands to the mask decoder rest, and what was remembered does
    not learn again, but for frame 0.
    """

    def __init__(self, model, stage, seed):
        self.model, self.size, self.seed = model, stage.clip, seed
        self.clips, self.dealt, self.turn = stage.walks // TARGETS // WORKERS, 0, 0
        nano.set_size(model, self.size)
        model.eval()  # so that what is remembered of frame 0 is a binary mask, as when tracking
        model.binarize_mask_from_pts_for_mem_enc = True
        for module in (model.image_encoder, model.sam_mask_decoder.conv_s0, model.sam_mask_decoder.conv_s1):
            module.requires_grad_(False)
        low = self.size // 16
        self.sizes = [(4 * low, 4 * low), (2 * low, 2 * low), (low, low)]
        grid = torch.zeros(1, 1, low, low)
        self.place = nano.sine(nano.D_MODEL)(grid).flatten(2).permute(2, 0, 1)
        self.memory_place = nano.sine(nano.MEM_DIM)(grid).flatten(2).permute(2, 0, 1)
        # The first walks end early, each at another frame, so that later on the cohorts are at different frames.
        self.walks = [self.begin(scenes.LENGTH * (k + 1) // COHORTS) for k in range(COHORTS)]

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
    def begin(self, length):
        """A cohort of new clips of `length` frames, and what is found on frame 0 after a click or a box."""
        model, decoder, low = self.model, self.model.sam_mask_decoder, self.size // 16
        images, owners, codes = [], [], []
        for _ in range(self.clips):
            scene, targets = self.scene()
            image, owner = zip(*(scenes.frame(scene, t, self.size) for t in range(length)))
            image, owner = torch.from_numpy(np.stack(image)), torch.from_numpy(np.stack(owner))
            for axis in (1, 2):
                if int(torch.randint(2, ())):
                    image, owner = image.flip(axis), owner.flip(axis)
            images.append(image[..., torch.randperm(3)])
            owners.append(owner)
            codes += targets
        n = len(codes)
        walk = SimpleNamespace(t=0, length=length, codes=torch.tensor(codes), owners=torch.stack(owners, 1), levels=[])
        tokens = []
        hook = model.obj_ptr_proj.register_forward_pre_hook(lambda _, inputs: tokens.append(inputs[0]))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            for image in torch.stack(images, 1):
                image = normalise(image).contiguous(memory_format=torch.channels_last)
                high, mid, deep = model.image_encoder(image)["backbone_fpn"]
                walk.levels.append([decoder.conv_s0(high), decoder.conv_s1(mid), deep.bfloat16()])
            masks = self.masks(walk)
            boxed = int(torch.randint(3, ())) == 0
            owner = walk.owners[0].repeat_interleave(TARGETS, 0)
            points = boxes_of(masks) if boxed else clicks_on(owner, walk.codes, masks)
            labels = torch.tensor([2, 3] if boxed else [1], dtype=torch.int32).expand(n, -1)
            high, mid, deep = (level.float().repeat_interleave(TARGETS, 0) for level in walk.levels[0])
            prompt = {"point_coords": points, "point_labels": labels}
            deep = deep + model.no_mem_embed.view(1, -1, 1, 1)
            found = model._forward_sam_heads(deep, prompt, None, [high, mid], not boxed)[3].float()
        hook.remove()
        fits = (true_ious(found, F.avg_pool2d(masks[:, None].float(), 4)[:, 0])[:, 0] > 0.5).view(-1, 1, 1)
        large = F.interpolate(found, masks.shape[1:], mode="bilinear", align_corners=False)[:, 0]
        walk.first = torch.where(fits, large > 0, masks)
        # Of every frame: pointers before their projection, whether the object was found, memories of the found mask
        # and of an empty one.
        walk.tokens = torch.zeros(length, n, nano.D_MODEL)
        walk.tokens[0] = tokens[0].float()
        walk.shown = torch.ones(length, n, dtype=torch.bool)
        walk.memory = torch.zeros(length, n, nano.MEM_DIM, low, low, dtype=torch.bfloat16)
        walk.nothing = torch.zeros_like(walk.memory[:, ::TARGETS])  # for each clip
        walk.gone = torch.zeros(n, dtype=torch.bool)
        walk.pure = torch.rand(n, 1) < 0.6
        other = torch.arange(n).view(-1, TARGETS).roll(1, 1).flatten()  # of the same clip, and not a part of this one
        whole = walk.codes & (scenes.PART - 1)
        walk.other = torch.where(whole[other] != whole, other, torch.arange(n))[:, None]
        return walk

    def masks(self, walk):
        """The true masks of the objects on the walk's frame."""
        return masks_of(walk.owners[walk.t].repeat_interleave(TARGETS, 0), walk.codes)

    def features(self, walk, t):
        """Levels of frame t for each object as the reference's tracking wants them, [H·W, N, C]."""
        return [level.float().repeat_interleave(TARGETS, 0).flatten(2).permute(2, 0, 1) for level in walk.levels[t]]

    def encode(self, features, logits, first=False):
        """The memory maps of masks that show something, [N, 64, H/16, W/16]."""
        masks = F.interpolate(logits[:, None], (self.size, self.size), mode="bilinear", align_corners=False)
        seen = torch.ones(len(masks), 1)
        return self.model._encode_new_memory(features, self.sizes, masks, seen, first)[0].float()

    def bank(self, walk):
        """What memory attention reads: memory [M, N, 64], its places [M, N, 64], how many of M come from pointers."""
        model, t, n = self.model, walk.t, len(walk.codes)
        slots = min(t - 1, model.num_maskmem - 1)
        count = min(t - 1, model.max_obj_ptrs_in_encoder - 1)
        past = (t - torch.arange(1, count + 1)).expand(n, -1)
        # All or some of the last frames are wrong.
        reach = torch.where(torch.rand(n, 1) < 0.5, count, 1 + (torch.rand(n, 1) * count).long())
        wrong = (torch.arange(count) < reach) & ~walk.pure
        kind = torch.randint(3, (n, 1))
        who = torch.where(wrong & (kind == 0), walk.other, torch.arange(n)[:, None])
        shows = walk.shown[past, who] & ~(wrong & (kind == 1))
        kept = past[:, :slots], who[:, :slots]
        empty = walk.nothing[kept[0], kept[1] // TARGETS].float() + model.no_obj_embed_spatial.view(1, 1, -1, 1, 1)
        recent = torch.where(shows[:, :slots, None, None, None], walk.memory[kept].float(), empty)
        first = self.encode(self.features(walk, 0), torch.where(walk.first, 10.0, -10.0), first=True)
        memory = torch.cat([first[:, None], recent], 1).flatten(3).permute(1, 3, 0, 2).flatten(0, 1)
        ages = [model.num_maskmem - 1, *range(slots)]
        places = torch.cat([self.memory_place + model.maskmem_tpos_enc[age, 0] for age in ages])
        # Pointers, each as two tokens.
        token = torch.cat([walk.tokens[:1].transpose(0, 1), walk.tokens[past, who]], 1)
        seen = torch.cat([torch.ones(n, 1, dtype=torch.bool), shows], 1)[..., None]
        pointer = torch.where(seen, model.obj_ptr_proj(token).float(), model.no_obj_ptr)
        pointer = pointer.unflatten(2, (2, -1)).flatten(1, 2).transpose(0, 1)
        age = torch.tensor([t, *range(1, count + 1)]) / (model.max_obj_ptrs_in_encoder - 1)
        age = model.obj_ptr_tpos_proj(get_1d_sine_pe(age, dim=nano.D_MODEL)).repeat_interleave(2, 0)[:, None]
        places = torch.cat([places, age]).expand(-1, n, -1)
        return torch.cat([memory, pointer]), places, len(pointer)

    def loss(self):
        model, walk = self.model, self.walks[self.turn]
        nano.set_size(model, self.size)
        walk.t += 1
        masks, n = self.masks(walk), len(walk.codes)
        present = masks.flatten(1).any(1)
        goal = F.avg_pool2d(masks[:, None].float(), 4)[:, 0]
        features = self.features(walk, walk.t)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            memory, places, pointers = self.bank(walk)
            low = model.memory_attention(
                curr=features[2:],
                curr_pos=[self.place.expand(-1, n, -1)],
                memory=memory,
                memory_pos=places,
                num_obj_ptr_tokens=pointers,
            )
            points = torch.zeros(n, 1, 2), -torch.ones(n, 1, dtype=torch.int32)
            sparse, dense = model.sam_prompt_encoder(points=points, boxes=None, masks=None)
            logits, ious, tokens, scores = model.sam_mask_decoder.predict_masks(
                image_embeddings=low.permute(1, 2, 0).unflatten(2, self.sizes[2]),
                image_pe=model.sam_prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                repeat_image=False,
                high_res_features=[level.float().repeat_interleave(TARGETS, 0) for level in walk.levels[walk.t][:2]],
            )
        logits, ious, scores = logits[:, 1:].float(), ious[:, 1:].float(), scores.float()
        # What is gone, and what has returned, counts twice.
        walk.gone |= ~present
        total = track_loss(logits, ious, scores, goal, present, present, 1.0 + walk.gone)
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            pick, best, seen = torch.arange(n), ious.argmax(1), scores[:, 0] > 0
            truth = true_ious(logits, goal)[pick, best] * seen
            walk.shown[walk.t], walk.tokens[walk.t] = seen, tokens[pick, best + 1].float()
            walk.memory[walk.t] = self.encode(features, logits[pick, best]).bfloat16()
            clip = [level[:, ::TARGETS] for level in features]
            walk.nothing[walk.t] = self.encode(clip, torch.full_like(goal[::TARGETS], -10)).bfloat16()
        if walk.t + 1 == walk.length:
            self.walks[self.turn] = self.begin(scenes.LENGTH)
        self.turn = (self.turn + 1) % COHORTS
        # The heroes as they are tracked: what evaluate.py asks for.
        pure = walk.pure[:, 0]
        report = {"sign": float((seen == present)[pure].float().mean()), "track_loss": float(total.detach())}
        if (pure & present).any():
            report["track"] = float(truth[pure & present].mean())
        return total, report
