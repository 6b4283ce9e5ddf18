/**
 * Every family's blueprint, run by the plain f64 reference, against what the original computes (test/models/checkpoints): the stream after every
 * layer, the last hidden states, poolers and heads, and greedy tokens. The rest of what a config or a checkpoint may be is refused.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Blueprint } from '../../src/models/blueprint.ts';
import { blueprintOf } from '../../src/models/families/index.ts';
import { readSafetensors, type SafeTensor } from '../../src/safetensors/index.ts';
import { type Checkpoint, checkpoint, checkpointNames, type ReferenceCase, type ReferenceTensor } from './checkpoints.ts';
import { Reference, type Row } from './reference.ts';

/** What no blueprint says: by the beginning of the checkpoint's name, the key or tensor of which the error speaks. */
const REFUSED: Readonly<Record<string, RegExp>> = {
  swin: /"model_type" expected one of .*, got "swin/,
};
const refusal = (name: string): RegExp | undefined => Object.entries(REFUSED).find(([start]) => name.startsWith(start))?.[1];

interface Loaded {
  readonly blueprint: Blueprint;
  readonly tensors: ReadonlyMap<string, SafeTensor>;
}

function load({ config, folder }: Pick<Checkpoint, 'config' | 'folder'>): Loaded {
  const { tensors } = readSafetensors(readFileSync(`${folder}model.safetensors`));
  return { blueprint: blueprintOf(config, tensors), tensors };
}

/** Twice the largest error of the original's own f32 run of this case: of one tensor it may be luck. */
const tolerance = ({ errors }: ReferenceCase): number => 2 * Math.max(...Object.values(errors));

function expectNear(rows: readonly ArrayLike<number>[], { shape, data }: ReferenceTensor, within: number, name: string): void {
  const columns = shape.at(-1) as number;
  expect(rows.length * columns, name).toBe(data.length);
  let worst = 0;
  rows.forEach((row, t) => {
    for (let n = 0; n < columns; n++) worst = Math.max(worst, Math.abs((row[n] as number) - (data[t * columns + n] as number)));
  });
  expect(worst, name).toBeLessThanOrEqual(within);
}

/** The streams that a case has, met by what the reference saw. */
function expectCase({ blueprint, tensors }: Loaded, one: ReferenceCase): void {
  const within = tolerance(one);
  const met = new Set<string>();
  const meet = (name: string, rows: readonly ArrayLike<number>[]): void => {
    const found = one.tensors[name];
    if (!found) return;
    met.add(name);
    expectNear(rows, found, within, name);
  };
  const both = blueprint.kind === 'seq2seq';
  const reference = new Reference(blueprint, tensors, {
    watch: (name, rows, stack) => meet(both ? `${stack === blueprint.encoder ? 'encoder' : 'decoder'}.${name}` : name, rows),
  });
  const ids = one.ids as readonly number[];
  const segments = one.types && { segments: one.types };
  if (blueprint.kind === 'encoder') {
    const rows = reference.encode(ids, segments);
    meet('hidden', rows);
    if (one.tensors.pooled) meet('pooled', [reference.pooled(rows)]);
    if (one.masks)
      meet(
        'logits',
        one.masks.map((n) => reference.logits(rows[n] as Row)),
      );
    else if (one.tensors.logits) meet('logits', [reference.classify(rows)]);
  } else {
    const memory = both ? reference.encode(ids) : undefined;
    if (memory) meet('encoder.hidden', memory);
    const tokens = one.tokens as readonly number[];
    const given = both ? [one.start as number, ...tokens.slice(0, -1)] : ids;
    const rows = reference.decode(given, undefined, memory);
    meet(both ? 'decoder.hidden' : 'hidden', rows);
    meet('logits', [reference.logits(rows.at(-1) as Row)]);
    const quiet = new Reference(blueprint, tensors);
    const said = quiet.greedy(both ? [one.start as number] : ids, tokens.length, memory);
    expect(said).toEqual(tokens.slice(0, said.length));
    // The originals were not stopped by their end token.
    expect(said.length === tokens.length || blueprint.tokens.ends.includes(said.at(-1) as number)).toBe(true);
  }
  expect([...met].sort()).toEqual(Object.keys(one.tensors).sort());
}

const [refused, computed] = [checkpointNames.filter((name) => refusal(name)), checkpointNames.filter((name) => !refusal(name))];

test.each(computed)('%s computes what the original does', (name) => {
  const given = checkpoint(name);
  const loaded = load(given);
  expect(Object.isFrozen(loaded.blueprint)).toBe(true);
  for (const one of given.cases) expectCase(loaded, one);
});

test.each(refused)('%s is refused', (name) => {
  expect(() => load(checkpoint(name))).toThrow(refusal(name));
});

