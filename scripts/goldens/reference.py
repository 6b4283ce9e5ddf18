"""The formulas, in numpy float64, driven by a golden's own `case`: written from the papers and independent of the
modules the goldens come from. Query i of L stands at i + (S - L) among the S keys."""

import math

import numpy as np


def f64(x):
    return np.asarray(x, dtype=np.float64)


class State:
    """One call on its way to scores: encodings rewrite q, k and v or add to `terms` (before softcap) and `bias`."""

    def __init__(self, q, k, v, scale):
        self.q, self.k, self.v, self.scale = q, k, v, scale
        self.batch, self.heads, self.L, self.D = q.shape
        self.S = k.shape[2]
        self.terms = 0.0
        self.bias = 0.0
        self.value_table = None
        self.qpos = np.arange(self.L) + (self.S - self.L)
        self.kpos = np.arange(self.S)

    @property
    def offset(self):
        """j - i, [L, S]."""
        return self.kpos[None, :] - self.qpos[:, None]


ENCODINGS = {}


def scheme(f):
    ENCODINGS[f.__name__] = f
    return f


def evaluate(case, tensors):
    attention = case["attention"]
    q, k, v = (f64(tensors[x]) for x in "qkv")
    group = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
    st = State(q, k, v, attention["scale"])
    encodings = case["encoding"] if isinstance(case["encoding"], list) else [case["encoding"]]
    for e in encodings:
        o = resolve(e["options"], tensors)
        more = resolve(e.get("arguments", {}), tensors)
        ENCODINGS[e["name"]](st, o, **more) if more else ENCODINGS[e["name"]](st, o)
    s = st.scale * (st.q @ st.k.swapaxes(-1, -2)) + st.terms
    if attention.get("softcap"):
        s = np.tanh(s / attention["softcap"]) * attention["softcap"]
    s = s + st.bias
    s = np.where(visible(st, attention, tensors), s, -np.inf)
    top = s.max(axis=-1, keepdims=True)
    if "sinks" in attention:
        sinks = f64(resolve(attention["sinks"], tensors)).reshape(1, -1, 1, 1)
        top = np.maximum(top, sinks)
    top = np.where(np.isfinite(top), top, 0.0)
    e = np.exp(s - top)
    total = e.sum(axis=-1, keepdims=True)
    if "sinks" in attention:
        total = total + np.exp(sinks - top)
    p = e / np.where(total > 0, total, 1.0)
    out = p @ st.v
    if st.value_table is not None:
        out = out + np.einsum("bhls,lse->bhle", p, st.value_table)
    return out


def rotate(case, x, positions):
    """x [B, H, T, D] at the given positions, by the case's rotary encoding."""
    st = State(x, x, x, 1.0)
    st.qpos = st.kpos = np.asarray(positions)
    e = case["encoding"]
    ENCODINGS[e["name"]](st, e["options"], **e.get("arguments", {}))
    return st.k


def resolve(options, tensors):
    if isinstance(options, str):
        return tensors[options[1:]] if options.startswith("@") else options
    if isinstance(options, dict):
        return {k: resolve(v, tensors) for k, v in options.items()}
    if isinstance(options, list):
        return [resolve(v, tensors) for v in options]
    return options


def visible(st, attention, tensors):
    ok = np.ones((st.batch, 1, st.L, st.S), dtype=bool)
    if attention.get("causal"):
        ok &= st.offset <= 0
    window = attention.get("window") or {}
    if window.get("left") is not None:
        ok &= st.offset >= -window["left"]
    if window.get("right") is not None:
        ok &= st.offset <= window["right"]
    if "keyLengths" in attention:
        lengths = np.asarray(resolve(attention["keyLengths"], tensors))
        ok &= st.kpos[None, None, None, :] < lengths[:, None, None, None]
    if "mask" in attention:
        ok &= resolve(attention["mask"], tensors).astype(bool)
    return ok


# ------------------------------------------------------------------------------------------------------ rotations


