// A file of a user's: the entries of the package, as they are imported, called and annotated.
import {
  type AttentionOptions,
  alibi,
  type Capabilities,
  causalMask,
  createEngine,
  createEngineSync,
  defineEncoding,
  type Engine,
  type EngineOptions,
  type KVCache,
  RelposError,
  rotary,
  type Tensor,
} from 'relpos';
import {
  type CheckpointSource,
  type Decoder,
  type Encoder,
  estimate,
  loadDecoder,
  loadEncoder,
  loadSeq2Seq,
  type Seq2Seq,
} from 'relpos/models';
import { createLayers, type Linear } from 'relpos/nn';
import { onnxAttention } from 'relpos/onnx';
import { relaxedKernels } from 'relpos/relaxed';
import { readSafetensors, writeSafetensors } from 'relpos/safetensors';
import { createEngine as createSlim } from 'relpos/slim';
import baselineFile from 'relpos/wasm/baseline.wasm';
import baselineModule from 'relpos/wasm/baseline.wasm?module';
import relaxedFile from 'relpos/wasm/relaxed.wasm';
import relaxedModule from 'relpos/wasm/relaxed.wasm?module';
import 'relpos/worker';

const options: EngineOptions = { threads: 'auto', precision: 'relaxed', maxMemory: 2 ** 28, wasm: relaxedKernels() };

export async function engines(): Promise<Engine[]> {
  return [
    await createEngine(),
    await createEngine(options),
    await createSlim({ wasm: baselineFile }),
    createEngineSync({ wasm: baselineModule }),
    createEngineSync({ precision: 'relaxed', wasm: relaxedFile }),
    createEngineSync({ precision: 'relaxed', wasm: relaxedModule }),
    createEngineSync({ wasm: new Uint8Array(8) }),
  ];
}

const nearer = defineEncoding({
  name: 'nearer',
  lower: ({ math }) => ({
    biases: [{ kind: 'offset', heads: 1, fill: (out, first, count) => void out.fill(-math.log(1 + Math.abs(first)), 0, count) }],
  }),
});

export async function attend(engine: Engine): Promise<Float32Array> {
  const x: Tensor = engine.tensor([1, 4, 16, 32], new Float32Array(2048));
  const call: AttentionOptions = {
    encoding: [rotary({ dim: 32, theta: 10000, layout: 'halves' }), alibi({ heads: 4 }), nearer],
    mask: causalMask(),
  };
  const { threads, reason }: Capabilities = engine.capabilities;
  const cache: KVCache = engine.kvCache({ batch: 1, heads: 4, headDim: 32, capacity: threads + (reason?.length ?? 16) });
  await engine.attention(x, x, x, { cache });
  const { Y } = await onnxAttention(engine, { Q: x, K: x, V: x });
  const file: Uint8Array = writeSafetensors({ tokens: { dtype: 'U8', shape: [2], data: new Uint8Array(2) } });
  engine.tensor([2], readSafetensors(file).tensors.get('tokens')?.data ?? []);
  return Y && (await engine.attention(x, x, x, call)).toArray();
}

export async function models(from: CheckpointSource): Promise<[number, Encoder, Decoder, Seq2Seq]> {
  const { total } = await estimate(from, { weights: 'i8' });
  return [total, await loadEncoder(from, { maxMemory: 2 ** 28 }), await loadDecoder(from, { threads: 1 }), await loadSeq2Seq(from)];
}

export async function layer(engine: Engine): Promise<Linear> {
  return (await createLayers(engine)).linear({ weight: engine.tensor([2, 3]), type: 'i8' });
}

export const isLost = (error: unknown): boolean => error instanceof RelposError && error.code === 'lost';
