"""The trained models: what transformers computes from them is what their reference.json says."""

import json

import torch
from checkpoint import ROOT, answered, continued

ALL = []


def trained(make):
    ALL.append(make)
    return make


def same(name, case, logits, tokens, lead):
    value, index = logits.topk(10)
    assert index.tolist() == [i for i, _ in case["top"]], name
    far = max(abs(a - b) for a, (_, b) in zip(value.tolist(), case["top"]))
    assert far < 2e-5, f"{name}: logits are {far} off"
    assert tokens == case["tokens"], name
    assert abs(lead - case["smallestLead"]) < 2e-5, f"{name}: lead {lead}"
    print(f"{name:28} top 10 within {far:.1e}, {len(tokens)} tokens the same", flush=True)


@trained
def story_llama():
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = ROOT / "examples" / "models" / "story-llama"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    t = AutoTokenizer.from_pretrained(folder)
    for case in json.loads((folder / "reference.json").read_text())["cases"]:
        assert t(case["prompt"])["input_ids"] == case["ids"]
        tokens, lead = continued(model, case["ids"], len(case["tokens"]))
        assert t.decode(tokens, skip_special_tokens=True) == case["text"]
        same("story-llama", case, model(torch.tensor([case["ids"]])).logits[0, -1], tokens, lead)


@trained
def fix_t5():
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    folder = ROOT / "examples" / "models" / "fix-t5"
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
    t = AutoTokenizer.from_pretrained(folder)
    for case in json.loads((folder / "reference.json").read_text())["cases"]:
        assert t(case["input"])["input_ids"] == case["ids"]
        tokens, lead = answered(model, case["ids"], 0, len(case["tokens"]) - 1)
        assert t.decode(tokens, skip_special_tokens=True) == case["text"]
        logits = model(input_ids=torch.tensor([case["ids"]]), decoder_input_ids=torch.zeros(1, 1, dtype=torch.long)).logits[0, -1]
        same("fix-t5", case, logits, [0, *tokens], lead)
