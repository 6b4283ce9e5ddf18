// How a page draws while a call runs.

const CALL_MS = 2200;
const [L, D] = [2048, 64];
const CALIBRATION_HEADS = 8;
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

/** Frames a second and the longest time without one during a call of two seconds or more. */
export async function framesDuringCall({ createEngine }, threads) {
  const engine = await createEngine({ threads });
  // How long a head takes at best, once the kernels are warm.
  let fastest = Infinity;
  for (let n = 0; n < 4; n++) {
    const { began, ended } = await timed(engine, CALIBRATION_HEADS);
    fastest = Math.min(fastest, ended - began);
  }
  const heads = Math.min(MOST_HEADS, Math.ceil((CALIBRATION_HEADS * CALL_MS) / fastest));
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