def turn(x, angle, layout, factor=1.0):
    """x [..., T, D], angle [..., T, r/2]: rotates the first r channels."""
    half = angle.shape[-1]
    c, s = np.cos(angle) * factor, np.sin(angle) * factor
    y = x.copy()
    if layout == "halves":
        a, b = x[..., :half], x[..., half : 2 * half]
        y[..., :half], y[..., half : 2 * half] = a * c - b * s, b * c + a * s
    else:
        a, b = x[..., 0 : 2 * half : 2], x[..., 1 : 2 * half : 2]
        y[..., 0 : 2 * half : 2], y[..., 1 : 2 * half : 2] = a * c - b * s, b * c + a * s
    return y


def frequencies(dim, theta):
    return 1.0 / theta ** (np.arange(0, dim, 2) / dim)


@scheme
def queryScale(st, o):
    assert o["kind"] == "steps"
    steps = np.floor((st.qpos + o.get("start", 0)) / o["interval"])
    st.q = st.q * (1 + o["factor"] * np.log1p(steps))[:, None]


@scheme
def axialRotary(st, o):
    """Learned frequencies by head, [axes, heads, r/2], on a grid after a prefix that does not turn."""
    f, prefix = f64(o["frequencies"]), o.get("prefix", 0)
    at = f64(points(o["grid"]))[o.get("axisOrder", [0, 1])]
    angle = np.einsum("an,ahr->hnr", at, f)
    angle = np.pad(angle, [(0, 0), (prefix, 0), (0, 0)])[None]
    st.q, st.k = turn(st.q, angle, o["layout"]), turn(st.k, angle, o["layout"])


@scheme
def mrope(st, o):
    """HunYuan's cut: sections over the channels of [frequencies, frequencies], in which both halves of a pair may differ."""
    assert o["arrangement"] == "channels"
    f = frequencies(o["dim"], o["theta"])
    axis = np.concatenate([np.full(2 * n, i) for i, n in enumerate(o["sections"])])
    at = f64(o["positions"])
    angle = (at[axis] * np.concatenate([f, f]).reshape([-1] + [1] * (at.ndim - 1))).transpose(1, 2, 0)[:, None]
    half = o["dim"] // 2

    def rotate(x):
        return x * np.cos(angle) + np.concatenate([-x[..., half:], x[..., :half]], axis=-1) * np.sin(angle)

    q = np.zeros_like(st.k[:, : st.heads])
    q[:, :, st.S - st.L :] = st.q
    st.q, st.k = rotate(q)[:, :, st.S - st.L :], rotate(st.k)


@scheme
def rotary(st, o):
    f = frequencies(o["dim"], o["theta"]) * (-1 if o.get("sense") == "backward" else 1)
    shift = o.get("offset", 0)
    st.q = turn(st.q, (st.qpos[:, None] + shift) * f, o["layout"])
    st.k = turn(st.k, (st.kpos[:, None] + shift) * f, o["layout"])