describe.each(['story-llama', 'fix-t5'])('%s', (name) => {
  const folder = fileURLToPath(new URL(`../../examples/models/${name}/`, import.meta.url));
  const json = (file: string) => JSON.parse(readFileSync(folder + file, 'utf8'));
  const { blueprint, tensors } = load({ config: json('config.json'), folder });
  const { cases }: { cases: readonly Trained[] } = json('reference.json');
  test.each(cases)('goes on as transformers does: $text', ({ ids, top, tokens }) => {
    const reference = new Reference(blueprint, tensors);
    const memory = blueprint.encoder && reference.encode(ids);
    const given = memory ? tokens.slice(0, 1) : ids;
    const logits = reference.logits(reference.decode(given, undefined, memory).at(-1) as Row);
    // The file has five decimals of what was computed in f32.
    for (const [id, logit] of top) expect(Math.abs((logits[id] as number) - logit), `logit ${id}`).toBeLessThan(2e-5);
    expect(reference.greedy(given, tokens.length, memory)).toEqual(memory ? tokens.slice(1) : tokens);
  });
});

interface Trained {
  readonly ids: readonly number[];
  readonly top: readonly (readonly [number, number])[];
  readonly tokens: readonly number[];
  readonly text: string;
}

describe('what no family fits', () => {
  const { config, folder } = checkpoint('llama');
  const { tensors } = readSafetensors(readFileSync(`${folder}model.safetensors`));
  const made = (more: object, index: ReadonlyMap<string, { readonly shape: readonly number[] }> = tensors) =>
    blueprintOf({ ...config, ...more }, index);

  test.each<[string, object, RegExp]>([
    ['an unknown type', { model_type: 'mamba' }, /config\.json: "model_type" expected one of bert, .*, got "mamba"/],
    ['no type', { model_type: undefined }, /"model_type" expected a string, got undefined/],
    ['an unknown activation', { hidden_act: 'maxout' }, /"hidden_act" expected one of gelu, .*, got "maxout"/],
    ['quantised weights', { quantization_config: { quant_method: 'gptq' } }, /"quantization_config" expected nothing, got/],
    [
      'an unknown rotation',
      { rope_scaling: { rope_type: 'spiral', factor: 2 }, rope_parameters: undefined },
      /"rope_type" expected one of/,
    ],
    ['heads that do not divide', { num_key_value_heads: 3 }, /"num_key_value_heads" expected a divisor of the \d+ heads, got 3/],
    ['a number that is none', { num_hidden_layers: '3' }, /"num_hidden_layers" expected an integer, got "3"/],
    ['a number that is missing', { intermediate_size: undefined }, /"intermediate_size" expected an integer, got undefined/],
    ['more layers than there are', { num_hidden_layers: 99 }, /checkpoint: no tensor "model\.layers\.3\./],
    ['another width', { intermediate_size: 7 }, /checkpoint: "model\.layers\.0\.mlp\.gate_proj\.weight" expected shape \[7, \d+\], got \[/],
  ])('%s', (_, more, message) => {
    expect(() => made(more)).toThrow(message);
  });

  test.each<[string, object, RegExp]>([
    ['deberta-v2-conv', { conv_kernel_size: 4 }, /"conv_kernel_size" expected 0 or an odd number of taps, got 4/],
    ['deberta-v2-conv', { conv_kernel_size: 5 }, /"encoder\.conv\.conv\.weight" expected shape \[36, 36, 5\], got \[36, 36, 3\]/],
    ['deberta-v2-conv', { conv_kernel_size: -1 }, /"conv_kernel_size" expected an integer ≥ 0, got -1/],
    ['deberta-v2-conv', { conv_groups: 2 }, /"conv_groups" expected 1, got 2/],
    ['deberta-v2-conv', { conv_act: 'maxout' }, /"conv_act" expected one of gelu/],
    [
      'longt5-global',
      { encoder_attention_type: 'global' },
      /"encoder_attention_type" expected "local" or "transient-global", got "global"/,
    ],
    ['longt5-global', { encoder_attention_type: 'local' }, /no tensor "encoder\.block\.0\.layer\.0\.LocalSelfAttention/],
    ['longt5-global', { global_block_size: 0 }, /"global_block_size" expected an integer ≥ 1, got 0/],
    ['mpt-clip', { attn_config: { clip_qkv: -1 } }, /"clip_qkv" expected/],
    ['mpt-clip', { attn_config: { clip_qkv: 'x' } }, /"clip_qkv" expected/],
  ])('%s with %j', (name, more, message) => {
    const { config: own, folder: from } = checkpoint(name);
    const file = readSafetensors(readFileSync(`${from}model.safetensors`));
    expect(() => blueprintOf({ ...own, ...more }, file.tensors)).toThrow(message);
  });

  test('a tensor that is missing is named, with those that are near', () => {
    const index = new Map(tensors);
    index.delete('model.layers.1.mlp.up_proj.weight');
    expect(() => made({}, index)).toThrow(
      /no tensor "model\.layers\.1\.mlp\.up_proj\.weight"; it has model\.layers\.0\.mlp\.up_proj\.weight/,
    );
  });

  test('no config', () => {
    expect(() => blueprintOf(null, tensors)).toThrow(TypeError);
    expect(() => blueprintOf([], tensors)).toThrow(TypeError);
  });
});
