"""What every golden script shares: runs of an original module in float32 and in real float64, capture of what
goes into and comes out of its attention, and the files."""

import contextlib
import json
import os
import struct
import sys
import types
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch

torch.set_num_threads(1)
torch.set_grad_enabled(False)



def without_torchvision():
    """A torchvision that does not fit the installed torch must not stop transformers and timm: neither needs it
    for attention."""
    try:
        import torchvision.ops  # noqa: F401
        return
    except Exception:
        pass
    for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    import transformers.utils
    from transformers.utils import import_utils

    for module in (import_utils, transformers.utils):
        for name in ("is_torchvision_available", "is_torchvision_v2_available"):
            if hasattr(module, name):
                setattr(module, name, lambda *_: False)
    from importlib.machinery import ModuleSpec

    def member(owner, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Class(name, (), {})

    Class = type("Class", (type,), {"__getattr__": member})
    Anything = type("Anything", (types.ModuleType,), {"__getattr__": member})

    class Finder:
        """Any torchvision module is there, and empty."""

        def find_spec(self, name, path=None, target=None):
            return ModuleSpec(name, self, is_package=True) if name.split(".")[0] == "torchvision" else None

        def create_module(self, spec):
            return Anything(spec.name)

        def exec_module(self, module):
            pass

    sys.meta_path.insert(0, Finder())


without_torchvision()

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "test" / "golden"
EXAMPLES = ROOT / "examples" / "data"

# ---------------------------------------------------------------------------------------------- runs of a module


@contextlib.contextmanager
def float64():
    """Everything a module asks to be float32 is float64 in here: models that force single precision (rotary
    angles, softmax) really run in double."""
    names = ("float32", "float", "bfloat16", "float16", "half")
    dtypes = {name: getattr(torch, name) for name in names}
    casts = {name: getattr(torch.Tensor, name) for name in ("float", "bfloat16", "half")}
    default = torch.get_default_dtype()
    for name in names:
        setattr(torch, name, torch.float64)
    for name in casts:
        setattr(torch.Tensor, name, torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(default)
        for name, value in dtypes.items():
            setattr(torch, name, value)
        for name, value in casts.items():
            setattr(torch.Tensor, name, value)


def seed_weights(module, seed, gain=1.0, gains=None):
    """Weights from numpy's PCG64: matrices with standard deviation gain/sqrt(columns), embeddings and tables
    gain, vectors near their default. `gains` maps part of a parameter's name to a gain of its own."""
    rng = np.random.Generator(np.random.PCG64(seed))
    embeddings = {id(m.weight) for m in module.modules() if isinstance(m, torch.nn.Embedding)}
    for name, p in module.named_parameters():
        x = rng.standard_normal(tuple(p.shape))
        own = next((g for part, g in (gains or {}).items() if part in name), None)
        if id(p) in embeddings:
            x *= 1.0 if own is None else own
        elif p.dim() >= 2 and "norm" not in name.lower():
            fan = int(np.prod(p.shape[1:])) if p.dim() != 3 else p.shape[-1]
            x *= (gain if own is None else own) / np.sqrt(fan)
        elif name.endswith("weight"):
            x = 1.0 + 0.1 * x
        else:
            x *= 0.3 if own is None else own
        p.data.copy_(torch.from_numpy(x).to(p.dtype))
    return module


def copy_weights(source, target):
    given = dict(source.named_parameters())
    for name, p in target.named_parameters():
        p.data.copy_(given[name].data.double())


def noise(seed, *shape, scale=1.0):
    rng = np.random.Generator(np.random.PCG64(seed))
    return torch.from_numpy((scale * rng.standard_normal(shape)).astype(np.float32))


class Run:
    """What one model gave: `pins[name]` the pinned outputs (float32, the same in both runs), `single` and `double`
    the watched inputs of the output projection of each run, by name, one entry for each call; `model` and
    `result` belong to the float64 run."""

    def __init__(self):
        self.pins, self.single, self.double = {}, {}, {}


def run(build, call, pin, watch, seed=1, gain=1.0, gains=None, prepare=None, einsum=None, quantum=None):
    """Runs build() and call(model) in float32, then in float64 with the pinned modules' outputs replaced by the
    float32 ones, so that the expected output is an exact function of what the file holds. prepare(model) may change
    the seeded weights. einsum: (equation of the projections, equation of the output projection) for a module that
    projects by torch.einsum; they are pinned and watched under the name "einsum". quantum: pinned values are
    multiples of it, so that a bias added later is still exact in float32."""
    r = Run()

    def hooked(model, watched, double):
        modules = dict(model.named_modules())
        counts = dict.fromkeys([*pin, "einsum"], 0)

        def fix(name, output):
            i = counts[name]
            counts[name] += 1
            if double:
                return r.pins[name][i].double()
            if quantum:
                output = torch.round(output / quantum) * quantum
            r.pins.setdefault(name, []).append(output.detach().clone())
            return output

        def see(name, x):
            watched.setdefault(name, []).append(x.detach().clone())

        for n in pin:
            modules[n].register_forward_hook(lambda _m, _i, output, n=n: fix(n, output))
        for n in watch:
            modules[n].register_forward_pre_hook(lambda _m, inputs, n=n: see(n, inputs[0]))
        if einsum is None:
            return call(model)
        original = torch.einsum

        def patched(equation, *operands):
            if equation == einsum[1]:
                see("einsum", operands[0])
            result = original(equation, *operands)
            return fix("einsum", result) if equation == einsum[0] else result

        torch.einsum = patched
        try:
            return call(model)
        finally:
            torch.einsum = original

    r.model32 = seed_weights(build().eval(), seed, gain, gains)
    if prepare:
        prepare(r.model32)
    hooked(r.model32, r.single, False)
    with float64():
        r.model = build().double().eval()
        copy_weights(r.model32, r.model)
        r.result = hooked(r.model, r.double, True)
    return r


def heads(x, n):
    """[B, T, n*D] to [B, n, T, D]."""
    b, t, w = x.shape
    return x.reshape(b, t, n, w // n).transpose(1, 2).contiguous()


def cat(parts):
    return torch.cat(parts, dim=1)


def array(x, dtype=None):
    if isinstance(x, torch.Tensor):
        x = x.detach().numpy()
    return np.ascontiguousarray(x if dtype is None else np.asarray(x, dtype=dtype))


# ---------------------------------------------------------------------------------------------------------- files

DTYPES = {"F32": "<f4", "I32": "<i4"}


def save(path, tensors, metadata):
    """A safetensors file with a fixed order of its header, so that the same numbers are the same bytes."""
    header, blobs, at = {"__metadata__": {k: metadata[k] for k in sorted(metadata)}}, [], 0
    for name, x in tensors.items():
        x = array(x)
        kind = "I32" if x.dtype.kind in "iu" else "F32"
        blob = x.astype(DTYPES[kind]).tobytes()
        header[name] = {"dtype": kind, "shape": list(x.shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def load(path):
    raw = path.read_bytes()
    (n,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + n])
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, entry in header.items():
        a, b = entry["data_offsets"]
        tensors[name] = np.frombuffer(raw[8 + n + a : 8 + n + b], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


def encoding(name, **options):
    return {"name": name, "options": options}


def golden(name, source, q, k, v, single, double, encoding, attention, tables=None, note="", tolerance=1e-10):
    """Writes test/golden/<name>.safetensors, after the formula of reference.py, fed from the case and the tensors
    as they will be stored, has given the float64 output of the original. single and double: [B, H, L, E]."""
    from reference import evaluate

    single, double = array(single, np.float64), array(double, np.float64)
    tensors = {"q": array(q), "k": array(k), "v": array(v)}
    assert not set(tables or {}) & {"q", "k", "v", "expected"}
    tensors.update({key: array(x) for key, x in (tables or {}).items()})
    for key, x in tensors.items():
        if x.dtype.kind == "f":
            with np.errstate(over="raise"):
                tensors[key] = x.astype(np.float32)
    case = {"encoding": encoding, "attention": attention}
    ours = evaluate(case, tensors)
    peak = np.abs(double).max()
    far = np.abs(ours - double).max() / peak
    naive = np.abs(single - double).max()
    if not far < tolerance:
        raise AssertionError(f"{name}: the formula is {far:.3g} of the largest value away from the original (naive {naive/peak:.3g})")
    tensors["expected"] = double.astype(np.float32)
    metadata = {
        "source": source,
        "case": json.dumps(case, separators=(",", ":")),
        "note": note,
        "naive_error": f"{naive:.3g}",
    }
    path = GOLDEN / f"{name}.safetensors"
    save(path, tensors, metadata)
    b, h, l, d = tensors["q"].shape
    print(f"{name:34} [{b},{h},{l},{d}] S={tensors['k'].shape[2]:<4} {path.stat().st_size/1024:6.1f} KB"
          f"  naive {naive:.2e}  formula {far:.1e}  peak {peak:.2f}", flush=True)


def hf(cls):
    import transformers

    return f"transformers {transformers.__version__} {cls}"


# ------------------------------------------------------------------------------------------------------ decoders


def decode(embeddings, steps, positions=None):
    """A call that feeds the embeddings in pieces [a, b) through the model's own cache; positions: [axes, B, T]."""

    def call(model):
        cache = None
        for a, b in steps:
            more = {} if positions is None else {"position_ids": torch.as_tensor(positions)[:, :, a:b]}
            out = model(inputs_embeds=embeddings[:, a:b].to(model.dtype), past_key_values=cache, use_cache=True, **more)
            cache = out.past_key_values

    return call


def headed(x, n):
    """A projection [B, T, n*D], or the output of a norm over heads, [B, n, T, D] or [B, T, n, D], as [B, n, T, D]."""
    if x.dim() == 3:
        return heads(x, n)
    return x if x.shape[1] == n else x.transpose(1, 2).contiguous()


def apart(h, g):
    """Three projections."""

    def split(parts):
        return tuple(headed(x, n) for x, n in zip(parts, (h, g, g)))

    return split


def fused_block(h, g):
    """One projection, [H + G + G, D] in its columns (Phi-3)."""

    def split(parts):
        x = heads(parts[0], h + g + g)
        return x[:, :h], x[:, h : h + g], x[:, h + g :]

    return split


def fused_per_head(h, _g):
    """One projection, [H, 3, D] in its columns (GPT-NeoX, BLOOM)."""

    def split(parts):
        b, t, w = parts[0].shape
        x = parts[0].reshape(b, t, h, 3, w // h // 3).permute(3, 0, 2, 1, 4).contiguous()
        return x[0], x[1], x[2]

    return split


def fused_thirds(h, _g):
    """One projection, [3, H, D] in its columns (MPT)."""

    def split(parts):
        return tuple(heads(x, h) for x in parts[0].chunk(3, dim=-1))

    return split


def decoder(name, source, build, at, pin, out, shape, enc, attention, full=None, step=None, split=apart, tables=None,
            note="", seed=1, gain=1.3, gains=None, positions=None, tolerance=1e-10):
    """A decoder's layer: <name>, a full causal pass of `full` positions, and <name>_step, the last step[0] of
    step[1] positions through the model's cache. shape: (B, H, G, hidden width). tables: a function of the float32
    model; positions: a function of the length, [axes, B, length]."""
    b, h, g, hidden = shape
    made = []
    if full:
        made.append((name, full, [(0, full)], full))
    if step:
        made.append((name + "_step", step[1], [(0, step[1] - step[0]), (step[1] - step[0], step[1])], step[0]))
    for this, total, steps, queries in made:
        where = None if positions is None else positions(total)
        r = run(build, decode(noise(seed + 100, b, total, hidden), steps, where), [at + x for x in pin], [at + out],
                seed=seed, gain=gain, gains=gains)
        calls = [split(h, g)([r.pins[at + x][i] for x in pin]) for i in range(len(steps))]
        q = calls[-1][0]
        k, v = (torch.cat([c[i] for c in calls], dim=2) for i in (1, 2))
        assert q.shape[2] == queries and k.shape[2] == total
        more = dict(tables(r.model32)) if tables else {}
        if where is not None:
            more["positions"] = np.asarray(where, dtype=np.int32)
        golden(this, source, q, k, v, heads(r.single[at + out][-1], h), heads(r.double[at + out][-1], h), enc, attention,
               more, note, tolerance)
