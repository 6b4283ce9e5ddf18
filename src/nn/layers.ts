import type { LayerContext } from './context.ts';
import { Embedding, type EmbeddingOptions } from './embedding.ts';
import { Linear, type LinearOptions } from './linear.ts';
import { MultiHeadAttention, type MultiHeadAttentionOptions } from './multi-head-attention.ts';
import { type LayerNormOptions, Norm, type NormalizeOptions, type RMSNormOptions } from './norm.ts';
import { Pool, type PoolOptions } from './pool.ts';
import { Softmax, type SoftmaxOptions, TopK, type TopKOptions } from './softmax.ts';

/** Layers of neural networks on an engine's memory and threads. Made by `createLayers`. */
export class Layers {
  readonly #context: LayerContext;

  /** @internal */
  constructor(context: LayerContext) {
    this.#context = context;
  }

  /**
   * A linear layer: its weights are packed once, here, in the order in which the kernels read them; the tensors it was made of are not needed any
   * more.
   *
   * @throws TypeError, RangeError if an option is wrong
   * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`
   * @example
   * ```ts
   * import { createLayers } from 'relpos/nn';
   *
   * const engine = await createEngine({ threads: 1 });
   * const nn = await createLayers(engine);
   * const weight = engine.tensor([3072, 768], new Float32Array(3072 * 768).fill(0.01));
   * const layer = nn.linear({ weight, type: 'i8', activation: 'gelu' });
   * layer.bytes; // a quarter of the weight's, and a little
   * const y = layer.runSync(engine.tensor([1, 10, 768])); // [1, 10, 3072]
   * engine.dispose();
   * ```
   */
  linear(options: LinearOptions): Linear {
    return new Linear('linear', options, this.#context);
  }

  /**
   * (x − mean)/√(variance + epsilon) · weight + bias, row by row; with a `residual` of the call, of x + residual.
   *
   * @throws TypeError, RangeError if an option is wrong
   * @throws RelposError `out-of-memory`, `disposed`
   * @example
   * ```ts
   * import { createLayers } from 'relpos/nn';
   *
   * const engine = await createEngine({ threads: 1 });
   * const nn = await createLayers(engine);
   * const norm = nn.layerNorm({ weight: engine.tensor([4], [1, 1, 1, 2]), epsilon: 1e-12 });
   * norm.runSync(engine.tensor([1, 4], [1, 1, -1, -1])).toArray(); // [1, 1, -1, -2]
   * engine.dispose();
   * ```
   */
  layerNorm(options: LayerNormOptions = {}): Norm {
    return new Norm('layerNorm', options, this.#context);
  }

  /**
   * x/√(mean of x² + epsilon) · (weight + offset), row by row; with a `residual` of the call, of x + residual.
   *
   * @throws TypeError, RangeError if an option is wrong
   * @throws RelposError `out-of-memory`, `disposed`
   * @example
   * ```ts
   * import { createLayers } from 'relpos/nn';
   *
   * const engine = await createEngine({ threads: 1 });
   * const nn = await createLayers(engine);
   * const norm = nn.rmsNorm({ weight: engine.tensor([64], new Float32Array(64).fill(1)) });
   * const [stream, added] = [engine.tensor([10, 64]), engine.tensor([10, 64])];
   * const y = await norm.run(added, { residual: stream, sum: stream }); // the stream is now stream + added
   * engine.dispose();
   * ```
   */
  rmsNorm(options: RMSNormOptions = {}): Norm {
    return new Norm('rmsNorm', options, this.#context);
  }

  /**
   * x/‖x‖, row by row, so that scalar products are cosines. A row of zeros stays one.
   *
   * @throws TypeError, RangeError if an option is wrong
   * @example
   * ```ts
   * import { createLayers } from 'relpos/nn';
   *
   * const engine = await createEngine({ threads: 1 });
   * const nn = await createLayers(engine);
   * nn.normalize().runSync(engine.tensor([2, 2], [3, 4, 0, 0])).toArray(); // [0.6, 0.8, 0, 0]
   * engine.dispose();
   * ```
   */
  normalize(options: NormalizeOptions = {}): Norm {
    return new Norm('normalize', options, this.#context);
  }

  /**
   * Rows of a table by number, and of tables of types and positions.
   *
   * @throws TypeError, RangeError if an option is wrong
   * @throws RelposError `out-of-memory`, `disposed`
   * @example
   * ```ts
   * import { createLayers } from 'relpos/nn';
   *
   * const engine = await createEngine({ threads: 1 });
   * const nn = await createLayers(engine);
   * const embedding = nn.embedding({ table: engine.tensor([3, 2], [0, 1, 10, 11, 20, 21]), positions: engine.tensor([2, 2], [100, 100, 200, 200]) });
   * embedding.runSync([2, 0]).toArray(); // [120, 121, 200, 201]
   * engine.dispose();
   * ```
   */
  embedding(options: EmbeddingOptions): Embedding {
    return new Embedding('embedding', options, this.#context);
  }

  /**
   * One row for each text of a packed batch: its first row, its last, the mean or the largest of its rows.
   *
   * @throws TypeError, RangeError if an option is wrong
   * @example
   * ```ts
   * import { createLayers } from 'relpos/nn';
   *
   * const engine = await createEngine({ threads: 1 });
   * const nn = await createLayers(engine);
   * const rows = engine.tensor([3, 2], [1, 2, 3, 4, 10, 20]); // two of the first text, one of the second
   * nn.pool({ kind: 'mean' }).runSync(rows, { offsets: [0, 2, 3] }).toArray(); // [2, 3, 10, 20]
   * engine.dispose();
   * ```
   */
  pool(options: PoolOptions = {}): Pool {
    return new Pool('pool', options, this.#context);
  }

  /**
   * Probabilities from scores, row by row, or their logarithms.
   *
   * @throws TypeError, RangeError if an option is wrong
   * @example
   * ```ts
   * import { createLayers } from 'relpos/nn';
   *
   * const engine = await createEngine({ threads: 1 });
   * const nn = await createLayers(engine);
   * nn.softmax({ temperature: 0.5 }).runSync(engine.tensor([1, 2], [7, 7])).toArray(); // [0.5, 0.5]
   * engine.dispose();
   * ```
   */
  softmax(options: SoftmaxOptions = {}): Softmax {
    return new Softmax('softmax', options, this.#context);
  }

  /**
   * The k largest of each row and where they stand.
   *
   * @throws TypeError, RangeError if an option is wrong
   * @example
   * ```ts
   * import { createLayers } from 'relpos/nn';
   *
   * const engine = await createEngine({ threads: 1 });
   * const nn = await createLayers(engine);
   * const { values, indices } = nn.topK({ k: 2 }).runSync(engine.tensor([1, 4], [3, 9, 1, 9]));
   * values.toArray(); // [9, 9]
   * indices.toArray(); // [1, 3]
   * engine.dispose();
   * ```
   */
  topK(options: TopKOptions): TopK {
    return new TopK('topK', options, this.#context);
  }

  /**
   * Multi-head attention with its linear maps, its weights packed once, here. Whatever `engine.attention` knows it knows: position schemes, masks,
   * windows, caches, packed sequences; and cross-attention, by a `memory` in the call.
   *
   * @throws TypeError, RangeError if an option is wrong
   * @throws RelposError `out-of-memory`, `disposed`, `kernel-trap`
   * @example
   * ```ts
   * import { createLayers } from 'relpos/nn';
   *
   * const engine = await createEngine({ threads: 1 });
   * const nn = await createLayers(engine);
   * const weight = engine.tensor([64, 64], new Float32Array(64 * 64).fill(0.01));
   * const encoding = rotary({ dim: 16, theta: 10000, layout: 'halves' });
   * const all = { query: { weight }, key: { weight }, value: { weight }, output: { weight } };
   * const layer = nn.multiHeadAttention({ heads: 4, ...all, encoding, causal: true });
   * const cache = engine.kvCache({ batch: 1, heads: 4, headDim: 16, capacity: 100, encoding });
   * layer.runSync(engine.tensor([1, 10, 64]), { cache }).shape; // [1, 10, 64]
   * layer.runSync(engine.tensor([1, 1, 64]), { cache }); // the next token
   * engine.dispose();
   * ```
   */
  multiHeadAttention(options: MultiHeadAttentionOptions): MultiHeadAttention {
    return new MultiHeadAttention('multiHeadAttention', options, this.#context);
  }
}
