"""What Python's tokenizers make of awkward strings, by the tokenizers of the trained models and of small checkpoints of each kind."""

from checkpoint import FOLDER, ROOT
from tokenizers import Tokenizer
from tokens import write_awkward

KINDS = ("bert", "roberta-mask", "xlm-roberta", "llama", "gemma3", "t5")


def strings():
    for folder in [ROOT / "examples" / "models" / name for name in ("story-llama", "fix-t5")] + [FOLDER / name for name in KINDS]:
        write_awkward(str(folder.relative_to(ROOT)), Tokenizer.from_file(str(folder / "tokenizer.json")))


ALL = [strings]
