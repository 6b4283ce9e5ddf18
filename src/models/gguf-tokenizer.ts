// The tokenizer of a GGUF file as tokenizer.json has it: byte-level BPE (`gpt2`) of the pre-tokenizers that are known, and SentencePiece (`llama`), of
// which the merges are those of its pieces, the likeliest first.

import { quote } from '../cli/text.ts';
import { show } from '../safetensors/header.ts';
import { broken } from './fault.ts';
import type { GgufHeader } from './gguf-file.ts';
import type { JsonObject } from './source.ts';

const NORMAL = 1;
const [UNKNOWN, CONTROL, USER] = [2, 3, 4];
const KEY = 'tokenizer.ggml.';

const BYTES = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
const split = (digits: string): JsonObject => ({
  type: 'Sequence',
  pretokenizers: [
    {
      type: 'Split',
      pattern: {
        Regex: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
      },
      behavior: 'Isolated',
      invert: false,
    },
    { ...BYTES, use_regex: false },
  ],
});
const words = (): JsonObject => ({ ...BYTES, use_regex: true });
/** How texts are cut before BPE, by the name in the file. */
const CUTS: Readonly<Record<string, () => JsonObject>> = {
  default: words,
  'gpt-2': words,
  smollm: () => ({ type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, words()] }),
  'llama-bpe': () => split('\\p{N}{1,3}'),
  qwen2: () => split('\\p{N}'),
};

/** tokenizer.json. @throws RelposError `bad-checkpoint` if it is of a kind that is not known: a tokenizer.json beside the file is used then */
export function tokenizerOf(where: string, file: string, { values }: GgufHeader): JsonObject {
  const fail = (what: string): never => {
    throw broken(where, file, `${what}; put the model's tokenizer.json beside it`);
  };
  const list = <T>(key: string, type: string): readonly T[] => {
    const value = values.get(KEY + key);
    const fits = Array.isArray(value) && value.every((one) => typeof one === type);
    return fits ? (value as readonly T[]) : fail(`"${KEY}${key}" expected a list of ${type}s, got ${show(value)}`);
  };
  const kind = values.get(`${KEY}model`);
  if (kind !== 'gpt2' && kind !== 'llama') fail(`the tokenizer ${show(kind)} is not one that is known (gpt2, llama)`);
  const tokens = list<string>('tokens', 'string');
  /** Of each token one. */
  const numbers = (key: string): readonly number[] => {
    const found = list<number>(key, 'number');
    return found.length === tokens.length ? found : fail(`"${KEY}${key}" expected ${tokens.length} numbers, got ${found.length}`);
  };
  const types = values.has(`${KEY}token_type`) ? numbers('token_type') : [];
  const added = tokens.flatMap((content, id) => {
    const type = types[id] ?? NORMAL;
    if (type !== UNKNOWN && type !== CONTROL && type !== USER) return [];
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: type !== USER }];
  });
  const roles = rolesOf(values, tokens);
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const parts =
    kind === 'llama'
      ? pieces(values, tokens, vocab, numbers('scores'), roles.unk_token)
      : byteLevel(values, vocab, list('merges', 'string'), fail);
  const post_processor = frame(values, tokens, kind === 'llama');
  return { version: '1.0', truncation: null, padding: null, added_tokens: added, post_processor, ...parts };
}

/** tokenizer_config.json, which says nothing of how a text becomes tokens. */
export function tokenizerConfigOf({ values }: GgufHeader): JsonObject {
  const tokens = values.get(`${KEY}tokens`);
  const template = values.get('tokenizer.chat_template');
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    clean_up_tokenization_spaces: false,
    ...rolesOf(values, Array.isArray(tokens) ? tokens : []),
    ...(typeof template === 'string' && { chat_template: template }),
  };
}

const ROLES = { bos: 'bos', eos: 'eos', unk: 'unknown', pad: 'padding', sep: 'seperator', cls: 'cls', mask: 'mask' };

