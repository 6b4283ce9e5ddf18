/** Rows of relpos on two threads against one: an encoder's text, and tokens that a decoder writes; int8. Every bit is the same, whatever the threads. */
import { checkpoint } from './checkpoints.mjs';
import { ownEntry as ownDecoder } from './decoders.mjs';
import { ownEntry as ownEncoder } from './encoders.mjs';
import { runRow } from './run-row.mjs';
import { textOf, words } from './texts.mjs';

const VARIANTS = [1, 2].map((threads) => ({ weights: 'i8', precision: 'int16', threads }));

async function encoders(model, folder, { tokens }) {
  const texts = [textOf(model, tokens)];
  return Promise.all(
    VARIANTS.map(async (variant) => {
      const { with: bind, ...entry } = await ownEncoder(model, folder, variant);
      const { run, hidden } = bind(texts);
      return { ...entry, run, output: hidden };
    }),
  );
}

async function decoders(model, folder, { prompt, steps }) {
  const ids = words(prompt, model.config.vocab_size, 3);
  return Promise.all(
    VARIANTS.map(async (variant) => {
      const entry = await ownDecoder(model, folder, variant, prompt + 64);
      return { ...entry, ...(steps ? await entry.next(ids) : entry.first(ids)), output: () => entry.output(ids) };
    }),
  );
}

export async function runRows(model, rows, budget, report) {
  const folder = checkpoint(model);
  for (const row of rows) {
    const contenders = await (model.kind === 'encoder' ? encoders : decoders)(model, folder, row);
    const reference = (await contenders[0].output()).slice();
    report(await runRow(row, contenders, reference, budget));
    for (const { end, dispose } of contenders) {
      end?.();
      dispose();
    }
  }
}
