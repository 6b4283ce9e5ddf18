// What a config.json says of positions: in words, and as curves that the engine computes.
import { alibi, attentionScale, createEngine, type Encoding, type Engine, rotaryFromConfig } from 'relpos';
import { type Json, numberIn, otherSchemes, ownConfig, type Said } from './config-words.ts';

/** A score over the distance. */
export interface Curve {
  readonly label: string;
  readonly values: Float32Array;
}

export interface ConfigReport {
  readonly model: string;
  /** Sentences. */
  readonly words: readonly string[];
  /** Distances of the curves. */
  readonly distances: Float64Array;
  readonly curves: readonly Curve[];
  /** What the curves are. */
  readonly caption: string;
  /** Settings of the panel Schemes for the nearest scheme there. */
  readonly link?: Readonly<Record<string, string>>;
}

/** Points of a curve. */
const POINTS = 257;
/** The farthest distance, where the config says nothing. */
const FAR = 2048;

let engine: Promise<Engine> | undefined;

/** Reads a config. @throws Error that says in a sentence why it is none */
export async function describeConfig(text: string): Promise<ConfigReport> {
  const config = parse(text);
  const own = ownConfig(config);
  const model = String(own.model_type ?? config.model_type ?? 'a model without “model_type”');
  engine ??= createEngine({ threads: 1 });
  const ready = await engine;
  const distances = distancesTo(numberIn(own, 'max_position_embeddings', 'n_positions', 'max_seq_len', 'seq_length') ?? FAR);
  const turns = turnsOf(config, own);
  const others = otherSchemes(config);
  if (turns.failure && others.length === 0) throw new Error(turns.failure);
  const rotations = await Promise.all(turns.kinds.map((kind) => describeRotation(ready, config, own, kind, distances)));
  const heads = others.some(({ scheme }) => scheme === 'alibi') ? await slopes(ready, own, distances) : [];
  const curves = [...rotations.map(({ curve }) => curve), ...heads];
  const link = rotations.length ? rotationLink(own) : others.find((one) => one.link)?.link;
  return {
    model,
    words: [...rotations.flatMap(({ words }) => words), ...others.map((one: Said) => one.words), ...scoreWords(config, own)],
    distances,
    curves,
    caption: heads.length
      ? 'What is added to a score over the distance to the key, in heads of the model.'
      : 'The score of a query and a key of ones over their distance, divided by the number of channels: what turning leaves of it.',
    ...(link && { link }),
  };
}

function parse(text: string): Json {
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw new Error(`This file is not JSON: ${(error as Error).message}.`);
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    throw new Error('A config.json is an object, and this JSON is none.');
  if (!['model_type', 'text_config', 'architectures', 'hidden_size', 'n_embd', 'd_model'].some((key) => key in config))
    throw new Error('This JSON is no config of a model: it has neither “model_type” nor “hidden_size”.');
  return config as Json;
}

/** 1 … most by equal factors. */
function distancesTo(most: number): Float64Array {
  const far = Math.max(2, Math.min(most, 2 ** 21));
  const all = Array.from({ length: POINTS }, (_, n) => Math.round(far ** (n / (POINTS - 1))));
  return Float64Array.from(new Set(all));
}

/** Layers that turn alike, and how a sentence about them begins. */
interface Turning {
  readonly label: string;
  readonly begin: string;
  readonly which: { readonly layerType?: string; readonly layer?: number };
}

