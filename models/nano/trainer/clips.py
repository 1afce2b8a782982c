"""Windows of clips, tracked by the reference's own step, and the loss of one step on them."""

import numpy as np
import torch
import torch.nn.functional as F

import model as nano
import scenes
from trainer.losses import track_loss, true_ious
from trainer.prompts import boxes_of, clicks_on, masks_of
from trainer.stills import normalise

TRACKS = 2  # objects of a clip
POOL = 10  # drawn clips that wait, for each clip of a step


class Clips:
    """Loss of one step on clips, by the reference's own tracking step. The image encoder is not trained here."""

    def __init__(self, model, stage, seed):
        self.model, self.stage, self.size, self.seed = model, stage, stage.clip, seed
        self.sine = nano.sine(nano.D_MODEL)
        self.waiting = []
        while len(self.waiting) < POOL * stage.clips:
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
        self.waiting = self.waiting[-POOL * self.stage.clips :]
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
