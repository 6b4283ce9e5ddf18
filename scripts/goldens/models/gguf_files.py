"""What GGUF files hold, by gguf's own code: numbers of blocks, and the ids that the tokenizers named in files give for awkward strings.

test/models/gguf.json:
  blocks   by type: bytes and the f32 numbers that they stand for, base64
  cuts     by name of a pre-tokenizer, ids of the awkward strings with story-llama's vocabulary
  pieces   a SentencePiece model: tokens, scores, types, and what it makes of the awkward strings
"""

import base64
import io
import json
import tempfile
from importlib.metadata import version

import numpy as np
import sentencepiece
from checkpoint import FOLDER, ROOT
from gguf import GGMLQuantizationType as Type, quants
from tokenizers import Regex, Tokenizer, pre_tokenizers
from tokens import AWKWARD, LINES

SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def text(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def blocks():
    random = np.random.default_rng(5)
    numbers = (random.standard_normal((6, 64)) * np.array([1, 1e-3, 1e-6, 300, 0, 1e-8])[:, None]).astype(np.float32)
    made = {name: quants.quantize(numbers, Type[name]) for name in ("Q8_0", "Q4_0")}
    sixes = random.integers(0, 256, (4, 210), dtype=np.uint8)
    sixes[:, 208:] = np.array([0.01, -2e-5, 6e-8, 0], dtype=np.float16)[:, None].view(np.uint8)
    made["Q6_K"] = sixes
    return {name: {"bytes": text(found), "numbers": text(quants.dequantize(found, Type[name]))} for name, found in made.items()}


def cuts():
    def split(digits):
        parts = [pre_tokenizers.Split(Regex(SPLIT % digits), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        return pre_tokenizers.Sequence(parts)

    words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    kinds = {
        "gpt-2": words,
        "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words]),
        "llama-bpe": split(r"\p{N}{1,3}"),
        "qwen2": split(r"\p{N}"),
    }
    found = {}
    for name, cut in kinds.items():
        tokenizer = Tokenizer.from_file(str(ROOT / "examples/models/story-llama/tokenizer.json"))
        tokenizer.pre_tokenizer = cut
        found[name] = [tokenizer.encode(one).ids for one in AWKWARD]
    return found


def pieces():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_writer=model, model_type="bpe", vocab_size=420, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=0.98, minloglevel=2,
    )
    with tempfile.NamedTemporaryFile(suffix=".model") as file:
        file.write(model.getvalue())
        file.flush()
        sp = sentencepiece.SentencePieceProcessor(model_file=file.name)

    def kind(n):
        return 2 if sp.IsUnknown(n) else 3 if sp.IsControl(n) else 6 if sp.IsByte(n) else 1

    size = sp.GetPieceSize()
    return {
        "tokens": [sp.IdToPiece(n) for n in range(size)],
        "scores": [sp.GetScore(n) for n in range(size)],
        "types": [kind(n) for n in range(size)],
        "ids": [sp.Encode(one, add_bos=True) for one in AWKWARD],
        "decoded": [sp.Decode(sp.Encode(one)) for one in AWKWARD],
    }


def gguf_files():
    path = FOLDER.parent / "gguf.json"
    source = f"gguf {version('gguf')}, sentencepiece {sentencepiece.__version__}, tokenizers {version('tokenizers')}"
    path.write_text(json.dumps({"source": source, "strings": AWKWARD, "blocks": blocks(), "cuts": cuts(), "pieces": pieces()}, ensure_ascii=True) + "\n")
    print(f"{path.name:28} {path.stat().st_size / 1000:6.1f} kB")


ALL = [gguf_files]
