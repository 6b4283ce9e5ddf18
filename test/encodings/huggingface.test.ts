// Every rotary model type of transformers, by default and with other configs, against what its own code did to q and to the scores:
// scripts/huggingface/golden.py ran the models with their weights taken out.

import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { findFacts } from '../../src/huggingface/facts.ts';
import { TRANSFORMERS } from '../../src/huggingface/models.ts';
import { attentionScale, axialRotary, rotary, rotaryFromConfig } from '../../src/index.ts';
import type { Rotation } from '../../src/plan/plan.ts';
import { MATH, testEngine } from './rotary-help.ts';

interface Kind {
  readonly D: number;
  /** What q·k is multiplied by. */
  readonly scale: number;
  /** By position, or position on each axis: which vector came of `pattern` there. */
  readonly at: Readonly<Record<string, number>>;
}
interface Case {
  readonly type: string;
  readonly given: Readonly<Record<string, unknown>>;
  /** By what cosine and sine are multiplied, largest over the layers. */
  readonly factor: number;
  /** Which kind each layer is of. */
  readonly layers: readonly (number | null)[];
  readonly kinds: readonly Kind[];
}
/** A vision tower, or the like: which vector came of `pattern` at some tokens of a grid; of several heads, which [heads·D]. */
interface Tower {
  readonly type: string;
  readonly given: Readonly<Record<string, unknown>>;
  readonly grid: readonly number[] | null;
  /** [axes][tokens], where there is no grid. */
  readonly positions?: readonly (readonly number[])[];
  readonly heads?: number;
  readonly D: number;
  readonly scale: number;
  readonly tokens: number;
  readonly at: Readonly<Record<string, number>>;
}
/** What turns elsewhere than in attention: which vector came of `pattern` at some of the places. */
interface Elsewhere {
  readonly type: string;
  readonly given: Readonly<Record<string, unknown>>;
  readonly D: number;
  readonly places: readonly number[] | readonly (readonly number[])[];
  readonly at: Readonly<Record<string, number>>;
}
interface Golden {
  readonly transformers: string;
  readonly vision: readonly Tower[];
  readonly elsewhere: readonly Elsewhere[];
  readonly cases: readonly Case[];
  readonly vectors: readonly string[];
}

const golden = JSON.parse(readFileSync(new URL('../golden/huggingface.json', import.meta.url), 'utf8')) as Golden;

const engine = testEngine();
afterAll(() => engine.dispose());

/** Class and register tokens before the patches. */
const REGISTERS: Readonly<Record<string, number>> = { dinov3_vit: 1, eomt_dinov3: 5, sapiens2: 9 };

/** Steps of the golden vectors. */
const STEP = 1 / 8192;

const pattern = (D: number): number[] => Array.from({ length: D }, (_, i) => (((i * 37) % 64) - 31.5) / 32);

function vector(index: number): number[] {
  const bytes = Buffer.from(golden.vectors[index] as string, 'base64');
  return Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readInt16LE(2 * i) * STEP);
}

/** R(position)·R(0)⁻¹ · pattern of a head by the formula of a rotation, in f64. The attention factor cancels. */
function turn(rotation: Rotation | undefined, D: number, position: readonly number[], head = 0): number[] {
  const out = pattern(D);
  if (!rotation) return out;
  const { start = 0, dim, layout, layoutOut = layout, blocks = 1, frequencies, second = frequencies } = rotation;
  const each = dim / 2 / blocks;
  // What is read as pairs and written as halves is in halves already at position 0.
  const stride = layoutOut === 'halves' ? each : 1;
  for (let i = 0; i < dim / 2; i++) {
    const a = start + 2 * each * Math.floor(i / each) + (layoutOut === 'halves' ? i % each : 2 * (i % each));
    const angle = (of: Float64Array): number =>
      position.reduce((sum, at, axis) => sum + at * (of[((head * position.length + axis) * dim) / 2 + i] as number), 0);
    const [x, y, phi, psi] = [out[a] as number, out[a + stride] as number, angle(frequencies), angle(second)];
    out[a] = x * Math.cos(phi) - y * Math.sin(phi);
    out[a + stride] = x * Math.sin(psi) + y * Math.cos(psi);
  }
  return out;
}

