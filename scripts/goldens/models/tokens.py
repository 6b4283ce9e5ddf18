"""Small tokenizers of each kind that released checkpoints come with, trained on a page of text, and the ids that Python's tokenizers gives
for strings that are easy to get wrong. Training breaks ties as it likes: a tokenizer that a committed checkpoint has is taken from there."""

import json
from functools import wraps

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from checkpoint import FOLDER, ROOT

PAGE = (ROOT / "examples" / "data" / "text.txt").read_text() + """
How old are you? What is your age? The cat sat on the mat, and the dog lay by the fire. She said: "It's 7 o'clock, isn't it?"
Interest rates rose by half a percent in 1998; the bank made borrowing more expensive. We've been there, they'll be here, I'd go.
Der Zug fährt über die Brücke. Où est la gare? El niño comió una manzana. Это простой пример. 日本語の文です。 你好，世界。
"""
LINES = [line for line in PAGE.split("\n") if line.strip()]


def once(train):
    """A tokenizer is trained for the folder of a checkpoint that has none, and is read from there afterwards."""

    @wraps(train)
    def kept(name, *args, **kwargs):
        path = FOLDER / name / "tokenizer.json"
        return Tokenizer.from_file(str(path)) if path.exists() else train(*args, **kwargs)

    return kept


def special(*words, left=()):
    """left: those that take the blanks before them."""
    return [AddedToken(w, special=True, normalized=False, lstrip=w in left) for w in words]


def template(t, single, pair):
    ids = sorted({w.split(":")[0] for w in pair.split() if not w.startswith("$")})
    t.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=[(w, t.token_to_id(w)) for w in ids])
    return t


@once
def word_piece(size=220, words=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), begin="[CLS]", end="[SEP]", twice=False):
    """BERT's: lower case, no accents, pieces of words. MPNet's has other marks, and two of them between a pair."""
    unknown = "[UNK]"
    t = Tokenizer(models.WordPiece(unk_token=unknown))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator(LINES, trainers.WordPieceTrainer(vocab_size=size, special_tokens=special(*words), show_progress=False))
    between = f"{end} {end}" if twice else end
    second = "0" if twice else "1"
    return template(t, f"{begin} $A {end}", f"{begin}:0 $A:0 {between.replace(end, end + ':0')} $B:{second} {end}:{second}")


@once
def byte_pairs(size=290, words=("<s>", "</s>"), kind="plain", left=()):
    """Pairs of bytes. kind: plain (GPT-2), begin (LLaMA 3: a mark before the text), roberta, cls (ModernBERT)."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=special(*words, left=left), show_progress=False)
    t.train_from_iterator(LINES, trainer)
    if kind == "begin":
        return template(t, f"{words[0]} $A", f"{words[0]}:0 $A:0 {words[0]}:1 $B:1")
    if kind == "roberta":
        t.post_processor = processors.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>")), add_prefix_space=False)
    elif kind == "cls":
        return template(t, "[CLS] $A [SEP]", "[CLS]:0 $A:0 [SEP]:0 $B:0 [SEP]:0")
    else:
        t.post_processor = processors.ByteLevel(trim_offsets=False)
    return t


@once
def fallback_pairs(size=340, words=("<unk>", "<s>", "</s>"), begin="<s>"):
    """SentencePiece's pairs as tokenizer.json has them (LLaMA 2, Mistral, Gemma, Phi-3): ▁ for a space, bytes for what is unknown."""
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    lines = ["".join(c if ord(c) < 256 else " " for c in line) for line in LINES]
    trainer = trainers.BpeTrainer(vocab_size=size - 256, special_tokens=special(*words), show_progress=False)
    t.train_from_iterator(lines, trainer)
    # The bytes stand after the marks, as in the released vocabularies.
    raw = json.loads(t.to_str())
    marks, rest = len(words), sorted(raw["model"]["vocab"].items(), key=lambda pair: pair[1])
    names = [w for w, _ in rest[:marks]] + [f"<0x{b:02X}>" for b in range(256)] + [w for w, _ in rest[marks:]]
    raw["model"]["vocab"] = {w: i for i, w in enumerate(names)}
    return template(Tokenizer.from_str(json.dumps(raw)), f"{begin} $A", f"{begin}:0 $A:0 {begin}:1 $B:1")


@once
def pieces(size=220, words=("<pad>", "</s>", "<unk>"), unknown="<unk>", single="$A </s>", pair="$A </s> $B </s>"):
    """The most likely pieces (T5, XLM-R, DeBERTa v3, XLNet)."""
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    t.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=special(*words), unk_token=unknown, show_progress=False)
    t.train_from_iterator(LINES, trainer)
    return template(t, single, pair)


# What goes wrong: nothing, blanks of all kinds, marks inside a text, accents whole and in parts, scripts without blanks, emoji of many code
# points, what is no text, right to left, long words, digits.
AWKWARD = [
    "", " ", "   ", "\n", "\t", " \n\t ", "a", "A", "The cat sat on the mat.", "  leading and trailing  ", "two  blanks   three", "line\nbreak\r\nand\rmore",
    "naïve café über Ångström", "nai\u0308ve cafe\u0301 A\u030angstro\u0308m", "ﬁne ½ № ™ ² Ⅷ", "日本語の文です。", "你好，世界。", "한국어 문장입니다", "ภาษาไทย", "हिन्दी में",
    "مرحبا بالعالم", "שלום עולם", "Привет, мир! Ёлка", "👍", "👩‍👩‍👧‍👦 family 👨🏽‍🚀", "🇫🇷🇩🇪", "a\u200bb\u200d c\ufeffd", "non\u00a0breaking\u2003em\u3000wide",
    "\u0000null\u0001\u001f\u007f", "\ufffd\ufffe", "don't we've I'd they'll it's", "e-mail@example.org, https://example.org/?q=1&r=2#s", "3.14159 1,000,000 2026-11-26",
    "snake_case camelCase kebab-case", "()[]{}<>|\\/~`^$#%&*+=", "“quotes” ‘single’ «guillemets» … — –", "<s> </s> <pad> <unk>", "[CLS] [SEP] [MASK] [PAD]",
    "pneumonoultramicroscopicsilicovolcanoconiosis" * 3, "x" * 120, "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝒻𝓊𝓃", "İstanbul ıŞ ß ẞ ſ", "Zalgo t̷e̶x̵t̴", "mixed 日本 and العربية text 🙂!", "tab\tseparated\tvalues",
]


def write_awkward(name, tokenizer):
    """What tokenizer.json of the folder makes of the awkward strings, and what its ids give as text again."""
    assert len(set(AWKWARD)) == len(AWKWARD)
    cases = []
    for text in AWKWARD:
        ids = tokenizer.encode(text).ids
        cases.append({"text": text, "ids": ids, "plain": tokenizer.encode(text, add_special_tokens=False).ids, "decoded": tokenizer.decode(ids)})
    import tokenizers

    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    head = json.dumps({"source": f"tokenizers {tokenizers.__version__}", "tokenizer": name})[1:-1]
    folder = FOLDER.parent / "tokens"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.split('/')[-1]}.json"
    path.write_text("{ " + head + ',\n "cases": [\n' + lines + "\n ]\n}\n")
    print(f"{path.name:28} {path.stat().st_size / 1000:6.1f} kB  {len(cases)} strings")
