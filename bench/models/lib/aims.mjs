/** What relpos is meant to be over the fastest row of another package, with the same kind of weights, and what a run came to. */

const WEB = 'onnxruntime-web';

const KINDS = { i8: 'int8', f32: 'f32', i4: 'int4' };

/** @param row of rows.mjs; @param aims of Node 24 and Node 20, where there are some */
const aim = (work, row, weights, node24, node20) => ({ work: `${work}, ${KINDS[weights]}`, row, weights, aims: { node24, node20 } });

export const AIMS = [
  aim('MiniLM shape, 16 tokens', 'minilm/16', 'i8', 2.5, 1.2),
  aim('MiniLM shape, 64 tokens', 'minilm/64', 'i8', 2.2, 1.2),
  aim('MiniLM shape, 256 tokens', 'minilm/256', 'i8', 2.3, 1.4),
  aim('MiniLM shape, 16 tokens', 'minilm/16', 'f32', 1.2),
  aim('MiniLM shape, 64 tokens', 'minilm/64', 'f32', 1.3),
  aim('MiniLM shape, 256 tokens', 'minilm/256', 'f32', 1.5),
  aim('MiniLM shape, 16 tokens', 'minilm/16', 'i4'),
  aim('MiniLM shape, 64 tokens', 'minilm/64', 'i4'),
  aim('MiniLM shape, 256 tokens', 'minilm/256', 'i4'),
  aim('MiniLM shape, 32 short texts', 'minilm/batch', 'i8'),
  aim('MiniLM shape, 32 short texts', 'minilm/batch', 'f32'),
  aim('BGE-small shape, 64 tokens', 'bge-small/64', 'i8'),
  aim('BGE-small shape, 64 tokens', 'bge-small/64', 'f32'),
  aim('DeBERTa-v3-xsmall shape, 64 tokens', 'deberta-v3-xsmall/64', 'i8'),
  aim('DeBERTa-v3-xsmall shape, 64 tokens', 'deberta-v3-xsmall/64', 'f32'),
  aim('DeBERTa-v3-xsmall shape, 256 tokens', 'deberta-v3-xsmall/256', 'i8'),
  aim('DeBERTa-v3-xsmall shape, 256 tokens', 'deberta-v3-xsmall/256', 'f32'),
  aim('SmolLM2-135M shape, prefill 128', 'smollm2-135m/prefill-128', 'i8', 3.3),
  aim('SmolLM2-135M shape, a token', 'smollm2-135m/decode', 'i8', 3),
  aim('SmolLM2-135M shape, prefill 128', 'smollm2-135m/prefill-128', 'i4'),
  aim('SmolLM2-135M shape, a token', 'smollm2-135m/decode', 'i4', 10),
  aim('stories15M shape, prefill 128', 'stories15m/prefill-128', 'i8'),
  aim('stories15M shape, a token', 'stories15m/decode', 'i8'),
  aim('stories15M shape, prefill 128', 'stories15m/prefill-128', 'f32'),
  aim('stories15M shape, a token', 'stories15m/decode', 'f32'),
  aim('stories15M shape, a token', 'stories15m/decode', 'i4'),
  aim('T5-small shape, 64 tokens to 32', 't5-small/64-to-32', 'i8'),
  aim('T5-small shape, 64 tokens to 32', 't5-small/64-to-32', 'f32'),
];

/** Two threads over one, of relpos alone: rows of threads.mjs. */
export const SCALING = [
  { work: 'MiniLM shape, 64 tokens, int8: 2 threads over 1', row: 'threads/minilm-64', aim: 1.7 },
  { work: 'MiniLM shape, 256 tokens, int8: 2 threads over 1', row: 'threads/minilm-256' },
  { work: 'SmolLM2-135M shape, a token, int8: 2 threads over 1', row: 'threads/smollm2-135m-decode', aim: 1.4 },
];

/** The ratio of one row of a run; undefined if it did not run. */
export function scalingOf({ results }, { row }, time = 'medianMs') {
  const rows = results.find(({ id }) => id === row)?.rows ?? [];
  const [one, two] = [1, 2].map((threads) => rows.find((own) => own.threads === threads));
  return one && two ? one[time] / two[time] : undefined;
}

/** What is meant to be small: `at` finds it in the result of a row, `other` the same of onnxruntime-web. */
export const LIMITS = [
  {
    work: 'import to the first vector, MiniLM shape, int8, 64 tokens',
    row: 'cold',
    unit: 'ms',
    most: 150,
    of: ({ cold }, name) => cold[name].totalMs,
  },
  { work: 'resident after it', row: 'cold', unit: 'MB', most: 120, of: ({ cold }, name) => cold[name].residentMB },
  {
    work: 'bytes of code and kernels that it takes, gzip (of onnxruntime-web without a tokenizer)',
    row: 'bytes',
    unit: 'kB',
    most: 120,
    of: ({ shipped }, name) => shipped.find((one) => one.name === name).gzip / 1000,
  },
];

/** Every limit that a run has a result for: `{ work, unit, most, own, other }`. */
export const limitsOf = ({ results }) =>
  LIMITS.flatMap(({ row, of, ...limit }) => {
    const result = results.find(({ id }) => id === row);
    return result ? [{ ...limit, own: of(result, 'relpos'), other: of(result, WEB) }] : [];
  });

const fastest = (rows, time) => rows.reduce((best, row) => (best && best[time] <= row[time] ? best : row), undefined);

/** @returns `{ own, other, ratio, aim }` of a run's fastest rows; without a ratio where one of the two did not run */
export function cellOf({ host, results }, { row, weights, against = WEB, aims }, time = 'medianMs') {
  const rows = (results.find(({ id }) => id === row)?.rows ?? []).filter((one) => one.weights === weights && one.threads === 1);
  const own = fastest(
    rows.filter(({ peer }) => peer === 'relpos'),
    time,
  );
  const other = fastest(
    rows.filter(({ peer }) => peer === against),
    time,
  );
  return { own, other, ratio: own && other ? other[time] / own[time] : undefined, aim: aims[host] };
}

/** Every aim that a run has a ratio for, with a cell for each run. */
export function tableOf(runs, time) {
  return AIMS.map((one) => ({ work: one.work, cells: runs.map((run) => cellOf(run, one, time)) })).filter(({ cells }) =>
    cells.some(({ ratio }) => ratio !== undefined),
  );
}