/** The tokens that have a role. The format itself spells that of separators so. */
function rolesOf(values: GgufHeader['values'], tokens: readonly unknown[]): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [role, name] of Object.entries(ROLES)) {
    const token = tokens[values.get(`${KEY}${name}_token_id`) as number];
    if (typeof token === 'string') found[`${role}_token`] = token;
  }
  return found;
}

function byteLevel(values: GgufHeader['values'], vocab: JsonObject, merges: readonly string[], fail: (what: string) => never): JsonObject {
  const name = values.get(`${KEY}pre`) ?? 'default';
  const cut = typeof name === 'string' && Object.hasOwn(CUTS, name) ? CUTS[name] : undefined;
  if (!cut) return fail(`the pre-tokenizer ${show(name)} is not one that is known (${Object.keys(CUTS).join(', ')})`);
  const pairs = merges.map((merge) => merge.split(' '));
  const odd = pairs.findIndex((pair) => pair.length !== 2);
  if (odd >= 0) return fail(`"${KEY}merges" expected two parts, got ${quote(merges[odd] as string)}`);
  return {
    normalizer: null,
    pre_tokenizer: cut(),
    decoder: { ...BYTES, use_regex: true },
    model: { type: 'BPE', dropout: null, unk_token: null, fuse_unk: false, byte_fallback: false, vocab, merges: pairs },
  };
}

/** Spaces are `▁`, and one stands before a text unless the file says otherwise; what no piece has is written in bytes. */
function pieces(
  values: GgufHeader['values'],
  tokens: readonly string[],
  vocab: Readonly<Record<string, number>>,
  scores: readonly number[],
  unknown: string | undefined,
): JsonObject {
  const leads = values.get(`${KEY}add_space_prefix`) !== false;
  return {
    normalizer: {
      type: 'Sequence',
      normalizers: [...(leads ? [{ type: 'Prepend', prepend: '▁' }] : []), { type: 'Replace', pattern: { String: ' ' }, content: '▁' }],
    },
    pre_tokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(leads ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: unknown ?? null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab,
      merges: mergesOf(tokens, vocab, scores),
    },
  };
}

/** All ways to make a piece of two: of the likeliest piece first, then of the longest first part. */
function mergesOf(tokens: readonly string[], vocab: Readonly<Record<string, number>>, scores: readonly number[]): [string, string][] {
  const found: { readonly pair: [string, string]; readonly score: number; readonly length: number; readonly rank: number }[] = [];
  tokens.forEach((token, id) => {
    const characters = [...token];
    for (let n = 1; n < characters.length; n++) {
      const [left, right] = [characters.slice(0, n).join(''), characters.slice(n).join('')];
      if (!Object.hasOwn(vocab, left) || !Object.hasOwn(vocab, right)) continue;
      found.push({ pair: [left, right], score: scores[id] ?? 0, length: n, rank: vocab[left] as number });
    }
  });
  // Pieces of one score are in the order of the file, which sorting keeps.
  found.sort((a, b) => b.score - a.score || b.length - a.length);
  return found.map(({ pair }) => pair);
}

/** What stands around a text. */
function frame(values: GgufHeader['values'], tokens: readonly string[], begins: boolean): JsonObject | null {
  const wanted = (role: string, usual: boolean): readonly number[] => {
    const [adds, id] = [values.get(`${KEY}add_${role}_token`) ?? usual, values.get(`${KEY}${role}_token_id`)];
    return adds === true && typeof id === 'number' && tokens[id] !== undefined ? [id] : [];
  };
  const [before, after] = [wanted('bos', begins), wanted('eos', false)];
  if (before.length + after.length === 0) return null;
  const special = (type_id: number) => (id: number) => ({ SpecialToken: { id: tokens[id], type_id } });
  const text = (id: string, type_id: number) => [
    ...before.map(special(type_id)),
    { Sequence: { id, type_id } },
    ...after.map(special(type_id)),
  ];
  return {
    type: 'TemplateProcessing',
    single: text('A', 0),
    pair: [...text('A', 0), ...text('B', 1)],
    special_tokens: Object.fromEntries(
      [...before, ...after].map((id) => [tokens[id], { id: tokens[id], ids: [id], tokens: [tokens[id]] }]),
    ),
  };
}
