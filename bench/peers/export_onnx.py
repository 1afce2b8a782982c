"""Three parts of SAM 2.1 as ONNX files: `python export_onnx.py FOLDER PART…`, parts as in PARTS.

As torch.onnx's older exporter needs them: the resized position embedding is a constant, since onnxruntime has no such
bicubic resize, and rotary embeddings are real numbers, since ONNX has no complex ones. Weights are those of
hash_weights.py.
"""

import sys
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F

import pytorch as peer
from sam2.modeling.sam import transformer

IMAGE_FEATURES = {"features": (1, 256, 64, 64), "high_res_0": (1, 32, 256, 256), "high_res_1": (1, 64, 128, 128)}


class Encoder(torch.nn.Module):
    def __init__(self, variant: str):
        super().__init__()
        self.model = peer.build(variant)
        trunk = self.model.image_encoder.trunk
        position = trunk._get_pos_embed((peer.SIZE // 4, peer.SIZE // 4)).contiguous()
        trunk._get_pos_embed = lambda _: position

    def forward(self, image):
        fpn = self.model.forward_image(image)["backbone_fpn"]
        return fpn[2], fpn[0], fpn[1]


class Decoder(torch.nn.Module):
    """From a click to masks, as SAM2ImagePredictor.predict does it."""

    def __init__(self):
        super().__init__()
        self.model = peer.build("tiny")
        dense_pe = self.model.sam_prompt_encoder.get_dense_pe()
        self.model.sam_prompt_encoder.get_dense_pe = lambda: dense_pe

    def forward(self, features, high_res_0, high_res_1, coords, labels):
        model = self.model
        sparse, dense = model.sam_prompt_encoder(points=(coords, labels), boxes=None, masks=None)
        low_res, iou, _, _ = model.sam_mask_decoder(
            image_embeddings=features + model.no_mem_embed.reshape(1, -1, 1, 1),
            image_pe=model.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
            repeat_image=False,
            high_res_features=[high_res_0, high_res_1],
        )
        masks = F.interpolate(low_res, (peer.SIZE, peer.SIZE), mode="bilinear", align_corners=False)
        return masks > 0, iou, low_res.clamp(-32, 32)


class MemoryAttention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = peer.build("tiny", video=True)

    def forward(self, features, maps, pointers):
        return peer.attend(self.model, features, maps, pointers)


def rotate(x, cos, sin):
    """x[..., 2i] + i·x[..., 2i + 1], times cos + i·sin."""
    real, imaginary = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([real * cos - imaginary * sin, real * sin + imaginary * cos], dim=-1).flatten(-2)


def rope_attention(self, q, k, v, num_k_exclude_rope=0):
    """RoPEAttention.forward without complex numbers, and without writing into k."""
    q, k, v = (self._separate_heads(x, self.num_heads) for x in (self.q_proj(q), self.k_proj(k), self.v_proj(v)))
    cos, sin = self.freqs_cis.real.clone(), self.freqs_cis.imag.clone()
    rotated = k.shape[-2] - num_k_exclude_rope
    repeat = rotated // q.shape[-2]
    q = rotate(q, cos, sin)
    k = torch.cat([rotate(k[:, :, :rotated], cos.repeat(repeat, 1), sin.repeat(repeat, 1)), k[:, :, rotated:]], dim=2)
    return self.out_proj(self._recombine_heads(F.scaled_dot_product_attention(q, k, v)))


def zeros(shapes: dict) -> tuple:
    return tuple(torch.zeros(shape, dtype=torch.int32 if name == "labels" else None) for name, shape in shapes.items())


# part: what makes the module, its inputs by name, its outputs
PARTS = {
    **{
        f"encoder.{variant}": (lambda variant=variant: Encoder(variant), {"image": (1, 3, 1024, 1024)}, list(IMAGE_FEATURES))
        for variant in peer.reference.VARIANTS
    },
    "decoder": (Decoder, {**IMAGE_FEATURES, "coords": (1, 1, 2), "labels": (1, 1)}, ["masks", "iou", "low_res"]),
    "memory_attention": (MemoryAttention, peer.BANK, ["conditioned"]),
}


def main() -> None:
    folder = Path(sys.argv[1])
    torch.set_grad_enabled(False)
    warnings.simplefilter("ignore")  # the exporter's, about itself and about sizes that become constants
    transformer.RoPEAttention.forward = rope_attention
    for part in sys.argv[2:]:
        make, inputs, outputs = PARTS[part]
        temporary = folder / f".{part}.onnx"
        torch.onnx.export(
            make().eval(),
            zeros(inputs),
            temporary,
            input_names=list(inputs),
            output_names=outputs,
            opset_version=17,
            dynamo=False,
        )
        temporary.rename(folder / f"{part}.onnx")


if __name__ == "__main__":
    main()
