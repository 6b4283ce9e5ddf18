"""Models of images: Swin and Swin v2, which classify."""

import json

import torch
from checkpoint import Checkpoint, forward, source_of, write_reference
from common import noise
from encoders import transformers

ALL = []
LABELS = {"id2label": {str(i): name for i, name in enumerate(("cat", "dog", "fox", "owl", "toad"))}}
LABELS["label2id"] = {name: int(i) for i, name in LABELS["id2label"].items()}


def family(make):
    ALL.append(make)
    return make


def image(name, cls, config, stack, gains, seed=1, note=""):
    """The pixels are what the model gets: [channels, rows, columns], normalised, multiples of 1/16."""
    c = Checkpoint(name, cls, config | LABELS, gains=gains).seeded(seed)
    c.read_back()
    size = config["image_size"]
    height, width = size if isinstance(size, list) else (size, size)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    settings = {"do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": mean, "image_processor_type": "ViTImageProcessor", "image_std": std,
                "resample": 3, "rescale_factor": 1 / 255, "size": {"height": height, "width": width}}
    (c.folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=1) + "\n")
    pixels = torch.round(noise(seed + 100, 1, 3, height, width) * 16) / 16
    results = []
    for model in (c.model, c.double):
        seen, out = forward(model, [("", *stack)], {"pixel_values": pixels})
        seen["logits"] = out.logits[0]
        results.append(seen)
    for seen in results:
        seen["pixels"] = pixels[0]
    write_reference(c.folder, source_of(cls), note, [({}, *results)])


@family
def swin():
    """Three stages of two blocks: 16 x 16 patches in windows of 4, then 8 x 8, then one window that is not shifted. The padded one has 14 x 14,
    then 7 x 7 patches, which fill no windows."""
    config = {
        "architectures": ["SwinForImageClassification"], "model_type": "swin", "attention_probs_dropout_prob": 0.0, "depths": [2, 2, 2], "drop_path_rate": 0.1,
        "embed_dim": 12, "encoder_stride": 8, "hidden_act": "gelu", "hidden_dropout_prob": 0.0, "hidden_size": 48, "image_size": 32, "initializer_range": 0.02,
        "layer_norm_eps": 1e-5, "mlp_ratio": 2.0, "num_channels": 3, "num_heads": [1, 2, 4], "num_layers": 3, "patch_size": 2, "qkv_bias": True,
        "use_absolute_embeddings": False, "window_size": 4,
    }
    hf = transformers()
    stack = ("swin", "swin.encoder.layers")
    gains = {"query": 1.8, "key": 1.8, "q_proj": 1.8, "k_proj": 1.8, "relative_position_bias_table": 1.5}
    image("swin", hf.SwinForImageClassification, config, stack, gains, note="layers are stages, each with the merging of patches at its end")
    image("swin-padded", hf.SwinForImageClassification, config | {"image_size": 28, "depths": [2, 2], "num_heads": [3, 2], "hidden_size": 24, "num_layers": 2},
          stack, gains, seed=2, note="14 x 14 patches, then 7 x 7, in windows of 4")
    image("swin-positions", hf.SwinForImageClassification,
          config | {"image_size": [14, 10], "depths": [2], "num_heads": [3], "hidden_size": 12, "num_layers": 1, "use_absolute_embeddings": True},
          stack, gains | {"position_embeddings": 2.0}, seed=3, note="7 x 5 patches, each with a row of its own added")


@family
def swinv2():
    config = {
        "architectures": ["Swinv2ForImageClassification"], "model_type": "swinv2", "attention_probs_dropout_prob": 0.0, "depths": [2, 2], "drop_path_rate": 0.1,
        "embed_dim": 12, "encoder_stride": 8, "hidden_act": "gelu", "hidden_dropout_prob": 0.0, "hidden_size": 24, "image_size": 32, "initializer_range": 0.02,
        "layer_norm_eps": 1e-5, "mlp_ratio": 2.0, "num_channels": 3, "num_heads": [2, 3], "num_layers": 2, "patch_size": 2, "qkv_bias": True,
        "use_absolute_embeddings": False, "window_size": 4, "pretrained_window_sizes": [0, 0], "path_norm": True,
    }
    hf = transformers()
    stack = ("swinv2", "swinv2.encoder.layers")
    gains = {"continuous_position_bias_mlp.0": 1.5, "continuous_position_bias_mlp.2": 3.0, "logit_scale": 3.0}
    image("swinv2", hf.Swinv2ForImageClassification, config, stack, gains, note="layers are stages, each with the merging of patches at its end")
    image("swinv2-fine", hf.Swinv2ForImageClassification, config | {"image_size": 28, "pretrained_window_sizes": [3, 6]}, stack, gains, seed=2,
          note="trained on windows of 3 and 6; 14 x 14 patches, then 7 x 7, in windows of 4")
    image("swinv2-uneven", hf.Swinv2ForImageClassification,
          config | {"image_size": [26, 14], "window_size": 7, "depths": [2, 1]}, stack, gains, seed=3,
          note="13 x 7 patches in windows of 7, shifted; then 7 x 4 in windows of 6: rows alone decide, and a half is dropped")
    image("swinv2-positions", placed(hf), config | {"image_size": [14, 10], "depths": [2, 1], "use_absolute_embeddings": True}, stack,
          gains | {"position_embeddings": 2.0}, seed=4, note="7 x 5 patches, each with a row of its own added, as in the first Swin v2")


def placed(hf):
    """transformers makes a row more than there are patches, as if there were a class token, and then can't add them; the authors' own code has a
    row for each patch (absolute_pos_embed), and so has this, with which the rest of transformers' runs as it is."""

    class Swinv2ForImageClassification(hf.Swinv2ForImageClassification):
        source = f"transformers {hf.__version__} Swinv2ForImageClassification with a row of positions for each patch"

        def __init__(self, config):
            super().__init__(config)
            embeddings = self.swinv2.embeddings
            embeddings.position_embeddings = torch.nn.Parameter(torch.zeros(1, embeddings.patch_embeddings.num_patches, config.embed_dim))

    return Swinv2ForImageClassification
