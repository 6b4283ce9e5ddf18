// What goes wrong while a checkpoint is loaded, as errors: one line each that says which call, which file, and what was expected.

import { RelposError } from '../arguments/errors.ts';

/** A file that breaks its format, or does not fit the others: `loadEncoder: "model.safetensors": …`. */
export function broken(where: string, file: string, what: string, cause?: unknown): RelposError {
  return new RelposError('bad-checkpoint', `${where}: "${file}": ${what}`, cause === undefined ? {} : { cause });
}

/** Weights of what is loaded to continue texts, and cannot. */
export const headless = (where: string, { modelType }: { readonly modelType: string }): RelposError =>
  broken(
    where,
    'model.safetensors',
    `it has no head that gives logits ("${HEADS[modelType] ?? 'lm_head.weight'}"), and config.json does not tie it to the embeddings`,
  );

/** What the families call it that do not call it so. */
const HEADS: Readonly<Record<string, string>> = { gpt_neox: 'embed_out.weight' };

/** A file that is there, as far as is known, and cannot be read. */
export function unreadable(where: string, file: string, why: string, cause?: unknown): RelposError {
  return new RelposError('unreadable', `${where}: "${file}" cannot be read: ${why}`, cause === undefined ? {} : { cause });
}

/** What was thrown, in words. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const cause = error instanceof Error ? error.cause : undefined;
  // Hosts hide what happened to a connection behind "fetch failed" and "terminated".
  return cause instanceof Error && cause.message !== '' ? `${text} (${cause.message})` : text;
}
