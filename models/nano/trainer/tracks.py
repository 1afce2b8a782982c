"""Single frames of clips with the memories that tracking them leaves, and the loss of one step on them."""

import torch

import scenes
from trainer.moments import Moments, near
from trainer.workers import WORKERS


class Tracks(Moments):
    """Loss of one step on moments of whole clips, as the model has tracked them; nothing is made up.

    A clip is tracked when it is drawn, as `SAM2VideoPredictor` would; what a step finds at its moments takes the place
    of what was found before. Frames that show the object again after it was gone count as much as those without it.
    """

    held = 56 // WORKERS
    window = scenes.LENGTH - 1
    targets = 3
    views = 1
    boxed = 1 / 4
    batch = 4
    every = 16

    @torch.no_grad()
    def draw(self):
        """New clips take the place of the oldest ones, and are tracked side by side."""
        clips = []
        for _ in range(self.batch):
            at, masks = self.keep(*self.scene(), 1)
            shown = masks.flatten(2).any(2)
            self.weigh(at, near(~shown) | ((~shown).cumsum(0) > 0))
            self.weight[at, 0] = 0
            clips.append(at)
        clips = torch.tensor(clips).repeat_interleave(self.targets)
        objects = torch.arange(self.targets).repeat(self.batch)
        for frame in range(1, scenes.LENGTH):
            moment = clips, torch.full_like(clips, frame), objects
            self.remember(moment, *self.answer(moment, *self.bank(moment, frame)))

    def bank(self, moment, frame):
        """What is remembered of the frames before moments at `frame` or, where the bank is full, after it; and how many
        of these serve as memory maps."""
        clips, frames, objects = moment
        past = frames[:, None] - torch.arange(1, min(frame, self.model.max_obj_ptrs_in_encoder))
        who, views = objects[:, None].expand_as(past), torch.zeros_like(past)
        bank = past, who, views, self.shown[clips[:, None], past, who, views]
        return bank, min(frame, self.model.num_maskmem) - 1

    def question(self):
        """Some moments, and what `answer` reads of them: all with a full bank, or all on one early frame."""
        weight, full = self.weight.clone(), self.model.max_obj_ptrs_in_encoder
        if float(torch.rand(())) < float(weight[:, :full].sum() / weight.sum()):
            frame = int(torch.multinomial(weight[:, :full].sum((0, 2)), 1))
            weight[:, :frame] = weight[:, frame + 1 :] = 0
        else:
            frame = full
            weight[:, :full] = 0
        count = min(self.stage.tracks // 2 // WORKERS, int((weight > 0).sum()))
        moment = torch.unravel_index(torch.multinomial(weight.flatten(), count), weight.shape)
        return moment, *self.bank(moment, frame)
