// A serverless function: nothing happens at import, the first request makes the engine, the next ones find it.
//   npm run build && node examples/cold-start.mjs
import { createEngineSync, rotary } from 'relpos';

let engine;

/** A request handler as edge runtimes have it; the body is q, k and v as float32, each [1, 2, L, 64]. */
export async function handle(request) {
  engine ??= createEngineSync({ maxMemory: 64 * 2 ** 20 });
  const numbers = new Float32Array(await request.arrayBuffer());
  const L = numbers.length / (3 * 2 * 64);
  if (!Number.isInteger(L)) return new Response('expected q, k and v, [1, 2, L, 64] each', { status: 400 });
  const [q, k, v] = [0, 1, 2].map((n) => engine.tensor([1, 2, L, 64], numbers.subarray(n * 128 * L, (n + 1) * 128 * L)));
  const out = engine.attentionSync(q, k, v, { encoding: rotary({ dim: 64, theta: 10000, layout: 'halves' }), causal: true });
  const body = out.toArray();
  // What is kept is the table of cosines and sines, for the next request.
  for (const tensor of [q, k, v, out]) tensor.dispose();
  return new Response(body);
}

const body = Float32Array.from({ length: 3 * 2 * 16 * 64 }, (_, n) => Math.sin(n));
// Node loads its Request and Response when they are first used; that is not ours to count.
await new Response(await new Request('http://localhost/', { method: 'POST', body }).arrayBuffer()).arrayBuffer();
for (const name of ['first request', 'second request']) {
  const request = new Request('http://localhost/', { method: 'POST', body });
  const started = performance.now();
  const response = await handle(request);
  const { byteLength } = await response.arrayBuffer();
  console.log(`${name}: status ${response.status}, ${byteLength} bytes in ${(performance.now() - started).toFixed(1)} ms`);
}
const { used, reserved } = engine.memoryUsage();
console.log(`memory: ${used} bytes in use, ${reserved} reserved`);
