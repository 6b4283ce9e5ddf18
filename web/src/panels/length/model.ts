// The trained models of positions, by relpos: bytes in, the losses of the bytes that follow them out.
import { type Engine, sinusoids, type Tensor } from 'relpos';
import type { Layers } from 'relpos/nn';
import { readSafetensors } from 'relpos/safetensors';
import { encodingOf, HEADS, type Weights } from './encodings.ts';
import type { SchemeName } from './schemes.ts';

/** All six models have these sizes. */
const [WIDTH, LAYERS, EPSILON] = [64, 3, 1e-5];

/** A model that reads windows of one length. */
export interface Model {
  /**
   * Natural logarithms of the next byte's probabilities, f32 [windows, window, 256].
   *
   * @param bytes whole windows, one after another
   */
  logProbabilities(bytes: Uint8Array): Promise<Tensor>;
  dispose(): void;
}

/**
 * x = 8·embed[byte] (+ sinusoids); in each layer x += attention(norm(x)), then x += mlp(norm(x)); at the end log softmax(norm(x)·embedᵀ).
 *
 * @param file the scheme's weights, a safetensors file
 */
export function makeModel(engine: Engine, nn: Layers, scheme: SchemeName, file: Uint8Array, window: number): Model {
  const { tensors } = readSafetensors(file);
  const weights: Weights = (name) => {
    const tensor = tensors.get(name);
    if (!tensor) throw new RangeError(`The weights of “${scheme}” have no tensor “${name}”.`);
    return tensor;
  };
  const parts: { dispose(): void }[] = [];
  const keep = <T extends { dispose(): void }>(part: T): T => {
    parts.push(part);
    return part;
  };
  const dispose = (): void => {
    for (const part of parts) part.dispose();
  };
  try {
    return { logProbabilities: reader(engine, nn, scheme, weights, window, keep), dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** The model's layers, each of which is kept, and what runs them. */
function reader(
  engine: Engine,
  nn: Layers,
  scheme: SchemeName,
  weights: Weights,
  window: number,
  keep: <T extends { dispose(): void }>(part: T) => T,
): Model['logProbabilities'] {
  const norm = (name: string) => keep(nn.rmsNorm({ weight: weights(name), epsilon: EPSILON }));
  const linear = (name: string) => keep(nn.linear({ weight: weights(name), type: 'f32' }));
  const matrix = (name: string) => ({ weight: weights(name) });

  const positions =
    scheme === 'sinusoidal' ? keep(engine.tensor([window, WIDTH], sinusoids(engine.math, window, WIDTH, { layout: 'halves' }))) : undefined;
  const embed = keep(nn.embedding({ table: weights('embed'), scale: Math.sqrt(WIDTH), ...(positions && { positions }) }));
  const layers = Array.from({ length: LAYERS }, (_, n) => {
    const encoding = encodingOf(scheme, weights, n, window);
    return {
      before: norm(`${n}.attention.norm`),
      attention: keep(
        nn.multiHeadAttention({
          heads: HEADS,
          query: matrix(`${n}.attention.query`),
          key: matrix(`${n}.attention.key`),
          value: matrix(`${n}.attention.value`),
          output: matrix(`${n}.attention.out`),
          type: 'f32',
          causal: true,
          ...(encoding && { encoding }),
        }),
      ),
      between: norm(`${n}.mlp.norm`),
      up: keep(nn.linear({ weight: weights(`${n}.mlp.up`), type: 'f32', activation: 'gelu' })),
      down: linear(`${n}.mlp.down`),
    };
  });
  const last = norm('norm');
  const head = linear('embed');
  const softmax = keep(nn.softmax({ log: true }));

  return async (bytes) => {
    const windows = bytes.length / window;
    using ids = engine.tensor([windows, window], Int32Array.from(bytes), 'i32');
    using x = await embed.run(ids, positions && { positions: Int32Array.from(bytes, (_, n) => n % window) });
    using h = engine.tensor([windows, window, WIDTH]);
    for (const { before, attention, between, up, down } of layers) {
      await before.run(x, { out: h });
      await attention.run(h, { residual: x, out: x });
      await between.run(x, { out: h });
      using wide = await up.run(h);
      await down.run(wide, { residual: x, out: x });
    }
    await last.run(x, { out: h });
    using logits = await head.run(h);
    return await softmax.run(logits);
  };
}
