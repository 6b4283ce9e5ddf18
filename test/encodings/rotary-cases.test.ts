// Configs that were once read wrongly, with what the models' own code gives.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { attentionScale, type RotaryFromConfigOptions, rotaryFromConfig } from '../../src/index.ts';
import { noise, testEngine } from './rotary-help.ts';

interface Case {
  readonly id: string;
  readonly call: 'rotary' | 'turned' | 'scale';
  readonly config: Readonly<Record<string, unknown>>;
  readonly options?: RotaryFromConfigOptions;
  readonly D: number;
  readonly channel: number;
  readonly position: number;
  readonly count: number;
  readonly right: number | Readonly<Record<string, number>>;
}

const cases = JSON.parse(readFileSync(new URL('configs.json', import.meta.url), 'utf8')) as Case[];
const engine = testEngine();

/** A row at a position, turned. */
function turned(x: Float32Array, position: number, config: Case['config'], options: RotaryFromConfigOptions = {}): Float32Array {
  const rows = new Float32Array((position + 1) * x.length);
  rows.set(x, position * x.length);
  const row = engine.rotateSync(engine.tensor([1, 1, position + 1, x.length], rows), rotaryFromConfig(config, options));
  return row.toArray().slice(position * x.length) as Float32Array;
}

describe('configs that were read wrongly', () => {
  it.each(cases.filter(({ call }) => call === 'rotary'))('$id', ({ config, options, D, channel, position, right }) => {
    const x = new Float32Array(D);
    x[channel] = 1;
    const got = turned(x, position, config, options);
    for (const [at, value] of Object.entries(right)) expect(got[Number(at)]).toBeCloseTo(value, 5);
  });

  it.each(cases.filter(({ call }) => call === 'turned'))('$id', ({ config, options, D, count }) => {
    const x = noise(D, 3);
    let got: Float32Array;
    try {
      got = turned(x, 1, config, options);
    } catch (error) {
      expect((error as Error).message).toMatch(/^rotaryFromConfig: "(model_type|dim)" expected/);
      return;
    }
    expect(got.filter((y, i) => y !== x[i]).length).toBe(count);
  });

  it.each(cases.filter(({ call }) => call === 'scale'))('$id', ({ config, options, right }) => {
    expect(attentionScale(config, options).scale).toBeCloseTo(right as number, 12);
  });

  it('tokens of a vision tower come in squares', () => {
    const config = { model_type: 'qwen2_vl_vision', embed_dim: 64, num_heads: 2, spatial_merge_size: 2 };
    const x = new Float32Array(24 * 32);
    for (let token = 0; token < 24; token++) x[token * 32] = x[token * 32 + 8] = 1;
    const got = engine.rotateSync(engine.tensor([1, 1, 24, 32], x), rotaryFromConfig(config, { grid: [4, 6] })).toArray() as Float32Array;
    // Channel 0 turns by the row, channel 8 by the column.
    const places = [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
      [0, 2],
      [0, 3],
      [1, 2],
      [1, 3],
      [0, 4],
      [0, 5],
      [1, 4],
      [1, 5],
      [2, 0],
    ] as const;
    places.forEach(([row, column], token) => {
      expect(got[token * 32]).toBeCloseTo(Math.cos(row), 6);
      expect(got[token * 32 + 8]).toBeCloseTo(Math.cos(column), 6);
    });
  });
});
