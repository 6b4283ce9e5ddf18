/** A process of its own that disposes an engine and keeps everything else: its memory must go. Run with `--expose-gc`. */
import { createEngine, type Engine, RelposError } from '../../src/index.ts';

const MIB = 2 ** 20;
const gc = (globalThis as unknown as { gc(): void }).gc;

function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

async function use(threads: number): Promise<{ engine: Engine; kept: unknown[]; weak: WeakRef<object> }> {
  const engine = await createEngine({ threads });
  const tensor = engine.tensor([1, 4, 2048, 64]);
  const cache = engine.kvCache({ batch: 1, heads: 4, headDim: 64, capacity: 4096 });
  const out = await engine.attention(tensor, tensor, tensor, { cache });
  const large = engine.tensor([300, MIB / 4], undefined); // 300 MiB, all of them written
  large.view().fill(1);
  const part = large.slice([0, 1]);
  return { engine, kept: [tensor, cache, out, large, part, engine.math], weak: new WeakRef(tensor.view().buffer) };
}

for (const threads of [1, 2]) {
  const { engine, kept, weak } = await use(threads);
  const full = process.memoryUsage.rss();
  engine.dispose();
  for (let i = 0; i < 50 && weak.deref(); i++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    gc();
  }
  assert(weak.deref() === undefined, `${threads} threads: the buffer is still there`);
  await new Promise((resolve) => setTimeout(resolve, 100));
  gc();
  const fallen = (full - process.memoryUsage.rss()) / MIB;
  assert(fallen > 250, `${threads} threads: resident memory fell by ${fallen.toFixed()} MiB`);
  for (const each of kept) {
    let code = '';
    try {
      const any = each as { toArray?(): unknown; length?: number; exp?(x: number): number };
      if (any.toArray) any.toArray();
      else if (any.exp) any.exp(1);
      else void any.length;
    } catch (error) {
      code = error instanceof RelposError ? error.code : String(error);
    }
    assert(code === 'disposed', `${code} where "disposed" is expected`);
    (each as { dispose?(): void }).dispose?.();
  }
  assert(engine.capabilities.threads === threads, 'capabilities of a disposed engine');
}
console.log('released');
