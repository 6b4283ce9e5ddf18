/** Engines of precision `'int16'`: however their kernels come, the same bits; other kernels are refused, and theirs by other engines. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { int16Kernels } from '../../src/entries/int16.ts';
import { createEngine, createEngineSync, type EngineOptions } from '../../src/index.ts';

const file = (name: string): Uint8Array<ArrayBuffer> => Uint8Array.from(readFileSync(new URL(`../../build/${name}.wasm`, import.meta.url)));

test('the same bits however the kernels come, on one thread and more, and none of them those of the reproducible kernels', async () => {
  const precision = 'int16';
  const engines = [
    createEngineSync({ precision, wasm: int16Kernels() }),
    createEngineSync({ precision, wasm: new WebAssembly.Module(file('int16')) }),
    await createEngine({ precision, threads: 1 }),
    await createEngine({ precision, threads: 3 }),
    await createEngine({ precision, threads: 2, wasm: file('int16') }),
  ];
  const found = await Promise.all(engines.map((engine) => engine.selfTest()));
  expect(new Set(found.map(({ hash }) => hash)).size).toBe(1);
  expect(engines.map(({ capabilities }) => [capabilities.threads, capabilities.reason])).toEqual(
    [1, 1, 1, 3, 2].map((n) => [n, undefined]),
  );
  const plain = createEngineSync();
  const exact = await plain.selfTest();
  expect(exact.hash).not.toBe(found[0]?.hash);
  expect(found[0]?.error).toBeLessThan(3e-4);
  expect(exact.error).toBeLessThan(1e-6);
  for (const engine of [plain, ...engines]) engine.dispose();
});

test.each([
  ['queries', 55, -55],
  ['keys', -20, 55],
])('%s that are no 16-bit rows are met in f32', (_, up, down) => {
  const engines = [createEngineSync({ precision: 'int16', wasm: int16Kernels() }), createEngineSync()];
  const data = (seed: number, size: number): Float32Array => Float32Array.from({ length: 240 }, (_, n) => Math.sin(n * n + seed) * size);
  const [out, expected] = engines.map((engine) => {
    const tensor = (numbers: Float32Array) => engine.tensor([1, 1, 20, 12], numbers);
    const scale = 2 ** -(up + down) / 4;
    return engine.attentionSync(tensor(data(1, 2 ** up)), tensor(data(2, 2 ** down)), tensor(data(3, 1)), { scale }).toArray();
  }) as [Float32Array, Float32Array];
  expect(Math.max(...out.map((x, n) => Math.abs(x - (expected[n] as number))))).toBeLessThan(3e-4);
  for (const engine of engines) engine.dispose();
});

describe('refuses', () => {
  const refused = async (options: EngineOptions, message: RegExp): Promise<void> => {
    const error = expect.objectContaining({ code: 'bad-wasm', message: expect.stringMatching(message) });
    expect(() => createEngineSync(options)).toThrow(error);
    for (const threads of [1, 2]) await expect(createEngine({ ...options, threads, logger: { warn() {} } })).rejects.toEqual(error);
  };

  test('the reproducible kernels', async () => {
    const message =
      /^these are the baseline kernels, and precision 'int16' needs the int16 ones here: pass int16Kernels\(\) of relpos\/int16, or/;
    await refused({ precision: 'int16', wasm: file('baseline') }, message);
  });

  test('and its own are refused by the others', async () => {
    await refused({ wasm: file('int16') }, /^these are the int16 kernels, and precision 'reproducible' needs the baseline ones here/);
    await refused({ precision: 'relaxed', wasm: file('int16') }, /^these are the int16 kernels, and precision 'relaxed' needs the /);
  });

  test('to return at once without kernels', () => {
    expect(() => createEngineSync({ precision: 'int16' })).toThrow(
      /^createEngineSync: "wasm" expected the int16 kernels \(int16Kernels\(\) of relpos\/int16/,
    );
    expect(() => createEngineSync({ precision: 'int16' })).toThrow(TypeError);
  });
});
