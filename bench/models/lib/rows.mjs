/** The rows of the benchmark. */

const encoder = (model, lengths) => lengths.map((tokens) => ({ id: `${model}/${tokens}`, model, tokens }));

export const ROWS = [
  ...encoder('minilm', [16, 64, 256]),
  { id: 'minilm/batch', model: 'minilm', batch: 32 },
  ...encoder('bge-small', [64]),
];

/** Those whose name fits one of the patterns; all where there is none. */
export function rowsOf(patterns) {
  const all = patterns.length === 0 ? [/^/] : patterns.map((pattern) => new RegExp(pattern));
  return ROWS.filter(({ id }) => all.some((pattern) => pattern.test(id)));
}
