import * as ort from 'onnxruntime-web';
import protobuf from 'protobufjs';
import { createEngine } from 'relpos';
import { afterAll, describe, expect, it } from 'vitest';
import { cases } from '../../src/panels/speed/cases.ts';
import { comparable, inTimes } from '../../src/panels/speed/contest/compare.ts';
import { sizesOf, swapAxes } from '../../src/panels/speed/contest/graphs.ts';
import { encodeModel } from '../../src/panels/speed/contest/onnx.ts';
import { contest } from '../../src/panels/speed/contest/run.ts';
import { inTurns, median } from '../../src/panels/speed/contest/turns.ts';

ort.env.wasm.numThreads = 1;
const engine = await createEngine({ threads: 1 });
afterAll(() => engine.dispose());
const BUDGET = { warm: 1, sample: 1, time: 5 };

describe('relpos and onnxruntime-web', () => {
  it.each(['attention/96x3x32', 'causal/100x2x64', 'prefill/64xH8G2x64'])('compute the same in %s, in every way', async (id) => {
    const { case: found, ms, peer, ratio, threads } = await contest(ort, engine, id, 'reproducible', BUDGET);
    expect([found, threads]).toEqual([id, 1]);
    expect(peer.map(({ wrong }) => wrong)).toEqual(peer.map(() => undefined));
    expect(peer.length).toBe(id.startsWith('causal') ? 3 : 2);
    const times = peer.map((one) => one.ms ?? Number.NaN);
    expect(ratio).toBe(Math.min(...times) / ms);
    for (const { difference } of peer) expect(difference).toBeLessThan(2e-6);
  });
  it('are both compared in int16, whose results differ more', async () => {
    const whole = await createEngine({ threads: 1, precision: 'int16' });
    const { peer, ratio } = await contest(ort, whole, 'attention/96x3x32', 'int16', BUDGET);
    whole.dispose();
    expect(ratio).toBeGreaterThan(0);
    expect(peer[0]?.difference).toBeGreaterThan(2e-6);
  });
  it('give no ratio where the results are not the same', async () => {
    // Half of the channels are another's: no time of such an output counts.
    const crooked = {
      ...ort,
      InferenceSession: {
        async create(...given: Parameters<typeof ort.InferenceSession.create>) {
          const session = await ort.InferenceSession.create(...given);
          return {
            async run(...words: Parameters<typeof session.run>) {
              const { out } = await session.run(...words);
              (out?.data as Float32Array)[7] = 3;
              return { out };
            },
            release: () => session.release(),
          };
        },
      },
    } as unknown as typeof ort;
    const { peer, ratio, ms } = await contest(crooked, engine, 'attention/96x3x32', 'reproducible', BUDGET);
    expect(ratio).toBeUndefined();
    expect(ms).toBeGreaterThan(0);
    for (const one of peer) expect(one.wrong).toMatch(/^its result differs by \d/);
  });
  it('say what onnxruntime says of a model that it does not take', async () => {
    const refusing = { ...ort, InferenceSession: { create: () => Promise.reject(new Error('no such operator')) } } as unknown as typeof ort;
    const { peer, ratio } = await contest(refusing, engine, 'causal/64x2x32', 'reproducible', BUDGET);
    expect(ratio).toBeUndefined();
    expect(peer.map(({ wrong }) => wrong)).toEqual(['no such operator', 'no such operator', 'no such operator']);
  });
  it('have cases in common', async () => {
    expect(comparable(cases.map(({ id }) => id))).toEqual(cases.map(({ id }) => id).filter((id) => /^(attention|causal|prefill)/.test(id)));
    await expect(contest(ort, engine, 'swin/64x7x7x12x32', 'reproducible')).rejects.toThrow(/"id" expected a case of attention/);
  });
  it('give their memory back', async () => {
    const before = engine.memoryUsage();
    await contest(ort, engine, 'attention/96x3x32', 'reproducible', BUDGET);
    expect(engine.memoryUsage()).toEqual(before);
  });
});

