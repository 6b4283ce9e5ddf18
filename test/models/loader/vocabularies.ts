// Small tokenizers of the three kinds that there are.

/** A tokenizer.json, or a tokenizer_config.json. */
export type Json = Readonly<Record<string, unknown>>;

const added = (id: number, content: string) => ({
  id,
  content,
  special: true,
  normalized: false,
  single_word: false,
  lstrip: false,
  rstrip: false,
});

/** Byte pairs without a merge: every byte is a token, which breaks every character that has several. */
export const BYTES: Json = byteTokenizer();

function byteTokenizer(): Json {
  // The byte alphabet of GPT-2: what prints stands for itself, the others for characters from 256 on.
  const prints = (byte: number): boolean => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const letters: string[] = [];
  let next = 256;
  for (let byte = 0; byte < 256; byte++) letters.push(String.fromCodePoint(prints(byte) ? byte : next++));
  return {
    added_tokens: [added(256, '<s>'), added(257, '</s>')],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', vocab: Object.fromEntries(letters.map((letter, byte) => [letter, byte])), merges: [], unk_token: null },
  };
}

export const PIECES: readonly string[] = [
  '<unk>',
  '<s>',
  '</s>',
  '▁Hello',
  '▁world',
  'wor',
  'ld',
  '▁',
  '!',
  '▁the',
  's',
  '▁H',
  'ello',
  '中',
];
const HEX = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);

/** As LLaMA 2's: a space is a mark, the first one is taken away, and bytes stand for what is no piece. */
export const SENTENCE_PIECES: Json = {
  added_tokens: [added(0, '<unk>'), added(1, '<s>'), added(2, '</s>')],
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: '▁' },
      { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    ],
  },
  pre_tokenizer: null,
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [
      { SpecialToken: { id: '<s>', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '<s>', type_id: 1 } },
      { Sequence: { id: 'B', type_id: 1 } },
    ],
    special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } },
  },
  decoder: {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      { type: 'Strip', content: ' ', start: 1, stop: 0 },
    ],
  },
  model: {
    type: 'BPE',
    byte_fallback: true,
    unk_token: '<unk>',
    fuse_unk: true,
    vocab: Object.fromEntries([...PIECES, ...HEX].map((piece, id) => [piece, id])),
    merges: [],
  },
};

export const WORDS: readonly string[] = [
  '[PAD]',
  '[UNK]',
  '[CLS]',
  '[SEP]',
  '[MASK]',
  'the',
  'cat',
  'sat',
  '##s',
  'on',
  'mat',
  '.',
  ',',
  "'",
  's',
  'a',
  'b',
  'c',
  'd',
];

/** As BERT's. */
export const WORD_PIECES: Json = {
  added_tokens: WORDS.slice(0, 5).map((word, id) => added(id, word)),
  normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '[CLS]', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '[SEP]', type_id: 0 } },
    ],
    pair: [
      { SpecialToken: { id: '[CLS]', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '[SEP]', type_id: 0 } },
      { Sequence: { id: 'B', type_id: 1 } },
      { SpecialToken: { id: '[SEP]', type_id: 1 } },
    ],
    special_tokens: {},
  },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])),
  },
};

export const BERT_CONFIG: Json = {
  cls_token: '[CLS]',
  sep_token: '[SEP]',
  pad_token: '[PAD]',
  unk_token: '[UNK]',
  mask_token: { content: '[MASK]' },
  model_max_length: 512,
};
