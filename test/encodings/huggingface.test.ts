// Every rotary model type of transformers, by default and with other configs, against what its own code did to q and to the scores:
// scripts/huggingface/golden.py ran the models with their weights taken out.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { TRANSFORMERS } from '../../src/huggingface/models.ts';
import { attentionScale, rotaryFromConfig } from '../../src/index.ts';
import type { Rotation } from '../../src/plan/plan.ts';
import { MATH } from './rotary-help.ts';

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
/** A vision tower: which vector came of `pattern` at some tokens of a grid. */
interface Tower {
  readonly type: string;
  readonly given: Readonly<Record<string, unknown>>;
  readonly grid: readonly number[];
  readonly D: number;
  readonly tokens: number;
  readonly at: Readonly<Record<string, number>>;
}
interface Golden {
  readonly transformers: string;
  readonly vision: readonly Tower[];
  readonly cases: readonly Case[];
  readonly vectors: readonly string[];
}

const golden = JSON.parse(readFileSync(new URL('../golden/huggingface.json', import.meta.url), 'utf8')) as Golden;

/** Steps of the golden vectors. */
const STEP = 1 / 8192;

const pattern = (D: number): number[] => Array.from({ length: D }, (_, i) => (((i * 37) % 64) - 31.5) / 32);

function vector(index: number): number[] {
  const bytes = Buffer.from(golden.vectors[index] as string, 'base64');
  return Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readInt16LE(2 * i) * STEP);
}

/** R(position)·R(0)⁻¹ · pattern by the formula of a rotation, in f64. The attention factor cancels. */
function turn(rotation: Rotation | undefined, D: number, position: readonly number[]): number[] {
  const out = pattern(D);
  if (!rotation) return out;
  const { start = 0, dim, layout, layoutOut = layout, frequencies } = rotation;
  // What is read as pairs and written as halves is in halves already at position 0.
  const stride = layoutOut === 'halves' ? dim / 2 : 1;
  for (let i = 0; i < dim / 2; i++) {
    const a = start + (layoutOut === 'halves' ? i : 2 * i);
    const angle = position.reduce((sum, at, axis) => sum + at * (frequencies[(axis * dim) / 2 + i] as number), 0);
    const [x, y] = [out[a] as number, out[a + stride] as number];
    out[a] = x * Math.cos(angle) - y * Math.sin(angle);
    out[a + stride] = x * Math.sin(angle) + y * Math.cos(angle);
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

/** By how much the rotation at some token differs. The class and register tokens before the patches are no tokens of the golden. */
function farTower({ type, given, grid, D, tokens, at }: Tower): number {
  const registers = ({ dinov3_vit: 1, eomt_dinov3: 5 } as Record<string, number>)[type] ?? 0;
  const S = tokens + registers;
  const { rotation } = rotaryFromConfig({ model_type: type, ...given }, { grid }).lower({
    shape: { B: 1, H: 1, G: 1, L: S, S, D, E: D },
    math: MATH,
  });
  const places = rotation?.queryPositions?.values;
  if (!places) throw new Error('no positions');
  const axes = places.length / S;
  const rows = Object.entries(at).map(([token, index]) => {
    const place = Array.from({ length: axes }, (_, axis) => places[axis * S + registers + Number(token)] as number);
    const got = turn(rotation, D, place);
    return Math.max(...vector(index).map((x, i) => Math.abs(x - (got[i] as number))));
  });
  return Math.max(...rows);
}

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

  it.each([...new Set(golden.vision.map(({ type }) => type))])('the vision tower %s', (name) => {
    for (const one of golden.vision.filter(({ type }) => type === name)) {
      expect(farTower(one), `${JSON.stringify(one.given)} ${one.grid}`).toBeLessThan(5e-4);
    }
  });
});
