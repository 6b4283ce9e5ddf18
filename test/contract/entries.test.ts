/** The entries of the package: the same names, engines of each, and the kernels that they bring or are given. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { packKernels } from '../../scripts/pack-kernels.mjs';
import { createEngine, createEngineSync, type Engine } from '../../src/index.ts';
import { baseline } from '../../src/wasm/generated/baseline.ts';
import { int16 } from '../../src/wasm/generated/int16.ts';
import { relaxed } from '../../src/wasm/generated/relaxed.ts';
import { fuses } from '../../src/wasm/probes.ts';
import { unpack } from '../../src/wasm/unpack.ts';
import { variantFor } from '../../src/wasm/variants.ts';
import type { Any } from './calls.ts';

const root = new URL('../../', import.meta.url);
const file = (path: string): Uint8Array<ArrayBuffer> => new Uint8Array(readFileSync(new URL(path, root)));
const load = (path: string): Promise<Any> => import(new URL(`dist/${path}.js`, root).href);

describe('inlined kernels', () => {
  test('are the compiled ones', () => {
    expect(Buffer.from(unpack(baseline)).equals(file('build/baseline.wasm'))).toBe(true);
    expect(Buffer.from(unpack(relaxed)).equals(file('build/relaxed.wasm'))).toBe(true);
    expect(Buffer.from(unpack(int16)).equals(file('build/int16.wasm'))).toBe(true);
  });

  test('any bytes come back as they were, from characters that mean nothing in a string or in HTML', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3000 }), fc.nat(255), (bytes, offset) => {
        // Counts of all sorts: the square crowds the bytes around one of them.
        const crowded = bytes.map((byte) => offset + Math.floor((byte * byte) / 255));
        const packed = packKernels(crowded);
        expect(packed.text).toMatch(/^[ !#%&(-;=-[\]-_a-~]*$/);
        expect(unpack(packed)).toEqual(Uint8Array.from(crowded));
      }),
    );
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    expect(unpack(packKernels(all))).toEqual(all);
  });
});

describe('entries', () => {
  const NAMES = [
    'relpos',
    'relpos/slim',
    'relpos/int16',
    'relpos/relaxed',
    'relpos/models',
    'relpos/onnx',
    'relpos/safetensors',
    'relpos/worker',
  ];
  const { exports } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
    exports: Record<string, Record<string, string>>;
  };

  test('every file that the package names is there', () => {
    const paths = Object.values(exports).flatMap((target) => Object.values(typeof target === 'string' ? { target } : target));
    for (const path of paths.filter((path) => !path.includes('*'))) expect(file(path).length).toBeGreaterThan(0);
    for (const name of ['baseline', 'int16', 'relaxed']) expect(file(`dist/wasm/${name}.wasm`)).toEqual(file(`build/${name}.wasm`));
  });

  test.each(NAMES)('%s resolves within the package', (name) => {
    expect(createRequire(new URL('package.json', root)).resolve(name)).toMatch(/dist\/.*\.js$/);
  });

  test('relpos/slim has the names of relpos', async () => {
    const [whole, slim] = [await load('index'), await load('entries/slim')];
    expect(Object.keys(slim)).toEqual(Object.keys(whole));
    for (const name of Object.keys(whole).filter((name) => !name.startsWith('createEngine'))) expect(slim[name]).toBe(whole[name]);
  });

  test('an engine of relpos/slim takes kernels as bytes or as a Module, and works with relpos/onnx and the encodings of relpos', async () => {
    const [whole, slim, onnx] = [await load('index'), await load('entries/slim'), await load('onnx/index')];
    const bytes = file('build/baseline.wasm');
    for (const engine of [slim.createEngineSync({ wasm: new WebAssembly.Module(bytes) }), await slim.createEngine({ wasm: bytes })]) {
      expect((await engine.selfTest()).passed).toBe(true);
      const x = engine.tensor([1, 2, 3, 4], new Float32Array(24).fill(1));
      const encoding = whole.rotary({ dim: 4, theta: 100, layout: 'halves' });
      expect((await engine.attention(x, x, x, { encoding })).shape).toEqual([1, 2, 3, 4]);
      expect((await onnx.onnxAttention(engine, { Q: x, K: x, V: x })).Y.toArray()).toHaveLength(24);
      engine.dispose();
    }
  });

  test('only relpos/models needs another package, and loads it when a tokenizer is', () => {
    const { dependencies } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
    expect(Object.keys(dependencies)).toEqual(['@huggingface/tokenizers']);
    /** What a built file imports, by itself or by way of others, and what of it is no file of ours. */
    const foreign = (path: string): string[] => {
      const [files, packages] = [new Set([new URL(path, root).href]), new Set<string>()];
      for (const url of files) {
        if (!url.endsWith('.js')) continue;
        const text = readFileSync(new URL(url), 'utf8');
        const atOnce = [...text.matchAll(/^(?:import|export)\b(?:[^"';=]*from )?\s*"([^"]+)"/gm)].map(([, next]) => ({ next, how: '' }));
        const later = [...text.matchAll(/\bimport\("([^"]+)"\)/g)].map(([, next]) => ({ next, how: 'later ' }));
        for (const { next = '', how } of [...atOnce, ...later]) {
          if (next.startsWith('.')) files.add(new URL(next, url).href);
          else if (!next.startsWith('node:')) packages.add(how + next);
        }
      }
      return [...packages];
    };
    const entries = Object.entries(exports).flatMap(([name, target]) =>
      Object.entries(target).flatMap(([how, path]) => (how !== 'types' && path.endsWith('.js') ? [[name, path] as const] : [])),
    );
    expect(entries.length).toBeGreaterThan(15);
    for (const [name, path] of entries) {
      expect([path, foreign(path)]).toEqual([path, name === './models' ? ['later @huggingface/tokenizers'] : []]);
    }
  });

  test('no edge runtime has to compile other kernels unless they are imported: one without relaxed SIMD would run nothing', () => {
    /** The kernels that a built file imports, by itself or by way of others, from the root. */
    const imported = (path: string): string[] => {
      const found = new Set([new URL(path, root).href]);
      for (const url of found) {
        if (!url.endsWith('.js')) continue;
        const text = readFileSync(new URL(url), 'utf8');
        for (const [, next] of text.matchAll(/(?:from|import) ?\(?"(\.[^"]+)"/g)) found.add(new URL(next as string, url).href);
      }
      return [...found].filter((url) => url.includes('.wasm')).map((url) => url.slice(root.href.length));
    };
    expect(imported('dist/entries/edge-light.js')).toEqual(['dist/wasm/baseline.wasm?module']);
    expect(imported('dist/entries/relaxed-edge-light.js')).toEqual(['dist/wasm/relaxed.wasm?module']);
    expect(imported('dist/entries/int16-edge-light.js')).toEqual(['dist/wasm/int16.wasm?module']);
    expect(imported('dist/entries/int16-workerd.js')).toEqual(['dist/wasm/int16.wasm']);
    expect(imported('dist/models/edge-light.js').sort()).toEqual(['dist/wasm/baseline.wasm?module', 'dist/wasm/nn.wasm?module']);
    const all = ['baseline', 'int16', 'relaxed'].map((name) => `dist/wasm/${name}.wasm`);
    expect(imported('dist/entries/workerd.js').sort()).toEqual(all);
    expect(imported('dist/index.js')).toEqual([]);
  });

  test('relpos/slim says that it needs kernels, and which', async () => {
    const slim = await load('entries/slim');
    const message = /"wasm" expected the baseline kernels \(relpos\/wasm\/baseline\.wasm\), got undefined/;
    await expect(slim.createEngine()).rejects.toThrow(message);
    await expect(slim.createEngine({})).rejects.toThrow(TypeError);
    expect(() => slim.createEngineSync()).toThrow(message);
  });
});

describe('kernels that are given', () => {
  /** Baseline kernels that say they are the relaxed ones; this host can run no others in a test. Their `fuses` is the same function. */
  function disguised(variant: number): Uint8Array<ArrayBuffer> {
    const bytes = file('build/baseline.wasm');
    const body = [4, 0, 0x41, 0, 0x0b];
    const places = Array.from(bytes.keys()).filter((at) => body.every((byte, n) => bytes[at + n] === byte));
    expect(places).toHaveLength(1);
    bytes[(places[0] as number) + 3] = variant;
    return bytes;
  }

  const refused = async (options: Any, message: RegExp): Promise<void> => {
    const error = expect.objectContaining({ code: 'bad-wasm', message: expect.stringMatching(message) });
    for (const threads of [1, 2]) await expect(createEngine({ ...options, threads, logger: { warn() {} } })).rejects.toEqual(error);
    expect(() => createEngineSync(options)).toThrow(error);
  };

  test('reproducible engines refuse the relaxed ones', async () => {
    const message = /the relaxed kernels, and precision 'reproducible' needs the baseline ones here: pass relpos\/wasm\/baseline.wasm/;
    await refused({ wasm: disguised(1) }, message);
    await refused({ wasm: disguised(1), precision: 'reproducible' }, message);
  });

  test('none: those that the precision runs on this host', async () => {
    const fused = fuses();
    expect([variantFor('reproducible', true), variantFor('relaxed', true), variantFor('relaxed', false)]).toEqual([
      'baseline',
      'relaxed',
      'baseline',
    ]);
    const engine = await createEngine({ precision: 'relaxed', threads: 1 });
    expect(engine.capabilities.relaxedSimd).toBe(fused);
    expect(engine.capabilities.reason === undefined).toBe(fused);
    engine.dispose();
  });

  test('a file by its URL; what cannot be loaded is named', async () => {
    for (const wasm of [
      new URL('../../build/baseline.wasm', import.meta.url),
      new URL('../../build/baseline.wasm', import.meta.url).href,
    ]) {
      const engine = await createEngine({ wasm, threads: 2 });
      expect(engine.capabilities.threads).toBe(2);
      engine.dispose();
    }
    const refusal = (wasm: Any): Promise<unknown> => createEngine({ wasm, threads: 1 }).catch((error) => `${error.code}: ${error.message}`);
    expect(await refusal('file:///nowhere/kernels.wasm')).toMatch(
      /^bad-wasm: the kernels cannot be loaded from file:\/\/\/nowhere\/kernels.wasm: .*ENOENT/,
    );
    expect(await refusal('http://127.0.0.1:1/kernels.wasm')).toMatch(/^bad-wasm: .*from http:\/\/127.0.0.1:1\/kernels.wasm: /);
    expect(await refusal('kernels.wasm')).toMatch(/^bad-wasm: .*from kernels.wasm: .*URL/);
    const broken = new ReadableStream({
      pull(controller) {
        controller.error(new Error('it broke off'));
      },
    });
    expect(await refusal(new Response(broken))).toMatch(/^bad-wasm: the kernels cannot be loaded from the response: .*it broke off/);
    const read = new Response('text');
    await read.text();
    expect(await refusal(read)).toMatch(/^bad-wasm: the kernels cannot be loaded from the response: /);
    expect(await refusal(new TextEncoder().encode('<!doctype html>'))).not.toMatch(/relaxed/);
  });

  test('and those that nobody knows', async () => {
    await refused({ wasm: disguised(7) }, /the unknown kernels/);
    await refused({ wasm: disguised(7), precision: 'relaxed' }, /the unknown kernels/);
  });

  test('a relaxed engine needs them before it can return', async () => {
    const call = (options: Any) => (): Engine => createEngineSync(options);
    expect(call({ precision: 'relaxed' })).toThrow(TypeError);
    expect(call({ precision: 'relaxed' })).toThrow(/"wasm" expected the relaxed kernels \(relaxedKernels\(\) of relpos\/relaxed/);
  });
});