/** The kinds of layers that turn; why none does. */
function turnsOf(config: Json, own: Json): { readonly kinds: readonly Turning[]; readonly failure?: string } {
  const failureOf = (which: Turning['which']): string | undefined => {
    try {
      rotaryFromConfig(config, which);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  };
  const failure = failureOf({});
  if (failure?.includes('expected a type of the table')) {
    return {
      kinds: [],
      failure: `“${String(own.model_type)}” is no model type of transformers 5.18: what its positions mean is in its own code.`,
    };
  }
  if (failure === undefined) return { kinds: [{ label: 'score', begin: 'Rotary positions:', which: {} }] };
  if (!/layer/.test(failure)) return { kinds: [], failure: failure.replace(/^rotaryFromConfig: /, '').replace(/\s+/g, ' ') };
  const listed = Array.isArray(own.layer_types) ? own.layer_types.filter((type) => typeof type === 'string') : [];
  const kinds = [...new Set([...listed, 'full_attention', 'sliding_attention'])]
    .slice(0, 8)
    .filter((layerType) => failureOf({ layerType }) === undefined)
    .map((layerType) => ({
      label: layerType,
      begin: `In layers of ${layerType.replaceAll('_', ' ')}, rotary positions:`,
      which: { layerType },
    }));
  if (kinds.length) return { kinds };
  // Some layers turn, whatever their type.
  const depth = Math.min(256, numberIn(own, 'num_hidden_layers', 'n_layer') ?? 1);
  const turning = Array.from({ length: depth }, (_, layer) => layer).filter((layer) => failureOf({ layer }) === undefined);
  const [layer] = turning;
  if (layer === undefined) return { kinds: [], failure: failure.replace(/^rotaryFromConfig: /, '').replace(/\s+/g, ' ') };
  const begin = `In ${turning.length} of the ${depth} layers (the others know of no positions), rotary positions:`;
  return { kinds: [{ label: 'score', begin, which: { layer } }] };
}

/** Widths that a head may have, the likeliest first. */
function widthsOf(own: Json): number[] {
  const width = numberIn(own, 'hidden_size', 'n_embd', 'd_model', 'dim');
  const heads = numberIn(own, 'num_attention_heads', 'n_head', 'num_heads', 'n_heads');
  const latent = (numberIn(own, 'qk_nope_head_dim') ?? 0) + (numberIn(own, 'qk_rope_head_dim') ?? 0);
  const all = [latent, numberIn(own, 'head_dim', 'd_kv'), width && heads && width / heads, 64, 128, 256];
  return [...new Set(all)].filter((D): D is number => Number.isInteger(D) && (D as number) > 0 && (D as number) <= 1024);
}

interface Rotation {
  readonly curve: Curve;
  readonly words: readonly string[];
}

/** The scores of ones over distances, and what a rotation does to single channels. */
async function describeRotation(
  engine: Engine,
  config: Json,
  own: Json,
  { label, begin, which }: Turning,
  distances: Float64Array,
): Promise<Rotation> {
  const encoding = rotaryFromConfig(config, { ...which, positions: [0], queryPositions: Array.from(distances) });
  const one = rotaryFromConfig(config, { ...which, positions: [1] });
  let wrong: unknown;
  for (const D of widthsOf(own)) {
    try {
      const values = await scoresOf(engine, encoding, D, distances.length);
      const { turning, layout } = await channelsOf(engine, one, D);
      const part = turning === D ? `all ${D} channels of a head turn` : `${turning} of the ${D} channels of a head turn`;
      return { curve: { label, values }, words: [`${begin} ${part}, ${layout}.${scalingWords(own, which.layerType)}`] };
    } catch (error) {
      wrong ??= error;
    }
  }
  throw wrong;
}

async function scoresOf(engine: Engine, encoding: Encoding, D: number, L: number): Promise<Float32Array> {
  using q = engine.tensor([1, 1, L, D], new Float32Array(L * D).fill(1));
  using k = engine.tensor([1, 1, 1, D], new Float32Array(D).fill(1));
  // Of one key the logarithm of the sum is the score.
  const { out, lse } = await engine.attentionPartial(q, k, k, { encoding, scale: 1 / D });
  using _ = out;
  using scores = lse;
  return scores.toArray() as Float32Array;
}

/** How many channels turn, and which form a pair: a vector of ones, and one of the first channel that turns, turned by a step. */
async function channelsOf(engine: Engine, encoding: Encoding, D: number): Promise<{ readonly turning: number; readonly layout: string }> {
  const turned = async (data: Float32Array): Promise<Float32Array> => {
    using x = engine.tensor([1, 1, 1, D], data);
    using out = await engine.rotate(x, encoding);
    return out.toArray() as Float32Array;
  };
  const ones = await turned(new Float32Array(D).fill(1));
  const moved = [...ones.keys()].filter((n) => ones[n] !== 1);
  const first = moved[0] ?? 0;
  const alone = await turned(Float32Array.from({ length: D }, (_, n) => (n === first ? 1 : 0)));
  const partner = [...alone.keys()].find((n) => n !== first && alone[n] !== 0);
  // The slowest pairs may turn too little for a step to show.
  const turning =
    partner === undefined ? moved.length : Math.max(moved.length, partner === first + 1 ? moved.length : 2 * (partner - first));
  if (partner === first + 1) return { turning, layout: 'neighbours in pairs' };
  // DeepSeek's: what a neighbour turns into stands beside nothing of its own.
  const neighbour = await turned(Float32Array.from({ length: D }, (_, n) => (n === first + 1 ? 1 : 0)));
  return {
    turning,
    layout: neighbour[first] === 0 ? 'each of the first half with one of the second' : 'neighbours in pairs, written as two halves',
  };
}

/** What the config says of a longer context. */
function scalingWords(own: Json, layerType: string | undefined): string {
  const { rope_parameters: given, rope_scaling: older } = own;
  const inside = isObject(given) && layerType !== undefined && isObject(given[layerType]) ? given[layerType] : undefined;
  // Where layers differ, keys beside one another are those of full attention, but for these.
  const isLocal = inside === undefined && layerType === 'sliding_attention';
  const parameters = inside ?? (isLocal ? {} : isObject(given) ? given : isObject(older) ? older : {});
  const kind = parameters.rope_type ?? parameters.type ?? 'default';
  const bases = isLocal ? ['rope_local_base_freq', 'local_rope_theta'] : ['rope_theta', 'global_rope_theta', 'rotary_emb_base'];
  const theta = numberIn(parameters, 'rope_theta') ?? numberIn(own, ...bases);
  const base = theta === undefined ? '' : ` The base θ is ${theta.toLocaleString('en')}.`;
  if (kind === 'default') return base;
  const factor = numberIn(parameters, 'factor');
  const trained = numberIn(parameters, 'original_max_position_embeddings') ?? numberIn(own, 'original_max_position_embeddings');
  const by = factor === undefined ? '' : ` by a factor of ${factor}`;
  const beyond = trained === undefined ? '' : `, beyond the ${trained.toLocaleString('en')} tokens of the training`;
  return `${base} The context is made longer${by}${beyond}: ${String(kind)}.`;
}

/** How the panel Schemes has it. */
function rotationLink(own: Json): Record<string, string> {
  const parameters = isObject(own.rope_parameters) ? own.rope_parameters : isObject(own.rope_scaling) ? own.rope_scaling : {};
  const theta = numberIn(parameters, 'rope_theta') ?? numberIn(own, 'rope_theta', 'rotary_emb_base');
  const kind = parameters.rope_type ?? parameters.type;
  const factor = numberIn(parameters, 'factor');
  const known = ['linear', 'ntk', 'dynamic', 'yarn', 'llama3', 'longrope'];
  return {
    a: 'rotary',
    ...(theta !== undefined && { 'a.theta': String(theta) }),
    ...(typeof kind === 'string' && known.includes(kind) && { 'a.scaling': kind }),
    ...(factor !== undefined && { 'a.factor': String(factor) }),
  };
}

/** The lines of some heads of ALiBi. */
async function slopes(engine: Engine, own: Json, distances: Float64Array): Promise<Curve[]> {
  const heads = numberIn(own, 'num_attention_heads', 'n_head', 'n_heads') ?? 8;
  const L = Math.min(1024, Number(distances.at(-1)) + 1);
  using q = engine.tensor([1, heads, L, 4]);
  using k = engine.tensor([1, heads, 1, 4]);
  const { out, lse } = await engine.attentionPartial(q, k, k, { encoding: alibi({ heads }), queryOffset: 0, keyOffset: 0, totalKeys: L });
  using _ = out;
  using scores = lse;
  const all = scores.toArray() as Float32Array;
  const shown = [...new Set([0, Math.floor(heads / 2), heads - 1])];
  return shown.map((h) => ({
    label: `head ${h + 1} of ${heads}`,
    values: Float32Array.from(distances, (d) => (d < L ? (all[h * L + d] as number) : Number.NaN)),
  }));
}

/** What else the scores meet. */
function scoreWords(config: Json, own: Json): string[] {
  const words: string[] = [];
  const scale = scaleOf(config);
  if (scale !== undefined) words.push(`Scores are q·k times ${scale.toPrecision(3)}.`);
  const cap = numberIn(own, 'attn_logit_softcapping');
  if (cap !== undefined) words.push(`They pass a soft cap of ${cap} before the softmax.`);
  const window = numberIn(own, 'sliding_window', 'local_attention');
  if (window !== undefined && own.use_sliding_window !== false)
    words.push(`Some layers, or all, see a window of ${window.toLocaleString('en')} tokens alone.`);
  return words;
}

function scaleOf(config: Json): number | undefined {
  for (const given of [{}, { layer: 0 }]) {
    try {
      return attentionScale(config, given).scale;
    } catch {} // A type that the table does not have: its scale is in its own code.
  }
  return undefined;
}

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);
