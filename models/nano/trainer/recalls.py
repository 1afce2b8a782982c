"""Single frames of clips with made-up memories, and the loss of one step on them: nothing has to be tracked."""

import torch
import torch.nn.functional as F

import scenes
from trainer.moments import Moments, near
from trainer.workers import WORKERS


class Recalls(Moments):
    """Loss of one step on moments whose memories are made up, so that nothing has to be tracked.

    A bank holds frame 0, and for each of the frames before one of: the true mask, what the model found there when it
    was asked last, another object (a ghost), nothing. Whatever these say, the object of frame 0 is to be found, or
    nothing where it does not show.
    """

    held = 200 // WORKERS
    window = 12
    targets = 4
    views = 2  # as it is, and as found
    boxed = 1 / 3
    batch = 1
    every = WORKERS

    @torch.no_grad()
    def draw(self):
        """A new clip takes the place of the oldest one."""
        scene, codes = self.scene()
        last = scenes.LENGTH - self.window
        start = 1 + int(torch.randint(last, ()))
        if scene["story"] != "roam" and float(torch.rand(())) < 0.6:
            away = next(o[scene["story"]]["peak"] for o in scene["objects"] if scene["story"] in o)
            start = int(min(max(1, away + float(torch.empty(()).uniform_(-self.window, self.window / 2))), last))
        at, masks = self.keep(scene, codes, start)
        goals = F.avg_pool2d(masks.float(), 4).flatten(0, 1)[:, None]
        frames = torch.arange(1 + self.window).repeat_interleave(self.targets)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            memory = self.encode(torch.full_like(frames, at), frames, 20 * goals - 10)
        self.memory[at] = memory.unflatten(0, (-1, self.targets))[:, :, None].bfloat16()
        shown = masks.flatten(2).any(2)
        self.shown[at] = shown[..., None]
        self.weigh(at, near(~shown))
        self.weight[at, :3] = 0  # nothing is known before these

    def bank(self, moment, count):
        """A made-up bank of `count` frames, as `answer` wants it."""
        clips, frames, objects = moment
        n = len(clips)
        past = frames[:, None] - torch.arange(1, count + 1)
        past = torch.where(past > 0, past, 1 + (torch.rand(past.shape) * (frames[:, None] - 1)).long())
        kind = torch.randint(4, (n, 1))  # true and found mixed, as found, ghost, nothing
        reach = 1 + (torch.rand(n, 1) * count).long()  # how many of the last frames are wrong
        reach = torch.where(torch.rand(n, 1) < 0.5, reach, count)
        wrong = torch.arange(count) < reach
        views = torch.where(kind == 1, 1, (torch.rand(n, count) < 0.5).long())
        other = torch.where(torch.rand(n) < 0.5, (objects == 0).long(), torch.randint(self.targets, (n,)))
        whole = self.codes[clips] & (scenes.PART - 1)
        each = torch.arange(n)
        apart = (whole[each, other] != whole[each, objects])[:, None]
        ghost = (kind == 2) & wrong & apart
        who = torch.where(ghost, other[:, None], objects[:, None])
        views = torch.where(ghost, 0, views)
        shows = self.shown[clips[:, None], past, who, views] & ~((kind == 3) & wrong)
        return past, who, views, shows

    def question(self):
        """Some moments, and what `answer` reads of them. A quarter of them have shorter banks."""
        model = self.model
        cells = torch.multinomial(self.weight.flatten(), self.stage.recalls // 2 // WORKERS)
        moment = torch.unravel_index(cells, self.weight.shape)
        slots = model.num_maskmem - 1
        slots = slots if float(torch.rand(())) < 0.75 else int(torch.randint(slots, ()))
        count = model.max_obj_ptrs_in_encoder - 1 if slots == model.num_maskmem - 1 else slots
        return moment, self.bank(moment, count), slots

    def ask(self, moment, bank, slots):
        """As for all moments; the pointer of what was found right also counts as that of the true mask."""
        asked = super().ask(moment, bank, slots)
        _, _, seen, truth = asked
        right = tuple(index[seen & (truth > 0.7)] for index in moment)
        self.tokens[(*right, 0)] = self.tokens[(*right, 1)]
        return asked
