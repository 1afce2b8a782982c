"""Frames of clips, kept with their features and memories, and what the model answers there: no clip has to be tracked
through to learn from one of its frames."""

import itertools

import numpy as np
import torch
import torch.nn.functional as F
from sam2.modeling.sam2_utils import get_1d_sine_pe

import model as nano
import scenes
from trainer.losses import track_loss, true_ious
from trainer.prompts import boxes_of, clicks_on, masks_of
from trainer.stills import normalise

STORIES = "cover", "leave", "cover", "leave", "roam"  # of these, in turn
TOGETHER = 20  # frames encoded at once


def near(gone):
    """Frames within four of those that are `gone`, [frames, targets]."""
    return F.max_pool1d(gone.T[:, None].float(), 9, 1, 4)[:, 0].T > 0


class Moments:
    """Of each of `held` clips frame 0 is kept, with what was found there after a click or a box, and `window` frames in
    a row. A moment is one of these frames and one of `targets` objects: clips, frames, objects, [N] each.

    What is remembered of a moment is kept in `views` ways, the last of them as the model found it when it was asked
    last. Unless the stage is `awake`, the image encoder and what it hands to the mask decoder rest. Kinds of moments say
    how clips come (`draw`) and what is asked (`question`).
    """

    held: int
    window: int
    targets: int
    views: int
    boxed: float  # share of clips that begin with a box
    batch: int  # clips of one draw
    every: int  # steps between two draws

    def __init__(self, model, stage, seed):
        self.model, self.stage, self.size, self.seed = model, stage, stage.clip, seed
        self.next = self.dealt = self.steps = 0
        nano.set_size(model, self.size)
        model.eval()  # so that what is remembered of frame 0 is a binary mask, as when tracking
        model.binarize_mask_from_pts_for_mem_enc = True
        for module in (model.image_encoder, model.sam_mask_decoder.conv_s0, model.sam_mask_decoder.conv_s1):
            module.requires_grad_(stage.awake)
        low, half = self.size // 16, {"dtype": torch.bfloat16}
        held, frames, targets, views = self.held, 1 + self.window, self.targets, self.views
        self.levels = [
            torch.zeros(held, frames, nano.D_MODEL // 8, 4 * low, 4 * low, **half),
            torch.zeros(held, frames, nano.D_MODEL // 4, 2 * low, 2 * low, **half),
            torch.zeros(held, frames, nano.D_MODEL, low, low, **half),
        ]
        self.images = torch.zeros(held, frames, self.size, self.size, 3, dtype=torch.uint8)
        self.owners = torch.zeros(held, frames, self.size, self.size, dtype=torch.uint8)
        self.start = torch.zeros(held, dtype=torch.long)  # time of frame 1
        self.codes = torch.zeros(held, targets, dtype=torch.long)
        self.first = torch.zeros(held, targets, self.size, self.size, dtype=torch.bool)  # as found on frame 0
        self.shown = torch.zeros(held, frames, targets, views, dtype=torch.bool)
        self.memory = torch.zeros(held, frames, targets, views, nano.MEM_DIM, low, low, **half)
        self.tokens = torch.zeros(held, frames, targets, views, nano.D_MODEL)  # pointers before their projection
        self.nothing = torch.zeros(held, frames, nano.MEM_DIM, low, low, **half)  # memory of an empty mask
        self.weight = torch.zeros(held, frames, targets)  # how often moments are asked for
        self.grid = low, low
        self.place = nano.sine(nano.D_MODEL)(self.levels[2][0, :1]).flatten(2).permute(2, 0, 1)
        self.memory_place = nano.sine(nano.MEM_DIM)(self.nothing[0, :1]).flatten(2).permute(2, 0, 1)
        for _ in range(0, held, self.batch):
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
        return scene, [1, *itertools.islice(itertools.cycle(codes), self.targets - 1)]

    @torch.no_grad()
    def keep(self, scene, codes, start):
        """A clip takes the place of the oldest one: that place, and the true masks [1 + window, targets, S, S]."""
        model, at = self.model, self.next
        self.next = (at + 1) % self.held
        times = 0, *range(start, start + self.window)
        images, owners = zip(*(scenes.frame(scene, t, self.size) for t in times))
        images, owners = torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(owners))
        for axis in (1, 2):
            if int(torch.randint(2, ())):
                images, owners = images.flip(axis), owners.flip(axis)
        self.images[at], self.owners[at] = images[..., torch.randperm(3)], owners
        self.start[at], self.codes[at] = start, torch.tensor(codes)
        masks = torch.stack([masks_of(owner.expand(self.targets, -1, -1), self.codes[at]) for owner in owners])
        goal = F.avg_pool2d(masks[0].float(), 4)
        tokens = []
        hook = model.obj_ptr_proj.register_forward_pre_hook(lambda _, inputs: tokens.append(inputs[0]))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            for part in torch.arange(len(times)).split(TOGETHER):
                self.look(torch.full_like(part, at), part)
            boxed = float(torch.rand(())) < self.boxed
            owner = owners[:1].expand(self.targets, -1, -1)
            points = boxes_of(masks[0]) if boxed else clicks_on(owner, self.codes[at], masks[0])
            labels = torch.tensor([2, 3] if boxed else [1], dtype=torch.int32).expand(self.targets, -1)
            high, mid, low = (level[at, :1].float().expand(self.targets, -1, -1, -1) for level in self.levels)
            outputs = model._forward_sam_heads(
                low + model.no_mem_embed.view(1, -1, 1, 1),
                {"point_coords": points, "point_labels": labels},
                None,
                [high, mid],
                not boxed,
            )
            found = outputs[3].float()
            fits = (true_ious(found, goal)[:, 0] > 0.5).view(-1, 1, 1)
            large = F.interpolate(found, (self.size, self.size), mode="bilinear", align_corners=False)[:, 0]
            self.first[at] = torch.where(fits, large > 0, masks[0])
            frames = torch.arange(len(times))
            empty = torch.full((len(frames), 1, *found.shape[-2:]), -10.0)
            self.nothing[at] = self.encode(torch.full_like(frames, at), frames, empty).bfloat16()
        hook.remove()
        self.tokens[at] = tokens[0].float()[:, None]
        return at, masks

    def look(self, clips, frames):
        """What the mask decoder gets of some frames, [N, C, H, W] at strides 4, 8 and 16; it is also kept."""
        decoder = self.model.sam_mask_decoder
        images = normalise(self.images[clips, frames]).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            high, mid, low = self.model.image_encoder(images)["backbone_fpn"]
            levels = decoder.conv_s0(high), decoder.conv_s1(mid), low
        for kept, level in zip(self.levels, levels):
            kept[clips, frames] = level.detach().bfloat16()
        return levels

    def seen(self, clips, frames):
        """The same of moments, each frame looked at once where the encoder learns, and otherwise as kept."""
        if not (self.stage.awake and torch.is_grad_enabled()):
            return [level[clips, frames].float() for level in self.levels]
        at, each = torch.stack([clips, frames]).unique(dim=1, return_inverse=True)
        return [level.float()[each] for level in self.look(*at)]

    def weigh(self, at, matters):
        """Moments that matter [1 + window, targets] count twice, and so does the hero."""
        self.weight[at] = torch.where(matters, 1.0, 0.5)
        self.weight[at, :, 0] *= 2

    def encode(self, clips, frames, logits, first=False):
        """The memory map of masks that show something, [N, 64, H/16, W/16]."""
        masks = F.interpolate(logits, (self.size, self.size), mode="bilinear", align_corners=False)
        shown = torch.ones(len(masks), 1)
        low = self.levels[2][clips, frames].float().flatten(2).permute(2, 0, 1)
        return self.model._encode_new_memory([low], [self.grid], masks, shown, first)[0].float()

    def answer(self, moment, bank, slots):
        """Masks 1 to 3 [N, 3, h, w], their predicted IoU [N, 3] and tokens [N, 3, C], object scores [N, 1].

        `bank` is what is remembered of the frames before, the last one first: frames, objects, views, whether these
        show anything, [N, count] each. All of these become pointers, the first `slots` of them memory maps as well.
        """
        model, (clips, frames, objects), (past, who, views, shows) = self.model, moment, bank
        n, count = past.shape
        high, mid, low = self.seen(clips, frames)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            kept = clips[:, None], past[:, :slots], who[:, :slots], views[:, :slots]
            empty = self.nothing[kept[0], kept[1]].float() + model.no_obj_embed_spatial.view(1, 1, -1, 1, 1)
            recent = torch.where(shows[:, :slots, None, None, None], self.memory[kept].float(), empty)
            logits = torch.where(self.first[clips, objects], 10.0, -10.0)[:, None]
            first = self.encode(clips, torch.zeros_like(frames), logits, first=True)
            memory = torch.cat([first[:, None], recent], 1).flatten(3).permute(1, 3, 0, 2).flatten(0, 1)
            ages = [model.num_maskmem - 1, *range(slots)]
            places = torch.cat([self.memory_place + model.maskmem_tpos_enc[age, 0] for age in ages])
            # Pointers, each as two tokens.
            token = self.tokens[clips[:, None], past, who, views]
            token = torch.cat([self.tokens[clips, 0, objects, :1], token], 1)
            found = torch.cat([torch.ones(n, 1, dtype=torch.bool), shows], 1)[..., None]
            pointer = torch.where(found, model.obj_ptr_proj(token).float(), model.no_obj_ptr)
            age = torch.arange(1, count + 1).expand(n, -1)
            age = torch.cat([(self.start[clips] + frames - 1)[:, None], age], 1)
            age = get_1d_sine_pe(age / (model.max_obj_ptrs_in_encoder - 1), dim=nano.D_MODEL)
            age = model.obj_ptr_tpos_proj(age).repeat_interleave(2, 1)
            pointer = pointer.unflatten(2, (2, -1)).flatten(1, 2)
            low = model.memory_attention(
                curr=[low.flatten(2).permute(2, 0, 1)],
                curr_pos=[self.place.expand(-1, n, -1)],
                memory=torch.cat([memory, pointer.transpose(0, 1)]),
                memory_pos=torch.cat([places.expand(-1, n, -1), age.transpose(0, 1)]),
                num_obj_ptr_tokens=pointer.shape[1],
            )
            points = torch.zeros(n, 1, 2), -torch.ones(n, 1, dtype=torch.int32)
            sparse, dense = model.sam_prompt_encoder(points=points, boxes=None, masks=None)
            logits, ious, tokens, scores = model.sam_mask_decoder.predict_masks(
                image_embeddings=low.permute(1, 2, 0).unflatten(2, self.grid),
                image_pe=model.sam_prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                repeat_image=False,
                high_res_features=[high, mid],
            )
        return logits[:, 1:].float(), ious[:, 1:].float(), tokens[:, 1:].float(), scores.float()

    @torch.no_grad()
    def remember(self, moment, logits, ious, tokens, scores):
        """Keeps an answer, of its masks the one with the best predicted IoU, as what was found last."""
        each, best = torch.arange(len(ious)), ious.argmax(1)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            memory = self.encode(*moment[:2], logits[each, best, None])
        self.memory[(*moment, -1)] = memory.bfloat16()
        self.tokens[(*moment, -1)] = tokens[each, best]
        self.shown[(*moment, -1)] = scores[:, 0] > 0

    def ask(self, moment, bank, slots):
        """The loss of an answer, which is then remembered; and of each moment: whether the object shows, whether the
        score says so, and the IoU of the mask that is remembered, [N] each."""
        clips, frames, objects = moment
        masks = masks_of(self.owners[clips, frames], self.codes[clips, objects])
        present = masks.flatten(1).any(1)
        goal = F.avg_pool2d(masks[:, None].float(), 4)[:, 0]
        logits, ious, tokens, scores = self.answer(moment, bank, slots)
        loss = track_loss(logits, ious, scores, goal, present, present)
        logits, ious, tokens, scores = (part.detach() for part in (logits, ious, tokens, scores))
        self.remember(moment, logits, ious, tokens, scores)
        truth = true_ious(logits, goal)[torch.arange(len(ious)), ious.argmax(1)]
        return loss, present, scores[:, 0] > 0, truth

    def loss(self):
        nano.set_size(self.model, self.size)
        self.steps += 1
        if self.steps % self.every == 0:
            self.draw()
        # Twice half of the moments, with banks of different length.
        losses, present, seen, truth = zip(*(self.ask(*self.question()) for _ in range(2)))
        loss, present, seen, truth = sum(losses) / len(losses), torch.cat(present), torch.cat(seen), torch.cat(truth)
        sign, found = (seen == present).float().mean(), (truth * seen)[present].mean()
        return loss, {"track_loss": float(loss.detach()), "track": float(found), "sign": float(sign)}