describe('a model', () => {
  const schema = protobuf
    .parse(
      `syntax = "proto3";
    message Attribute { string name = 1; int64 i = 3; int32 type = 20; }
    message Node { repeated string input = 1; repeated string output = 2; string op_type = 4; repeated Attribute attribute = 5; string domain = 7; }
    message Tensor { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9; }
    message Dimension { int64 dim_value = 1; }
    message Shape { repeated Dimension dim = 1; }
    message TensorType { int32 elem_type = 1; Shape shape = 2; }
    message Type { TensorType tensor_type = 1; }
    message Value { string name = 1; Type type = 2; }
    message Graph { repeated Node node = 1; string name = 2; repeated Tensor initializer = 5; repeated Value input = 11; repeated Value output = 12; }
    message Opset { string domain = 1; int64 version = 2; }
    message Model { int64 ir_version = 1; Graph graph = 7; repeated Opset opset_import = 8; }`,
      { keepCase: true },
    )
    .root.lookupType('Model');

  it('is read back field by field', () => {
    const bytes = encodeModel({
      nodes: [{ op: 'Add', domain: 'com.microsoft', inputs: ['x', '', 'c'], outputs: ['y'], attributes: { wide: 300 } }],
      inputs: { x: { data: new Float32Array(6), dims: [2, 300] } },
      constants: { c: { data: Int32Array.of(1, -2), dims: [2] } },
      outputs: ['y'],
    });
    const decoded = schema.toObject(schema.decode(bytes), { longs: Number, bytes: Array });
    expect(decoded).toEqual({
      ir_version: 10,
      opset_import: [
        { domain: '', version: 23 },
        { domain: 'com.microsoft', version: 1 },
      ],
      graph: {
        name: 'case',
        node: [
          { op_type: 'Add', domain: 'com.microsoft', input: ['x', '', 'c'], output: ['y'], attribute: [{ name: 'wide', i: 300, type: 2 }] },
        ],
        initializer: [{ name: 'c', dims: [2], data_type: 6, raw_data: [1, 0, 0, 0, 254, 255, 255, 255] }],
        input: [{ name: 'x', type: { tensor_type: { elem_type: 1, shape: { dim: [{ dim_value: 2 }, { dim_value: 300 }] } } } }],
        output: [{ name: 'y', type: { tensor_type: { elem_type: 1 } } }],
      },
    });
  });
});

describe('what measuring takes', () => {
  it('sizes of a case', () => {
    expect(sizesOf('causal/512x12x64')).toEqual({ id: 'causal/512x12x64', H: 12, G: 12, L: 512, D: 64, causal: true });
    expect(sizesOf('prefill/512xH32G8x64')).toMatchObject({ H: 32, G: 8, L: 512, D: 64, causal: true, theta: 10000 });
    expect(sizesOf('decode/2047xH32G8x64')).toBeUndefined();
  });
  it('axes the other way round, and back', () => {
    const data = Float32Array.from({ length: 24 }, (_, n) => n);
    const swapped = swapAxes(data, 2, 3, 4);
    expect([...swapped.subarray(0, 8)]).toEqual([0, 1, 2, 3, 12, 13, 14, 15]);
    expect(swapAxes(swapped, 3, 2, 4)).toEqual(data);
  });
  it('medians', () => {
    expect([median([3, 1, 2]), median([4, 1, 3, 2])]).toEqual([2, 2.5]);
    expect(median([])).toBeNaN();
  });
  it('turns: each runs, and the slower takes longer', async () => {
    const sleep = (ms: number) => () => new Promise((resolve) => setTimeout(resolve, ms));
    const [short = 0, long = 0] = await inTurns([sleep(2), sleep(20)], { warm: 5, sample: 1, time: 50 });
    expect(long).toBeGreaterThan(short);
    expect(short).toBeGreaterThan(1);
  });
  it('ratios in words', () => {
    expect(inTimes(2.5)).toBe('2.50× as fast');
    expect(inTimes(0.5)).toBe('0.500× as fast');
  });
});