function check({ type, given, factor, layers, kinds }: Case): void {
  const config = { model_type: type, ...given };
  const factors: number[] = [];
  layers.forEach((k, layer) => {
    if (k === null) return;
    const kind = kinds[k] as Kind;
    const places = Object.keys(kind.at).map((place) => place.split(',').map(Number));
    const positions = places.flat();
    const length = Math.max(8, ...positions) + (Math.max(...positions) > 8 ? 1 : -1);
    const shape = { B: 1, H: 1, G: 1, L: length, S: length, D: kind.D, E: kind.D };
    const { scale, queryScale } = attentionScale(config, { layer });
    expect(Math.abs(scale / kind.scale - 1), `scale ${scale}, not ${kind.scale}, in layer ${layer}`).toBeLessThan(1e-4);
    if (positions.length === 0) return;
    for (const place of places) {
      // Positions of M-RoPE are given; all others are the standard ones.
      const axes = place.length > 1;
      const given = { layer, ...(axes && { positions: place }) };
      const { rotation } = rotaryFromConfig(config, given).lower({ shape: { ...shape, ...(axes && { L: 1, S: 1 }) }, math: MATH });
      if (rotation?.factor !== undefined) factors.push(rotation.factor);
      const position = place[0] as number;
      const grown = (queryScale?.(position) ?? 1) / (queryScale?.(0) ?? 1);
      const got = turn(rotation, kind.D, place).map((x) => x * grown);
      const far = Math.max(...vector(kind.at[String(place)] as number).map((x, i) => Math.abs(x - (got[i] as number))));
      // A golden is rounded to its step; angles of the original are f32, which at position 1000 are off by up to 1e-4.
      expect(far, `position ${place} in layer ${layer} (${JSON.stringify(rotation && { ...rotation, frequencies: 0 })})`).toBeLessThan(
        5e-4,
      );
    }
  });
  if (factors.length) expect(Math.abs(Math.max(...factors) - factor)).toBeLessThan(2e-4);
}

/** By how much the rows that the engine turns differ at some tokens. */
function farTurned({ type, given, grid, positions, heads = 1, D, tokens, at }: Tower): number {
  const registers = REGISTERS[type] ?? 0;
  const S = tokens + registers;
  const row = pattern(D);
  const x = engine.tensor(
    [1, heads, S, D],
    Float32Array.from({ length: heads * S * D }, (_, n) => row[n % D] as number),
  );
  const where = grid ? { grid } : { positions: positions?.flat() ?? [] };
  const out = engine.rotateSync(x, rotaryFromConfig({ model_type: type, ...given }, where));
  const all = out.toArray();
  const rows = Object.entries(at).map(([token, index]) => {
    const far = vector(index).map((y, i) => {
      const [h, d] = [Math.floor(i / D), i % D];
      return Math.abs(y - (all[(h * S + registers + Number(token)) * D + d] as number));
    });
    return Math.max(...far);
  });
  x.dispose();
  out.dispose();
  return Math.max(...rows);
}

/** By how much the rotation at some token differs. The class and register tokens before the patches are no tokens of the golden. */
function farTower({ type, given, grid, positions, heads = 1, D, tokens, at }: Tower): number {
  const registers = REGISTERS[type] ?? 0;
  const S = tokens + registers;
  const where = grid ? { grid } : { positions: positions?.flat() ?? [] };
  const { rotation } = rotaryFromConfig({ model_type: type, ...given }, where).lower({
    shape: { B: 1, H: heads, G: heads, L: S, S, D, E: D },
    math: MATH,
  });
  const places = rotation?.queryPositions?.values;
  if (!places) throw new Error('no positions');
  const axes = places.length / S;
  const rows = Object.entries(at).map(([token, index]) => {
    const place = Array.from({ length: axes }, (_, axis) => places[axis * S + registers + Number(token)] as number);
    const got = Array.from({ length: heads }, (_, head) => turn(rotation, D, place, head)).flat();
    expect(vector(index)).toHaveLength(got.length);
    return Math.max(...vector(index).map((x, i) => Math.abs(x - (got[i] as number))));
  });
  return Math.max(...rows);
}

const contextOf = (D: number, S: number) => ({ shape: { B: 1, H: 1, G: 1, L: S, S, D, E: D }, math: MATH });

