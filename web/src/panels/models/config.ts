// What a config.json says of positions: in words, and as curves that the engine computes.
import { alibi, attentionScale, createEngine, type Engine } from 'relpos';
import { shortened } from '../../ui/shortened.ts';
import { type Json, type Link, numberIn, otherSchemes, ownConfig } from './config-words.ts';
import { type Curve, describeRotation, turnsOf } from './rotation.ts';

export interface ConfigReport {
  readonly model: string;
  /** Sentences. */
  readonly words: readonly string[];
  /** Distances of the curves. */
  readonly distances: Float64Array;
  readonly curves: readonly Curve[];
  /** What the curves are. */
  readonly caption: string;
  /** The nearest scheme of the panel Schemes. */
  readonly link?: Link;
}

/** Points of a curve. */
const POINTS = 257;
/** The farthest distance, where the config says nothing. */
const FAR = 2048;

/** Keys of the number of heads. */
const HEADS = ['num_attention_heads', 'n_head', 'n_heads'];
/** More than any model has. */
const MOST_HEADS = 1024;

let engine: Promise<Engine> | undefined;

/** Reads a config. @throws Error that says in a sentence why it is none */
export async function describeConfig(text: string): Promise<ConfigReport> {
  const config = parse(text);
  const own = ownConfig(config);
  const named = own.model_type ?? config.model_type ?? 'a model without “model_type”';
  if (typeof named !== 'string') throw new Error('The “model_type” of a config is a word, and here it is none.');
  const model = shortened(named, 60);
  engine ??= createEngine({ threads: 1 });
  const ready = await engine;
  const distances = distancesTo(numberIn(own, 'max_position_embeddings', 'n_positions', 'max_seq_len', 'seq_length') ?? FAR);
  const turns = turnsOf(config, own);
  const others = otherSchemes(config);
  if (turns.failure && others.length === 0) throw new Error(turns.failure);
  const rotations = await Promise.all(turns.kinds.map((kind) => describeRotation(ready, config, own, kind, distances)));
  const heads = others.some(({ scheme }) => scheme === 'alibi') ? await slopes(ready, own, distances) : [];
  const curves = [...rotations.map(({ curve }) => curve), ...heads];
  const link = rotations[0]?.link ?? others.find((one) => one.link)?.link;
  return {
    model,
    words: [...rotations.map(({ words }) => words), ...others.map(({ words }) => words), ...scoreWords(config, own)],
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

/** The lines of some heads of ALiBi. */
async function slopes(engine: Engine, own: Json, distances: Float64Array): Promise<Curve[]> {
  const heads = numberIn(own, ...HEADS) ?? 8;
  if (!Number.isInteger(heads) || heads < 1 || heads > MOST_HEADS) {
    const key = HEADS.find((one) => typeof own[one] === 'number');
    throw new Error(`“${key}” expected a whole number from 1 to ${MOST_HEADS.toLocaleString('en')}, got ${heads}.`);
  }
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
