// One case computed by relpos and by onnxruntime on the same inputs: outputs compared first, then timed in turns.
import type * as Ort from 'onnxruntime-web';
import { type AttentionOptions, type Engine, rotary, type Tensor } from 'relpos';
import { type Inputs, type Sizes, sizesOf, swapAxes, type Variant, variantsOf } from './graphs.ts';
import { encodeModel, type OnnxTensor } from './onnx.ts';
import { type Budget, inTurns } from './turns.ts';

/** One way of onnxruntime: its time, or why it has none. */
export interface PeerRow {
  readonly variant: string;
  /** Milliseconds a call. */
  readonly ms?: number;
  /** The largest difference of the two outputs. */
  readonly difference?: number;
  readonly wrong?: string;
}

/** A case of both. */
export interface ContestRow {
  readonly case: string;
  readonly threads: number;
  /** Of relpos, milliseconds a call. */
  readonly ms: number;
  readonly peer: readonly PeerRow[];
  /** The time of onnxruntime's fastest way over that of relpos; missing where none gave the same result. */
  readonly ratio?: number;
}

/** What f32 may differ by, and 16-bit products in parts of the root mean square. */
const MOST = 1e-4;
const MOST_INT16 = 2.5e-3;

/** Uniform numbers of unit variance. */
function numbers(count: number, seed: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  let state = seed >>> 0;
  for (let n = 0; n < count; n++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[n] = ((state >>> 8) / 2 ** 23 - 1) * Math.sqrt(3);
  }
  return values;
}

const inputsOf = ({ H, G, L, D }: Sizes): Inputs => ({ q: numbers(H * L * D, 1), k: numbers(G * L * D, 2), v: numbers(G * L * D, 3) });

interface Prepared {
  run(): Promise<unknown>;
  output(): Promise<Float32Array>;
  dispose(): Promise<void> | void;
}

function prepareRelpos(engine: Engine, { H, G, L, D, causal, theta }: Sizes, { q, k, v }: Inputs): Prepared {
  const tensors: readonly Tensor[] = [engine.tensor([1, H, L, D], q), engine.tensor([1, G, L, D], k), engine.tensor([1, G, L, D], v)];
  const [tq, tk, tv] = tensors as [Tensor, Tensor, Tensor];
  const out = engine.tensor([1, H, L, D]);
  const options: AttentionOptions = {
    causal,
    out,
    ...(theta !== undefined && { encoding: rotary({ dim: D, theta, layout: 'halves' }) }),
  };
  return {
    run: () => engine.attention(tq, tk, tv, options),
    output: async () => out.toArray() as Float32Array,
    dispose: () => {
      for (const one of [...tensors, out]) one.dispose();
    },
  };
}

/** Output of onnxruntime as [H, L, D]. */
const headsFirst = ({ H, L, D }: Sizes, variant: Variant, data: Float32Array): Float32Array =>
  variant.headsFirst ? data : swapAxes(data, L, H, D);

async function prepareOrt(ort: typeof Ort, sizes: Sizes, variant: Variant): Promise<Prepared> {
  const session = await ort.InferenceSession.create(encodeModel(variant), { executionProviders: ['wasm'] });
  const tensor = ({ data, dims }: OnnxTensor): Ort.Tensor => new ort.Tensor(data instanceof Float32Array ? 'float32' : 'int32', data, dims);
  const feeds = Object.fromEntries(Object.entries(variant.inputs).map(([name, one]) => [name, tensor(one)]));
  const run = async (): Promise<Float32Array> => (await session.run(feeds, ['out'])).out?.data as Float32Array;
  return { run, output: async () => headsFirst(sizes, variant, await run()), dispose: () => session.release() };
}

/** How far two outputs are apart, and the second's root mean square. */
function apart(a: Float32Array, b: Float32Array): { difference: number; size: number } {
  let [difference, squares] = [a.length === b.length ? 0 : Number.NaN, 0];
  for (let n = 0; n < b.length; n++) {
    const one = Math.abs((a[n] as number) - (b[n] as number));
    if (!(one <= difference)) difference = one;
    squares += (b[n] as number) ** 2;
  }
  return { difference, size: Math.sqrt(squares / b.length) };
}

const words = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Runs a case. @throws where onnxruntime has no operator for it */
export async function contest(ort: typeof Ort, engine: Engine, id: string, precision: string, budget?: Budget): Promise<ContestRow> {
  const sizes = sizesOf(id);
  if (!sizes) throw new RangeError(`contest: "id" expected a case of attention, causal or prefill, got "${id}"`);
  const inputs = inputsOf(sizes);
  const own = prepareRelpos(engine, sizes, inputs);
  const ready: { row: PeerRow; prepared: Prepared }[] = [];
  const peer: PeerRow[] = [];
  try {
    await own.run();
    const expected = await own.output();
    for (const variant of variantsOf(sizes, inputs)) {
      try {
        const prepared = await prepareOrt(ort, sizes, variant);
        const row = { variant: variant.name, ...compared(await prepared.output(), expected, precision) };
        if (row.wrong === undefined) ready.push({ row, prepared });
        else {
          peer.push(row);
          await prepared.dispose();
        }
      } catch (error) {
        peer.push({ variant: variant.name, wrong: words(error) });
      }
    }
    const [ms = Number.NaN, ...others] = await inTurns([own.run, ...ready.map(({ prepared }) => prepared.run)], budget);
    const timed = ready.map(({ row }, n) => ({ ...row, ms: others[n] ?? Number.NaN })).sort((a, b) => a.ms - b.ms);
    const best = timed[0]?.ms;
    return {
      case: id,
      threads: engine.capabilities.threads,
      ms,
      peer: [...timed, ...peer],
      ...(best !== undefined && { ratio: best / ms }),
    };
  } finally {
    own.dispose();
    for (const { prepared } of ready) await prepared.dispose();
  }
}

function compared(found: Float32Array, expected: Float32Array, precision: string): Pick<PeerRow, 'difference' | 'wrong'> {
  const { difference, size } = apart(found, expected);
  const most = precision === 'int16' ? Math.max(MOST, MOST_INT16 * size) : MOST;
  return { difference, ...(!(difference <= most) && { wrong: `its result differs by ${difference.toPrecision(2)}` }) };
}
