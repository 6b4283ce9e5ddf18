/** The rows of the benchmark. Those of one model and one `part` run in one process; without a part, the model's kind says how. */

const encoder = (model, lengths) => lengths.map((tokens) => ({ id: `${model}/${tokens}`, model, tokens }));

/** The first token after a prompt, and the tokens after that. */
const decoder = (model, prompt) => [
  { id: `${model}/prefill-${prompt}`, model, prompt },
  { id: `${model}/decode`, model, prompt, steps: true },
];

export const ROWS = [
  ...encoder('minilm', [16, 64, 256]),
  { id: 'minilm/batch', model: 'minilm', batch: 32 },
  ...encoder('bge-small', [64]),
  ...encoder('deberta-v3-xsmall', [64, 256]),
  ...decoder('smollm2-135m', 128),
  ...decoder('stories15m', 128),
  { id: 't5-small/64-to-32', model: 't5-small', read: 64, write: 32 },
  { id: 'threads/minilm-64', model: 'minilm', part: 'threads', tokens: 64 },
  { id: 'threads/minilm-256', model: 'minilm', part: 'threads', tokens: 256 },
  { id: 'threads/smollm2-135m-decode', model: 'smollm2-135m', part: 'threads', prompt: 128, steps: true },
  { id: 'cold', model: 'minilm', part: 'cold' },
  { id: 'bytes', model: 'minilm', part: 'bytes' },
];

/** Those whose name fits one of the patterns; all where there is none. */
export function rowsOf(patterns) {
  const all = patterns.length === 0 ? [/^/] : patterns.map((pattern) => new RegExp(pattern));
  return ROWS.filter(({ id }) => all.some((pattern) => pattern.test(id)));
}