def rope_table(config, length, layer_type=None):
    """(frequencies, attention factor) of a checkpoint's config, for keys that reach `length` positions."""
    p = config["rope_parameters"]
    if layer_type is not None:
        p = p[layer_type]
    kind, theta = p.get("rope_type", "default"), p["rope_theta"]
    width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    # a plain rope is partial only in models with a default function of their own
    part = p.get("partial_rotary_factor", 1.0)
    if kind == "default" and config["model_type"] not in ("gpt_neox", "phi", "phi3", "glm", "stablelm"):
        part = 1.0
    dim = int(width * part)
    longest = config["max_position_embeddings"]
    if kind == "proportional":
        n = int(part * width // 2)
        f = np.zeros(width // 2)
        f[:n] = theta ** (-2 * np.arange(n) / width) / p.get("factor", 1.0)
        return f, 1.0
    f = frequencies(dim, theta)
    if kind == "default":
        return f, 1.0
    factor = p.get("factor")
    if kind == "linear":
        return f / factor, 1.0
    if kind == "dynamic":
        n = max(length, longest)
        return frequencies(dim, theta * (factor * n / longest - (factor - 1)) ** (dim / (dim - 2))), 1.0
    first = p["original_max_position_embeddings"]
    if kind == "llama3":
        wave = 2 * np.pi / f
        low, high = p["low_freq_factor"], p["high_freq_factor"]
        smooth = (first / wave - low) / (high - low)
        between = (1 - smooth) * f / factor + smooth * f
        return np.where(wave < first / high, f, np.where(wave > first / low, f / factor, between)), 1.0
    if factor is None:
        factor = longest / first
    if kind == "longrope":
        ext = f64(p["long_factor"] if length > first else p["short_factor"])
        a = p.get("attention_factor")
        if a is None:
            a = 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(first))
        return f / ext, a
    if kind == "yarn":
        fast, slow = p.get("beta_fast") or 32, p.get("beta_slow") or 1
        low, high = (dim * math.log(first / (b * 2 * math.pi)) / (2 * math.log(theta)) for b in (fast, slow))
        if p.get("truncate", True):
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, dim - 1)
        if low == high:
            high += 0.001
        ramp = np.clip((np.arange(dim // 2) - low) / (high - low), 0, 1)
        g = lambda s, m: 1.0 if s <= 1 else 0.1 * m * math.log(s) + 1
        a = p.get("attention_factor")
        if a is None:
            m, n = p.get("mscale"), p.get("mscale_all_dim")
            a = g(factor, m) / g(factor, n) if m and n else g(factor, 1)
        return f / factor * ramp + f * (1 - ramp), a
    raise ValueError(kind)


PAIRS = {"gptj", "cohere", "glm", "sam2_video"}


@scheme
def rotaryFromConfig(st, o, layerType=None, positions=None, grid=None, exclude=0):
    kind = o["model_type"]
    layout = "pairs" if kind in PAIRS else "halves"
    if kind == "dinov3_vit":
        return dinov3(st, o, grid)
    if kind == "sam2_video":
        return sam2(st, o, grid, exclude)
    if kind == "pixtral":
        width = o["hidden_size"] // o["num_attention_heads"]
        f = frequencies(width, o["rope_parameters"]["rope_theta"])
        at = f64(positions)[:, :, :, None]  # [2, B, S, 1]
        angle = np.concatenate([at[0] * f[0::2], at[1] * f[1::2]], axis=-1)[:, None]
        st.q, st.k = turn(st.q, angle, layout), turn(st.k, angle, layout)
        return
    f, factor = rope_table(o, int(st.kpos.max()) + 1, layerType)
    if positions is None:
        q, k = st.qpos[:, None] * f, st.kpos[:, None] * f
    else:
        axis = mrope_axes(o["rope_parameters"]["mrope_section"], len(f), o["rope_parameters"].get("mrope_interleaved"))
        k = (f64(positions)[axis].transpose(1, 2, 0) * f)[:, None]  # [B, 1, S, r/2]
        q = k[:, :, -st.L :]
    st.q = turn(st.q, q, layout, factor)
    st.k = turn(st.k, k, layout, factor)


def mrope_axes(section, half, interleaved):
    """Which of (t, h, w) each frequency reads."""
    if interleaved:
        axis = np.zeros(half, dtype=int)
        for a in (1, 2):
            axis[a : 3 * section[a] : 3] = a
        return axis
    return np.concatenate([np.full(n, i % 3) for i, n in enumerate(section)])


def dinov3(st, o, grid):
    rows, columns = grid
    width = o["hidden_size"] // o["num_attention_heads"]
    f = 2 * np.pi / o["rope_theta"] ** (4 * np.arange(width // 4) / width)
    y, x = np.meshgrid(2 * (np.arange(rows) + 0.5) / rows - 1, 2 * (np.arange(columns) + 0.5) / columns - 1, indexing="ij")
    angle = np.concatenate([y.reshape(-1, 1) * f, x.reshape(-1, 1) * f], axis=-1)
    angle = np.concatenate([np.zeros((st.S - rows * columns, width // 2)), angle])
    st.q, st.k = turn(st.q, angle, "halves"), turn(st.k, angle, "halves")


def sam2(st, o, grid, exclude):
    rows, columns = grid
    half = st.D // 2
    f = frequencies(half, o["rope_parameters"]["rope_theta"])
    y, x = np.divmod(np.arange(rows * columns), columns)
    angle = np.concatenate([x[:, None] * f, y[:, None] * f], axis=-1)
    keys = np.tile(angle, ((st.S - exclude) // len(angle), 1))
    keys = np.concatenate([keys, np.zeros((exclude, half))])
    st.q, st.k = turn(st.q, angle, "pairs"), turn(st.k, keys, "pairs")


# ---------------------------------------------------------------------------------------------- per-offset biases


def slopes(heads, max_bias=8.0):
    n = 2 ** math.floor(math.log2(heads))
    first = [2 ** (-max_bias * (h + 1) / n) for h in range(n)]
    rest = [2 ** (-max_bias * (2 * h + 1) / (2 * n)) for h in range(heads - n)]
    return np.array(first + rest)


@scheme
def dynamicPositionBias(st, o):
    x = -f64(st.offset)
    if o.get("logDistance"):
        x = np.sign(x) * np.log(np.abs(x) + 1)
    x = x[..., None]
    for n, layer in enumerate(o["layers"]):
        x = x if n == 0 else x / (1 + np.exp(-x))
        x = x @ f64(layer["weight"]).reshape(-1, x.shape[-1]).T + f64(layer["bias"])
    st.bias = st.bias + np.moveaxis(x, -1, 0)[None]


@scheme
def alibi(st, o):
    m = f64(o["slopes"]) if "slopes" in o else slopes(o["heads"], o.get("maxBias", 8.0))
    st.bias = st.bias - m[None, :, None, None] * np.abs(st.offset)


def t5_bucket(offset, buckets, max_distance, bidirectional):
    offset = np.asarray(offset)
    base = np.zeros_like(offset)
    n = buckets
    if bidirectional:
        n //= 2
        base = np.where(offset > 0, n, 0)
        x = np.abs(offset)
    else:
        x = np.maximum(-offset, 0)
    exact = n // 2
    far = exact + (np.log(np.maximum(x, 1) / exact) / math.log(max_distance / exact) * (n - exact)).astype(np.int64)
    return base + np.where(x < exact, x, np.minimum(far, n - 1))


@scheme
def t5(st, o):
    index = t5_bucket(st.offset, o["buckets"], o["maxDistance"], o["bidirectional"])
    st.bias = st.bias + f64(o["table"])[index].transpose(2, 0, 1)[None]


@scheme
def bias(st, o):
    st.bias = st.bias + f64(o)


@scheme
def mpnet(st, o):
    t5(st, {"buckets": 32, "maxDistance": 128, "bidirectional": True, "table": o["table"]})


@scheme
def layoutLMv3(st, o):
    def part(at, table, bins, distance):
        at = np.asarray(at)
        index = t5_bucket(at[:, None, :] - at[:, :, None], bins, distance, True)
        return f64(table)[index].transpose(0, 3, 1, 2)

    box = o["bbox"]
    st.bias = st.bias + st.scale * (
        part(o["positions"], o["relPosBias"], o["relPosBins"], o["maxRelPos"])
        + part(box[:, :, 0], o["relPosXBias"], o["rel2dPosBins"], o["maxRel2dPos"])
        + part(box[:, :, 3], o["relPosYBias"], o["rel2dPosBins"], o["maxRel2dPos"])
    )


@scheme
def cpmAnt(st, o):
    seg = np.asarray(o["segments"])
    n = o["positionBiasNumBuckets"]
    inside = t5_bucket(st.offset, n, o["positionBiasMaxDistance"], True)
    q, k = seg[:, -st.L :, None], seg[:, None, :]
    index = np.where(q == k, inside[None], n + q * o["segmentTypes"] + k)
    st.bias = st.bias + f64(o["table"])[index].transpose(0, 3, 1, 2)


@scheme
def wavlm(st, o):
    x = f64(o["input"]).reshape(st.batch, st.L, st.heads, -1).transpose(0, 2, 1, 3)
    y = x @ f64(o["gateWeight"]).T + f64(o["gateBias"])
    a, r = (1 / (1 + np.exp(-y.reshape(*y.shape[:-1], 2, 4).sum(-1)))).transpose(3, 0, 1, 2)
    gate = a * (r * f64(o["gateConst"])[None, :, None] - 1) + 2
    index = t5_bucket(st.offset, o["numBuckets"], o["maxDistance"], True)
    st.bias = st.bias + gate[..., None] * f64(o["table"])[index].transpose(2, 0, 1)[None]


# ------------------------------------------------------------------------------------------------- tables of vectors


def by_query(q, table, index):
    """q_i . table[index(i, j)]: q [B, H, L, D], table [P, D] or [P, H, D], index [L, S]."""
    t = f64(table)
    scores = np.einsum("bhld,pd->bhlp", q, t) if t.ndim == 2 else np.einsum("bhld,phd->bhlp", q, t)
    return np.take_along_axis(scores, np.broadcast_to(index, scores.shape[:2] + index.shape), axis=-1)


@scheme
def shaw(st, o):
    index = np.clip(st.offset, -o["left"], o["right"]) + o["left"]
    st.terms = st.terms + st.scale * by_query(st.q, o["keys"], index)
    if "queries" in o:
        st.terms = st.terms + st.scale * by_query(st.k, o["queries"], index.T).swapaxes(-1, -2)
    if "values" in o:
        st.value_table = f64(o["values"])[index]


@scheme
def conformer(st, o):
    table = f64(o["r"])
    u, v = (f64(o[x])[None, :, None, :] for x in ("posBiasU", "posBiasV"))
    st.terms = st.terms + st.scale * by_query(st.q + v, table, st.offset + (len(table) - 1) // 2)
    st.q = st.q + u


@scheme
def transformerXL(st, o):
    u, v = (f64(o[x])[None, :, None, :] for x in "uv")
    index = np.clip(st.offset + st.S - 1, 0, len(o["r"]) - 1)
    st.terms = st.terms + st.scale * by_query(st.q + v, o["r"], index)
    st.q = st.q + u


@scheme
def xlnet(st, o):
    q = st.q
    # keys right of the query have no row when attention is one-sided; they are masked
    index = np.clip(st.offset + st.S, 0, len(o["r"]) - 1)
    st.terms = st.terms + st.scale * by_query(q + f64(o["rRBias"])[None, :, None, :], o["r"], index)
    if "segments" in o:
        seg = np.asarray(o["segments"])
        other = seg[:, -st.L :, None] != seg[:, None, :]
        e = np.einsum("bhld,shd->bhls", q + f64(o["rSBias"])[None, :, None, :], f64(o["segEmbed"]))
        st.terms = st.terms + st.scale * np.where(other[:, None], e[..., 1:2], e[..., 0:1])
    st.q = q + f64(o["rWBias"])[None, :, None, :]


def deberta_bucket(distance, buckets, longest):
    mid = buckets // 2
    x = np.abs(distance)
    far = np.ceil(np.log(np.maximum(x, mid) / mid) / math.log((longest - 1) / mid) * (mid - 1)) + mid
    return np.where(x <= mid, distance, np.sign(distance) * far).astype(int)


@scheme
def deberta(st, o):
    distance = -st.offset
    span, buckets = o["maxRelativePositions"], o.get("positionBuckets", -1)
    if buckets > 0:
        distance, span = deberta_bucket(distance, buckets, span), buckets
    else:  # v1 projects the middle rows only, as many as short sequences reach
        span = len(o["posKey" if "c2p" in o["posAttType"] else "posQuery"]) // 2
    index = np.clip(distance + span, 0, 2 * span - 1)
    if "c2p" in o["posAttType"]:
        st.terms = st.terms + st.scale * by_query(st.q, o["posKey"], index)
    if "p2c" in o["posAttType"]:
        st.terms = st.terms + st.scale * by_query(st.k, o["posQuery"], index.T).swapaxes(-1, -2)


# --------------------------------------------------------------------------------------------------------- two axes


def points(size):
    """Row and column of every cell of a grid, row by row: [2, N]."""
    return np.stack(np.divmod(np.arange(size[0] * size[1]), size[1]))


def window_index(size):
    """Row of Swin's table for (query, key): query minus key on both axes."""
    at = points(size)
    dy, dx = at[:, :, None] - at[:, None, :]
    return (dy + size[0] - 1) * (2 * size[1] - 1) + dx + size[1] - 1


@scheme
def swin(st, o):
    st.bias = st.bias + f64(o["table"])[window_index(o["windowSize"])].transpose(2, 0, 1)[None]


@scheme
def swinV2(st, o):
    size = o["windowSize"]
    divisor = o["pretrainedWindowSize"] if o["pretrainedWindowSize"][0] > 0 else size
    y, x = np.meshgrid(*(8.0 * np.arange(-(n - 1), n) / (m - 1) for n, m in zip(size, divisor)), indexing="ij")
    at = np.stack([y.ravel(), x.ravel()], axis=-1)
    at = np.sign(at) * np.log2(np.abs(at) + 1) / np.log2(8)
    hidden = np.maximum(at @ f64(o["weight1"]).T + f64(o["bias1"]), 0)
    table = 16 / (1 + np.exp(-(hidden @ f64(o["weight2"]).T)))
    unit = lambda x: x / np.maximum(np.sqrt((x * x).sum(-1, keepdims=True)), 1e-12)
    st.q = unit(st.q) * np.exp(np.minimum(f64(o["logitScale"]), math.log(100)))[None, :, None, None]
    st.k = unit(st.k)
    st.bias = st.bias + table[window_index(size)].transpose(2, 0, 1)[None]


@scheme
def relPosMlp(st, o):
    size, prefix = o["windowSize"], o.get("prefixTokens", 0)
    y, x = np.meshgrid(*(np.arange(-(n - 1.0), n) for n in size), indexing="ij")
    at = np.stack([y.ravel(), x.ravel()], axis=-1)
    if o.get("mode", "cr") == "swin":
        trained = o["pretrainedWindowSize"] if o["pretrainedWindowSize"][0] > 0 else size
        at = np.sign(at) * np.log2(1 + np.abs(8 * at / (np.array(trained) - 1))) / 3
    else:
        at = np.sign(at) * np.log(1 + np.abs(at))
    table = np.maximum(at @ f64(o["weight1"]).T + f64(o["bias1"]), 0) @ f64(o["weight2"]).T
    table = 16 / (1 + np.exp(-table)) if o.get("mode") == "swin" else table + f64(o["bias2"])
    inside = table[window_index(size)].transpose(2, 0, 1)[None]
    st.bias = st.bias + np.pad(inside, [(0, 0), (0, 0), (prefix, 0), (prefix, 0)])


@scheme
def beit(st, o):
    table, n = f64(o["table"]), len(o["table"])
    index = np.zeros((st.L, st.S), dtype=int)
    index[1:, 1:] = window_index(o["windowSize"])
    index[0, :], index[:, 0], index[0, 0] = n - 3, n - 2, n - 1
    st.bias = st.bias + table[index].transpose(2, 0, 1)[None]


@scheme
def levit(st, o):
    n, step = o["resolution"], o.get("stride", 1)
    m = (n - 1) // step + 1
    seen, index = {}, []
    for qy, qx in points((m, m)).T:
        for ky, kx in points((n, n)).T:
            index.append(seen.setdefault((abs(qy * step - ky), abs(qx * step - kx)), len(seen)))
    st.bias = st.bias + f64(o["attentionBiases"])[:, np.array(index).reshape(m * m, n * n)][None]


@scheme
def maxvit(st, o):
    h, w = o["windowSize"]
    at = points((h, w))
    dy, dx = at[:, None, :] - at[:, :, None]
    st.bias = st.bias + f64(o["table"])[:, dy + h - 1, dx + w - 1][None]


def resized(table, n):
    """Linear interpolation of the rows to n, half-pixel centres."""
    table = f64(table)
    if len(table) == n:
        return table
    at = np.clip((np.arange(n) + 0.5) * len(table) / n - 0.5, 0, len(table) - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(table) - 1)
    part = (at - low)[:, None]
    return table[low] * (1 - part) + table[high] * part


@scheme
def decomposed(st, o):
    queries, keys, prefix = points(o["querySize"]), points(o["keySize"]), o.get("prefixTokens", 0)
    for axis, key in enumerate(("relPosH", "relPosW")):
        nq, nk = o["querySize"][axis], o["keySize"][axis]
        table = resized(o[key], 2 * max(nq, nk) - 1)
        a, b = max(nk / nq, 1.0), max(nq / nk, 1.0)
        index = (queries[axis][:, None] * a - keys[axis][None, :] * b + (nk - 1) * b).astype(int)
        inside = by_query(st.q[:, :, prefix:], table, index)
        st.terms = st.terms + np.pad(inside, [(0, 0), (0, 0), (prefix, 0), (prefix, 0)])
