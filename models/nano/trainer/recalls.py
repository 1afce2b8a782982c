"""Single frames of clips with made-up memories, and the loss of one step on them: nothing has to be tracked."""

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
from trainer.workers import WORKERS

HELD = 200 // WORKERS  # clips whose moments are recalled, in this process
STORIES = "cover", "leave", "cover", "leave", "roam"  # of these, in turn
WINDOW = 12  # frames of them in a row, beside frame 0
TARGETS = 4  # objects of them


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
        self.next = self.dealt = self.steps = 0
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
        """The `count` frames before as the bank has them: frames, objects, views, whether these show, [N, count]."""
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
        self.steps += 1
        if self.steps % WORKERS == 0:
            self.draw()
        total, ious_found, signs = 0.0, [], []
        for _ in range(2):  # twice half of the moments, with banks of different length
            n = self.stage.recalls // 2 // WORKERS
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
