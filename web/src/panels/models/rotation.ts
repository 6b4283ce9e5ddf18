// What a config.json says of rotary positions: which layers turn, and what that leaves of a score.
import { type Encoding, type Engine, rotaryFromConfig } from 'relpos';
import { shortened } from '../../ui/shortened.ts';
import { isObject, type Json, type Link, numberIn } from './config-words.ts';

/** Layers that turn alike, and how a sentence about them begins. */
export interface Turning {
  readonly label: string;
  readonly begin: string;
  readonly which: { readonly layerType?: string; readonly layer?: number };
}

/** The kinds of layers that turn; why none does. */
export function turnsOf(config: Json, own: Json): { readonly kinds: readonly Turning[]; readonly failure?: string } {
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
      failure: `“${shortened(String(own.model_type), 60)}” is no model type of transformers 5.18: what its positions mean is in its own code.`,
    };
  }
  if (failure === undefined) return { kinds: [{ label: 'score', begin: 'Rotary positions:', which: {} }] };
  if (!/layer/.test(failure)) return { kinds: [], failure: failure.replace(/^rotaryFromConfig: /, '').replace(/\s+/g, ' ') };
  const listed = Array.isArray(own.layer_types) ? own.layer_types.filter((type) => typeof type === 'string') : [];
  const kinds = [...new Set([...listed, 'full_attention', 'sliding_attention'])]
    .slice(0, 8)
    .filter((layerType) => failureOf({ layerType }) === undefined)
    .map((layerType) => ({
      label: shortened(layerType, 60),
      begin: `In layers of ${shortened(layerType, 60).replaceAll('_', ' ')}, rotary positions:`,
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

/** A score over the distance. */
export interface Curve {
  readonly label: string;
  readonly values: Float32Array;
}

export interface Rotation {
  readonly curve: Curve;
  readonly words: string;
  readonly link: Link;
}

/** What turns of a head. */
interface Channels {
  readonly turning: number;
  /** As `rotary` takes it. */
  readonly layout: 'halves' | 'pairs';
  readonly words: string;
}

/** The scores of ones over distances, and what a rotation does to single channels. */
export async function describeRotation(
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
      const channels = await channelsOf(engine, one, D);
      const { turning } = channels;
      const part = turning === D ? `all ${D} channels of a head turn` : `${turning} of the ${D} channels of a head turn`;
      const words = `${begin} ${part}, ${channels.words}.${scalingWords(own, which.layerType)}`;
      return { curve: { label, values }, words, link: linkOf(own, which.layerType, channels, D) };
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
async function channelsOf(engine: Engine, encoding: Encoding, D: number): Promise<Channels> {
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
  if (partner === first + 1) return { turning, layout: 'pairs', words: 'neighbours in pairs' };
  // DeepSeek's: what a neighbour turns into stands beside nothing of its own.
  const neighbour = await turned(Float32Array.from({ length: D }, (_, n) => (n === first + 1 ? 1 : 0)));
  const isMixed = neighbour[first] !== 0;
  return {
    turning,
    layout: isMixed ? 'pairs' : 'halves',
    words: isMixed ? 'neighbours in pairs, written as two halves' : 'each of the first half with one of the second',
  };
}

/** The keys that say how frequencies are made, of layers of a type. */
function parametersOf(own: Json, layerType: string | undefined): { readonly parameters: Json; readonly theta: number | undefined } {
  const { rope_parameters: given, rope_scaling: older } = own;
  const inside = isObject(given) && layerType !== undefined && isObject(given[layerType]) ? given[layerType] : undefined;
  // Where layers differ, keys beside one another are those of full attention, but for these.
  const isLocal = inside === undefined && layerType === 'sliding_attention';
  const parameters = inside ?? (isLocal ? {} : isObject(given) ? given : isObject(older) ? older : {});
  const bases = isLocal ? ['rope_local_base_freq', 'local_rope_theta'] : ['rope_theta', 'global_rope_theta', 'rotary_emb_base'];
  return { parameters, theta: numberIn(parameters, 'rope_theta') ?? numberIn(own, ...bases) };
}

/** What the config says of a longer context. */
function scalingWords(own: Json, layerType: string | undefined): string {
  const { parameters, theta } = parametersOf(own, layerType);
  const kind = parameters.rope_type ?? parameters.type ?? 'default';
  const base = theta === undefined ? '' : ` The base θ is ${theta.toLocaleString('en')}.`;
  if (kind === 'default') return base;
  const factor = numberIn(parameters, 'factor');
  const trained = numberIn(parameters, 'original_max_position_embeddings') ?? numberIn(own, 'original_max_position_embeddings');
  const by = factor === undefined ? '' : ` by a factor of ${factor}`;
  const beyond = trained === undefined ? '' : `, beyond the ${trained.toLocaleString('en')} tokens of the training`;
  return `${base} The context is made longer${by}${beyond}: ${shortened(String(kind), 60)}.`;
}

/** How the panel Schemes has it. */
function linkOf(own: Json, layerType: string | undefined, { turning, layout }: Channels, D: number): Link {
  const { parameters, theta } = parametersOf(own, layerType);
  const kind = parameters.rope_type ?? parameters.type;
  const numbers = {
    theta,
    factor: numberIn(parameters, 'factor'),
    trained: numberIn(parameters, 'original_max_position_embeddings') ?? numberIn(own, 'original_max_position_embeddings'),
    fast: numberIn(parameters, 'beta_fast'),
    slow: numberIn(parameters, 'beta_slow'),
    low: numberIn(parameters, 'low_freq_factor'),
    high: numberIn(parameters, 'high_freq_factor'),
  };
  const known = Object.entries(numbers).filter((one): one is [string, number] => one[1] !== undefined);
  return {
    scheme: 'rotary',
    values: {
      layout,
      part: turning / D,
      ...(typeof kind === 'string' && { scaling: kind }),
      ...Object.fromEntries(known),
    },
  };
}
