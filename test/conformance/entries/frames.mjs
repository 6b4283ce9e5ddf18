// How a page draws while a call runs.

const CALL_MS = 2000;
const [L, D] = [2048, 64];
const MOST_HEADS = 256;

/** A call of attention of so many heads, and when it began and ended. */
async function timed(engine, heads) {
  const x = engine.tensor([1, heads, L, D], new Float32Array(heads * L * D).fill(0.5));
  const began = performance.now();
  const out = await engine.attention(x, x, x, { causal: false });
  const ended = performance.now();
  for (const tensor of [x, out]) tensor.dispose();
  return { began, ended };
}

/** Notes when frames are drawn, until `stop`. */
function watchFrames() {
  const times = [];
  let next = requestAnimationFrame(function frame() {
    times.push(performance.now());
    next = requestAnimationFrame(frame);
  });
  return { times, stop: () => cancelAnimationFrame(next) };
}

/** Frames a second and the longest time without one during a call of about two seconds. */
export async function framesDuringCall({ createEngine }, threads) {
  const engine = await createEngine({ threads });
  // One call to warm up and one to learn how long a head takes.
  await timed(engine, 4);
  const { began: first, ended: last } = await timed(engine, 8);
  const heads = Math.min(MOST_HEADS, Math.max(8, Math.round((8 * CALL_MS) / (last - first))));
  const { times, stop } = watchFrames();
  await new Promise((resolve) => setTimeout(resolve, 200));
  const { began, ended } = await timed(engine, heads);
  stop();
  const { capabilities } = engine;
  engine.dispose();
  const drawn = times.filter((time) => time > began && time < ended);
  const moments = [began, ...drawn, ended];
  const gaps = moments.slice(1).map((time, n) => time - moments[n]);
  return {
    threads: capabilities.threads,
    callMs: ended - began,
    perSecond: (1000 * drawn.length) / (ended - began),
    longestGapMs: Math.max(...gaps),
  };
}
