import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { transform } from 'esbuild';
import { createEngine, type Engine } from 'relpos';
import { createLayers, type Layers } from 'relpos/nn';
import { readSafetensors } from 'relpos/safetensors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { program } from '../../src/panels/length/code.ts';
import { BLOCK, blockLosses, windowsOf } from '../../src/panels/length/losses.ts';
import { makeModel } from '../../src/panels/length/model.ts';
import { byPosition } from '../../src/panels/length/results.ts';
import { SCHEME_NAMES, SCHEMES, type SchemeName, WINDOWS } from '../../src/panels/length/schemes.ts';
import { readSettings } from '../../src/panels/length/texts.ts';

interface Known {
  readonly loss: Readonly<Record<string, number>>;
  readonly lossBy32Positions: Readonly<Record<string, readonly number[]>>;
}

const folder = new URL('../../../examples/models/positions/', import.meta.url);
const read = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, folder)));
const fileOf = (scheme: SchemeName): Uint8Array => read(`${SCHEMES[scheme].file}.safetensors`);
const json = <T>(name: string): T => JSON.parse(new TextDecoder().decode(read(name))) as T;
const text = read('text.txt');
const { schemes: known } = json<{ schemes: Record<SchemeName, Known> }>('losses.json');
const mean = (list: ArrayLike<number>): number => Array.from(list).reduce((sum, x) => sum + x, 0) / list.length;

let engine: Engine;
let nn: Layers;

beforeAll(async () => {
  engine = await createEngine({ threads: 1 });
  nn = await createLayers(engine);
});
afterAll(() => engine.dispose());

/** Losses of a text by scheme and window. */
async function lossesOf(scheme: SchemeName, window: number, bytes: Uint8Array): Promise<Float32Array> {
  const model = makeModel(engine, nn, scheme, fileOf(scheme), window);
  try {
    return (await blockLosses(model, window, bytes)) as Float32Array;
  } finally {
    model.dispose();
  }
}

describe.each(WINDOWS)('in windows of %i', (window) => {
  test.each(SCHEME_NAMES)('%s loses what PyTorch says, as a mean and by place', async (scheme) => {
    const losses = await lossesOf(scheme, window, text);
    expect(losses).toHaveLength((windowsOf(text.length, window) * window) / BLOCK);
    const { loss, lossBy32Positions } = known[scheme];
    // PyTorch's are rounded: to four digits, and by place to three.
    expect(Math.abs(mean(losses) - (loss[window] as number))).toBeLessThan(0.00005 + 0.00002);
    const places = byPosition(losses, window);
    const by = lossBy32Positions[window] as readonly number[];
    expect(places).toHaveLength(by.length);
    expect(Math.max(...places.map((x, n) => Math.abs(x - (by[n] as number))))).toBeLessThan(0.0005 + 0.00005);
  });
});

test('the logits of one window are PyTorch’s, but for what log softmax takes from them all', async () => {
  const { cases } = json<{ cases: { scheme: SchemeName; top: [number, number][]; topAt31: [number, number][] }[] }>('reference.json');
  expect(cases.map(({ scheme }) => scheme)).toEqual(SCHEME_NAMES);
  for (const { scheme, top, topAt31 } of cases) {
    const model = makeModel(engine, nn, scheme, fileOf(scheme), 96);
    const found = await model.logProbabilities(text.subarray(0, 96));
    expect(found.shape).toEqual([1, 96, 256]);
    const all = found.toArray() as Float32Array;
    for (const [row, wanted] of [
      [95, top],
      [31, topAt31],
    ] as const) {
      const logs = all.subarray(row * 256, (row + 1) * 256);
      const [[first, largest]] = wanted as [[number, number]];
      const apart = wanted.map(([byte, logit]) => Math.abs((logs[byte] as number) - (logs[first] as number) - (logit - largest)));
      expect(Math.max(...apart), `${scheme}, row ${row}`).toBeLessThan(0.0002);
    }
    found.dispose();
    model.dispose();
  }
});

test('a stop is heard before the next step, and what was made goes', async () => {
  const before = engine.memoryUsage().used;
  const model = makeModel(engine, nn, 'rotary', fileOf('rotary'), 64);
  let asked = 0;
  expect(await blockLosses(model, 64, text, async () => ++asked < 3)).toBeUndefined();
  expect(asked).toBe(3);
  model.dispose();
  expect(engine.memoryUsage().used).toBe(before);
});

test('a text shorter than a window has no losses', async () => {
  expect(await lossesOf('alibi', 128, text.subarray(0, 128))).toHaveLength(0);
  expect(await lossesOf('alibi', 128, text.subarray(0, 129))).toHaveLength(4);
});

test('weights of another scheme are refused by the tensor that they lack', () => {
  const names = [...readSafetensors(fileOf('none')).tensors.keys()];
  expect(names).not.toContain('bias');
  const before = engine.memoryUsage().used;
  expect(() => makeModel(engine, nn, 't5', fileOf('none'), 64)).toThrow('The weights of “t5” have no tensor “bias”.');
  expect(engine.memoryUsage().used).toBe(before);
});

describe('the code that is copied', () => {
  let server: Server;
  const scratch = mkdtempSync(join(tmpdir(), 'length-'));
  beforeAll(async () => {
    server = createServer(({ url = '' }, answer) => {
      answer.end(read(url.slice(1)));
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    server.close();
    rmSync(scratch, { recursive: true });
  });

  test('names a folder whose address has quotes', () => {
    const source = program(readSettings({}), "https://example.org/it's/");
    expect(source).toContain(`await fetch("https://example.org/it's/" + name)`);
  });

  test('runs, and prints the losses', async () => {
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const source = program(readSettings({ schemes: 't5,rotary-yarn', windows: '64,256' }), address);
    const { code } = await transform(source, { loader: 'ts', target: 'es2022' });
    const entry = (path: string): string => pathToFileURL(fileURLToPath(new URL(`../../../dist/${path}index.js`, import.meta.url))).href;
    const file = join(scratch, 'program.mjs');
    const placed = code.replaceAll(/from "relpos(?:\/(\w+))?"/g, (_, part?: string) => `from "${entry(part ? `${part}/` : '')}"`);
    writeFileSync(file, placed);
    const { stdout } = await promisify(execFile)(process.execPath, [file]);
    const part = text.subarray(0, 5121);
    const wanted = [];
    for (const scheme of ['t5', 'rotary-yarn'] as const)
      for (const window of [64, 256]) wanted.push(`${scheme} ${window} ${mean(await lossesOf(scheme, window, part)).toFixed(4)}`);
    expect(stdout.trim().split('\n')).toEqual(wanted);
  });
});
