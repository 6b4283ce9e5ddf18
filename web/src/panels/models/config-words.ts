// Schemes that are no rotation, as keys of a config.json tell them.
import { shortened } from '../../ui/shortened.ts';

/** A config.json, or an object in it. */
export type Json = Readonly<Record<string, unknown>>;

/** A scheme of the panel Schemes, and values of its parameters. */
export interface Link {
  readonly scheme: string;
  readonly values: Readonly<Record<string, number | string>>;
}

/** What a config says in one respect. */
export interface Said {
  readonly scheme: string;
  readonly words: string;
  readonly link?: Link;
}

/** The first of these keys that is a number. */
export function numberIn(config: Json, ...keys: readonly string[]): number | undefined {
  for (const key of keys) {
    const value = config[key];
    if (typeof value === 'number' && Number.isFinite(value)) return value;
  }
  return undefined;
}

export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The part of a config that speaks of texts. */
export const ownConfig = (config: Json): Json => (isObject(config.text_config) ? { ...config, ...config.text_config } : config);

type Reader = (own: Json, model: string) => Said | undefined;

const buckets: Reader = (own, model) => {
  const count = numberIn(own, 'relative_attention_num_buckets');
  if (count === undefined) return undefined;
  const far = numberIn(own, 'relative_attention_max_distance') ?? 128;
  const scheme = model === 'mpnet' ? 'mpnet' : 't5';
  const words = `Each head adds a learned number for the distance, which lies in one of ${count} buckets: near distances have one each, and from ${far} tokens on all share the last.`;
  return { scheme, words, link: { scheme, values: { buckets: count, maxDistance: far } } };
};

const lines: Reader = (own, model) => {
  const inside = isObject(own.attn_config) && own.attn_config.alibi === true;
  if (!(model === 'bloom' || own.alibi === true || own.position_embedding_type === 'alibi' || inside)) return undefined;
  return {
    scheme: 'alibi',
    words:
      'ALiBi: each head takes a number off its scores for every token of distance. Nothing is learned, and a text may be longer than those of the training.',
    link: { scheme: 'alibi', values: {} },
  };
};

const reach = (own: Json): number => {
  const most = numberIn(own, 'max_relative_positions') ?? -1;
  return most > 0 ? most : (numberIn(own, 'max_position_embeddings') ?? 512);
};

const disentangled: Reader = (own) => {
  if (own.relative_attention !== true) return undefined;
  const kinds = Array.isArray(own.pos_att_type) ? own.pos_att_type.join(' and ') : String(own.pos_att_type ?? '');
  const many = numberIn(own, 'position_buckets') ?? -1;
  const clipped = many > 0 ? `in ${many} logarithmic buckets to each side` : `up to ${reach(own)} tokens`;
  return {
    scheme: 'deberta',
    words: `DeBERTa: queries and keys meet learned vectors of the distance, ${clipped}${kinds ? ` (${shortened(kinds.replaceAll('|', ' and '), 60)})` : ''}.`,
    link: { scheme: 'deberta', values: {} },
  };
};

const streams: Reader = (_, model) => {
  if (model !== 'xlnet' && model !== 'transfo-xl') return undefined;
  return {
    scheme: model === 'xlnet' ? 'xlnet' : 'transformerXL',
    words: 'Transformer-XL: queries meet sinusoids of the distance through a learned map, with a bias of each head.',
    link: { scheme: model === 'xlnet' ? 'xlnet' : 'transformerXL', values: {} },
  };
};

const windows: Reader = (own, model) => {
  const size = numberIn(own, 'window_size');
  if (size === undefined || !model.startsWith('swin')) return undefined;
  return {
    scheme: 'swin',
    words: `Windows of ${size} × ${size} cells: each head adds a learned number for the step in rows and columns from query to key.`,
    link: { scheme: model === 'swinv2' ? 'swinV2' : 'swin', values: {} },
  };
};

const learnedDistances: Reader = (own) => {
  const kind = own.position_embedding_type;
  if (kind !== 'relative_key' && kind !== 'relative_key_query') return undefined;
  const more = kind === 'relative_key' ? 'Queries meet' : 'Queries and keys meet';
  return { scheme: 'shaw', words: `${more} a learned vector for each distance (Shaw).`, link: { scheme: 'shaw', values: {} } };
};

/** Models whose tables of positions are added to the embeddings. */
const ADDED =
  /^(bert|roberta|xlm-roberta|camembert|electra|distilbert|albert|gpt2|openai-gpt|gpt_neo|opt|bart|mbart|pegasus|mpnet|xlm|longformer|ernie|layoutlm|data2vec-text|ctrl|universal-sentence-encoder|clip_text_model|clip|whisper|biogpt|codegen_learned|vit|deit)$/;

const added: Reader = (own, model) => {
  const kind = own.position_embedding_type;
  if (kind !== undefined && kind !== 'absolute') return undefined;
  if (!(ADDED.test(model) || (kind === 'absolute' && own.rope_theta === undefined && own.rope_parameters === undefined))) return undefined;
  const count = numberIn(own, 'max_position_embeddings', 'n_positions');
  const end = count === undefined ? '' : `, one for each of ${count.toLocaleString('en')} places: no text can be longer`;
  return {
    scheme: 'absolute',
    words: `A vector of the place in the text is added to each embedding${end}.`,
  };
};

const READERS: readonly Reader[] = [buckets, lines, disentangled, streams, windows, learnedDistances, added];

/** What the keys of a config say beside rotations. */
export function otherSchemes(config: Json): Said[] {
  const own = ownConfig(config);
  const model = String(own.model_type ?? '');
  return READERS.map((reader) => reader(own, model)).filter((said) => said !== undefined);
}
