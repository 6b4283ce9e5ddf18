import type { LayerContext } from './context.ts';
import { Linear, type LinearOptions } from './linear.ts';

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
}