describe('as transformers does', () => {
  const types = [...new Set(golden.cases.map(({ type }) => type))];
  it('golden and table are of one version', () => {
    expect(golden.transformers).toBe(TRANSFORMERS);
  });

  it.each(types)('%s', (name) => {
    const wrong = golden.cases
      .filter(({ type }) => type === name)
      .flatMap((one) => {
        try {
          check(one);
          return [];
        } catch (error) {
          return [`${JSON.stringify(one.given)}: ${(error as Error).message}`];
        }
      });
    if (wrong.length) throw new Error(wrong.join('\n'));
    expect(wrong).toEqual([]);
  });

  // Only its default could be run: keys beside text_config are not read. The language model's own cases, one storey down.
  const wholes = types.flatMap((name) => {
    const inner = findFacts(name)?.text;
    return inner !== undefined && findFacts(name)?.inside === undefined && types.includes(inner) ? [[name, inner] as const] : [];
  });
  it.each(wholes)('%s reads %s in its text_config', (name, inner) => {
    const cases = golden.cases.filter(({ type }) => type === inner).slice(0, 6);
    for (const one of cases) check({ ...one, type: name, given: { text_config: { model_type: inner, ...one.given } } });
    expect(cases.length).toBeGreaterThan(2);
  });

  it('PhiMoE has its long factors beyond the trained length, as Microsoft trained it; 5.18 forgets them and keeps long_mscale', () => {
    const [short, long] = [2, 8];
    const list = (n: number): number[] => new Array(64).fill(n);
    const scaling = { type: 'longrope', short_factor: list(short), long_factor: list(long), short_mscale: 1.25, long_mscale: 1.5 };
    const config = { model_type: 'phimoe', rope_scaling: { ...scaling, original_max_position_embeddings: 64 } };
    const { rotation: within } = rotaryFromConfig(config).lower(contextOf(128, 64));
    const { rotation: beyond } = rotaryFromConfig(config).lower(contextOf(128, 65));
    expect([within?.factor, within?.frequencies[0], beyond?.factor, beyond?.frequencies[0]]).toEqual([1.25, 1 / short, 1.5, 1 / long]);
  });

  it.each([...new Set(golden.vision.map(({ type }) => type))])('the vision tower %s', (name) => {
    for (const one of golden.vision.filter(({ type }) => type === name)) {
      expect(farTower(one), `${JSON.stringify(one.given)} ${one.grid}`).toBeLessThan(5e-4);
      expect(farTurned(one), `${JSON.stringify(one.given)} ${one.grid}`).toBeLessThan(5e-4);
      const { scale } = attentionScale({ model_type: name, ...one.given });
      expect(Math.abs(scale / one.scale - 1), `scale ${scale}, not ${one.scale}`).toBeLessThan(1e-4);
    }
  });

  const beside = (name: string): readonly Elsewhere[] => golden.elsewhere.filter(({ type }) => type === name);
  const BESIDE = { 'wav2vec2-bert': 'hidden', 'wav2vec2-conformer': 'hidden', seamless_m4t: 'hidden', clvp_encoder: 'v as it turns k' };
  it.each(Object.entries(BESIDE))('%s is refused, with the rotation of what it turns', (name, says) => {
    for (const { type, given, D, places, at } of beside(name)) {
      let message = '';
      try {
        rotaryFromConfig({ model_type: type, ...given });
      } catch (error) {
        message = (error as Error).message;
      }
      expect(message).toContain(says);
      const [, dim, theta] = /rotary\(\{ dim: (\d+), theta: (\d+), layout: 'halves' \}\)/.exec(message) ?? [];
      const { rotation } = rotary({ dim: Number(dim), theta: Number(theta), layout: 'halves' }).lower(contextOf(D, 400));
      for (const [n, index] of Object.entries(at)) {
        const got = turn(rotation, D, [places[Number(n)] as number]);
        vector(index).forEach((x, i) => {
          expect(Math.abs(x - (got[i] as number))).toBeLessThan(5e-4);
        });
      }
    }
    expect(beside(name).length).toBe(3);
  });

  it.each<[Record<string, unknown>, Parameters<typeof rotaryFromConfig>[1], string]>([
    [{ model_type: 'lightglue' }, {}, 'they are weights: axialRotary({ frequencies })'],
    [{ model_type: 'wav2vec2-conformer' }, {}, '"model_type" expected a model that turns q and k'],
    [{ model_type: 'clvp_encoder', use_rotary_embedding: false }, {}, '"model_type" expected a model that turns q and k'],
    [{ model_type: 'vjepa2' }, { grid: [2, 16, 8] }, '"grid" expected 16 rows and columns, crop_size / patch_size, got [2, 16, 8]'],
    [
      { model_type: 'llama4_vision_model', image_size: 28 },
      { grid: [4, 4] },
      '"grid" expected 2 rows and columns, image_size / patch_size',
    ],
    [
      { model_type: 'vjepa2', hidden_size: 16, num_attention_heads: 4 },
      { grid: [2, 16, 16] },
      '"hidden_size" expected heads of at least 6',
    ],
    [{ model_type: 'efficientloftr', num_attention_heads: 4 }, { grid: [2, 2] }, '"partial_rotary_factor" expected 2, half the heads'],
    [{ model_type: 'esmfold2_atom_encoder' }, {}, '"positions" expected x, y and z of every atom'],
    [{ model_type: 'esmfold2_atom_encoder' }, { grid: [2, 2] }, '"positions" expected x, y and z of every atom'],
    [
      { model_type: 'esmfold2_atom_encoder', num_uid_rope_pairs: 11 },
      { positions: [0, 0, 0, 0] },
      '"num_uid_rope_pairs" expected 16 pairs',
    ],
    [
      { model_type: 'pixtral', rope_parameters: { rope_type: 'linear', factor: 2 } },
      { grid: [2, 2] },
      '"rope_type" expected "axial" or "default"',
    ],
    [{ model_type: 'pixtral', rope_parameters: { factor: 2 } }, { grid: [2, 2] }, '"rope_parameters.factor" is unknown'],
    [{ model_type: 'pixtral' }, { grid: [2, 2], exclude: 1 }, '"exclude" expected none'],
  ])('%j with %j is refused', (config, given, message) => {
    expect(() => rotaryFromConfig(config, given).lower(contextOf(32, 4))).toThrow(message);
  });

  it('an encoder and a decoder whose heads are not as wide are told apart by hand', () => {
    const config = { model_type: 'bart', d_model: 768, encoder_attention_heads: 12, decoder_attention_heads: 6 };
    expect(() => attentionScale(config)).toThrow('"decoder_attention_heads" expected 12, as the encoder has, or none, got 6');
    expect(attentionScale({ ...config, encoder_attention_heads: 6 }).scale).toBe(1 / Math.sqrt(128));
  });

  it.each([
    [{ model_type: 'gemma2', query_pre_attn_scalar: -16 }, 'a finite number > 0, got -16'],
    [{ model_type: 'gemma3_text', query_pre_attn_scalar: 0 }, 'a finite number > 0, got 0'],
    [{ model_type: 'granite', attention_multiplier: 1e300 }, 'a number in 2^-100 … 2^100, got 1e+300'],
    [{ model_type: 'mpt', attn_config: { softmax_scale: -1 } }, 'a finite number > 0, got -1'],
  ])('%j has no scale', (config, message) => {
    expect(() => attentionScale(config)).toThrow(message);
  });

  it('nor is the time of Music Flamingo, of hidden states, in attention', () => {
    for (const { given, D, places, at } of beside('musicflamingo')) {
      const { rope_theta: theta = 1200, partial_rotary_factor: part = 0.2 } = (given.rope_parameters ?? {}) as Record<string, number>;
      const [windows, within, seconds] = places as readonly (readonly number[])[];
      const turned = (list: readonly number[] = [], by: number): number[] =>
        list.map((at, n) => (-2 * Math.PI * (seconds?.[n] as number) * at * by) / theta);
      // The number of the window is by the time at which it starts.
      const T = within?.filter((at) => at === 0).length === 3 ? 5 : 0;
      const length = ((given.audio_frame_step as number | undefined) ?? 0.01) * 4 * T;
      const starts = windows?.map((w) => Math.round((seconds?.[w * T] as number) / length));
      const rows = seconds?.length as number;
      const { rotation } = axialRotary({
        dim: 4 * Math.ceil((D * part) / 2),
        theta,
        layout: 'pairs',
        positions: [...turned(starts, 1), ...turned(within, 2 * Math.PI)],
      }).lower(contextOf(D, rows));
      const values = rotation?.queryPositions?.values as Float64Array;
      for (const [n, index] of Object.entries(at)) {
        const got = turn(rotation, D, [values[Number(n)] as number, values[rows + Number(n)] as number]);
        // Angles of the original are f32, up to hundreds of radians.
        vector(index).forEach((x, i) => {
          expect(Math.abs(x - (got[i] as number))).toBeLessThan(2e-3);
        });
      }
    }
    expect(beside('musicflamingo').length).toBe(3);
  });
});
