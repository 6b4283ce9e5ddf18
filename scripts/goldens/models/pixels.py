"""Images of bytes through transformers' image processor with its PIL backend: what comes of them, and what Swin says of it.
Writes test/models/pixels.json and pixels.safetensors: python scripts/goldens/models/pixels.py"""

import json

import numpy as np
import PIL
import torch
import transformers
from checkpoint import FOLDER
from common import ROOT, save
from PIL import Image
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

MODELS = {"swin": transformers.SwinForImageClassification, "swinv2-fine": transformers.Swinv2ForImageClassification}
# Model, settings beside those of its folder, and the image: rows, columns, mode, seed.
CASES = [
    ("swin", {}, (45, 37, "RGB", 1)),
    ("swin", {}, (32, 32, "RGB", 2)),
    ("swin", {}, (20, 51, "RGB", 3)),
    ("swin", {}, (32, 100, "RGBA", 4)),
    ("swin", {"resample": 2}, (71, 5, "RGB", 5)),
    ("swin", {"do_rescale": False, "image_mean": 120, "image_std": [50.5, 60, 70]}, (3, 31, "L", 6)),
    ("swin", {"do_normalize": False, "rescale_factor": 1 / 127.5}, (1, 1, "RGB", 7)),
    ("swinv2-fine", {}, (61, 75, "RGB", 8)),
]


def picture(rows, columns, mode, seed):
    """Noise over a slope, with white and black cells, whose neighbours make a cubic filter overshoot."""
    rng = np.random.Generator(np.random.PCG64(seed))
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    y, x, c = np.mgrid[0:rows, 0:columns, 0:channels]
    values = 255 * (y + x + c) / (rows + columns + channels) + rng.normal(0, 40, y.shape)
    values[rng.random(y.shape) < 0.1] = 255
    values[rng.random(y.shape) < 0.1] = 0
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def main():
    tensors, cases = {}, []
    for n, (name, more, (rows, columns, mode, seed)) in enumerate(CASES):
        folder = FOLDER / name
        settings = json.loads((folder / "preprocessor_config.json").read_text()) | more
        bytes_ = picture(rows, columns, mode, seed)
        image = Image.fromarray(bytes_[..., 0] if mode == "L" else bytes_, mode=mode).convert("RGB")
        known = {key: value for key, value in settings.items() if key != "image_processor_type"}
        pixels = ViTImageProcessorPil(**known)(image, return_tensors="pt")["pixel_values"]
        model = MODELS[name].from_pretrained(folder, dtype=torch.float32).eval()
        single = model(pixel_values=pixels).logits[0]
        double = model.double()(pixel_values=pixels.double()).logits[0]
        error = float((single.double() - double).abs().max())
        tensors |= {f"{n}.image": bytes_.astype(np.int32), f"{n}.pixels": pixels[0].numpy(), f"{n}.logits": double.float().numpy()}
        cases.append({"model": name, "settings": more, "error": float(f"{error:.2g}")})
    source = f"transformers {transformers.__version__} ViTImageProcessorPil, Pillow {PIL.__version__}"
    here = ROOT / "test" / "models"
    lines = ",\n".join(f"  {json.dumps(case)}" for case in cases)
    (here / "pixels.json").write_text(f'{{ "source": {json.dumps(source)},\n "cases": [\n{lines}\n ]\n}}\n')
    save(here / "pixels.safetensors", tensors, {"source": source})


main()
