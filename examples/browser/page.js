// The page stays responsive while it computes: its own thread works in slices of a few milliseconds.
import { createEngine, rotary } from '/dist/index.js';

const [host, run, stop, progress, result] = ['host', 'run', 'stop', 'progress', 'result'].map((id) => document.getElementById(id));

const engine = await createEngine();
const { runtime, version, threads, reason } = engine.capabilities;
host.textContent = `${runtime} ${version}: ${threads} thread(s)${reason ? `, because ${reason}` : ''}`;

const [H, L, D] = [12, 1024, 64];
const [q, k, v] = [1, 2, 3].map((seed) => engine.tensor([1, H, L, D], Float32Array.from({ length: H * L * D }, (_, n) => Math.sin(n * seed))));
const encoding = rotary({ dim: D, theta: 10000, layout: 'halves' });

let abort;
stop.onclick = () => abort?.abort();
run.onclick = async () => {
  abort = new AbortController();
  [run.disabled, stop.disabled] = [true, false];
  const started = performance.now();
  try {
    const out = await engine.attention(q, k, v, {
      encoding,
      causal: true,
      signal: abort.signal,
      onProgress: ({ done, total }) => {
        progress.value = done / total;
      },
    });
    out.dispose();
    progress.value = 1;
    result.textContent = `${(performance.now() - started).toFixed(0)} ms`;
  } catch (error) {
    result.textContent = error.name === 'AbortError' ? 'stopped' : String(error);
  }
  [run.disabled, stop.disabled] = [false, true];
};
run.disabled = false;
