// A run of a decoder: some tokens more for one text or for several, one job of all layers. Rows of all texts go through the linear layers together,
// each text's rows through an attention of their own; what a row comes to does not depend on the others.

import type { Tensor } from '../memory/tensor.ts';
import type { Program } from '../prepared/program.ts';
import { jobOf } from '../threads/job.ts';
import type { Job, Stage } from '../threads/types.ts';
import type { DecoderProgram } from './decoder.ts';
import type { AttentionProgram } from './layer-program.ts';
import type { Rows } from './rows.ts';
import { writing } from './workspace.ts';

/** How a part of a run ends: well, or not. */
export interface RunEnd {
  commit(): void;
  fail(): void;
}

/** An attention that the run of a next token begins again. */
export interface Again extends RunEnd {
  readonly program: Program;
  readonly stages: readonly Stage[];
}

/** Rows of a run that belong to one text. */
export interface Span {
  readonly first: number;
  readonly rows: number;
  /** Tokens of the text when those that follow in the same call have come too, if any follow. */
  readonly whole?: number | undefined;
}

/** A text, as a run needs it. */
export interface RunText {
  /** Tokens so far. */
  readonly length: number;
  /** Forgets the rows of the last run, which are written over. */
  forget(): void;
  /** The stages of a layer's attention, from qkv to at. */
  attend(layer: number, program: AttentionProgram, span: Span, ends: RunEnd[]): readonly Stage[];
  attendCross(layer: number, program: AttentionProgram, span: Span, ends: RunEnd[]): readonly Stage[];
}

/** Tokens that a text is to have more. */
export interface Part {
  readonly text: RunText;
  readonly ids: readonly number[];
  /** How many follow in the same call; default none. */
  readonly rest?: number;
}

/** A run that is about to begin, which leaves … */
export interface Run extends RunEnd {
  readonly job: Job;
  /** Of one row, what the next one begins again, in the order of the layers. */
  readonly ends: readonly RunEnd[];
  /** … rows after the last norm, from row `first` on: of all tokens, or of the last one of each text; */
  readonly hidden: Tensor;
  readonly first: number;
  /** logits of the last token of each text, [texts, vocabulary], until the next run. */
  readonly logits: Tensor | undefined;
}

/** What is wanted of a run: nothing but keys and values, rows of all tokens, or those of the last one of each text and its logits. */
export type Wanted = 'keys' | 'rows' | 'logits';

/** Prepares a run of CHUNK rows at most. @throws as attention, having changed nothing but what the texts kept of the last run */
export function beginRun(decoder: DecoderProgram, parts: readonly Part[], wanted: Wanted): Run {
  const { program, workspace } = decoder;
  decoder.latest = undefined;
  for (const { text } of parts) text.forget();
  const ids = parts.flatMap((part) => part.ids);
  const positions = parts.flatMap(({ text: { length }, ids: own }) => own.map((_, n) => length + n));
  const spans: (Span & { readonly text: RunText })[] = [];
  for (const { text, ids: own, rest } of parts) {
    const before = spans.at(-1);
    const whole = rest && text.length + own.length + rest;
    spans.push({ text, first: before ? before.first + before.rows : 0, rows: own.length, ...(whole && { whole }) });
  }
  const ends: RunEnd[] = [];
  const fail = (): void => {
    for (const each of ends) each.fail();
  };
  try {
    const end = ending(decoder, spans, wanted);
    const stages: Stage[] = [
      ...program.embed(ids.length, { ids, positions }, workspace),
      ...program.run(
        ids.length,
        workspace,
        (layer) => (part) => spans.flatMap((span) => span.text.attend(layer, part, span, ends)),
        (layer) => (part) => spans.flatMap((span) => span.text.attendCross(layer, part, span, ends)),
      ),
      ...end.stages,
    ];
    const commit = (): void => {
      for (const each of ends) each.commit();
    };
    return { ...end, ends, job: jobOf(writing(stages, workspace.outputs)), commit, fail };
  } catch (error) {
    fail();
    throw error;
  }
}

/** What follows the last layer. */
function ending(
  decoder: DecoderProgram,
  spans: readonly Span[],
  wanted: Wanted,
): Pick<Run, 'hidden' | 'first' | 'logits'> & { readonly stages: readonly Stage[] } {
  const { program, workspace } = decoder;
  const behind = ({ at, stride }: Rows, n: number): Rows => ({ at: at + n * stride, stride });
  const [x, y, z] = [workspace.rows('x'), workspace.rows('y'), workspace.rows('z')];
  const rows = spans.reduce((sum, span) => sum + span.rows, 0);
  // Rows of one text are taken where they lie, and so are those of several that have one each; else the last ones are brought together.
  const apart = wanted === 'logits' && spans.length > 1 && rows > spans.length;
  const first = wanted === 'logits' && spans.length === 1 ? rows - 1 : 0;
  const count = wanted === 'logits' ? spans.length : rows;
  const from = apart ? y : behind(x, first);
  const last = program.finish(count, from, behind(z, first));
  const head = wanted === 'logits' ? decoder.logits?.stages(count, last.out) : undefined;
  const gathered = apart ? [decoder.gather(spans.map((span) => span.first + span.rows - 1))] : [];
  return {
    hidden: workspace.tensor(last.out.at !== from.at ? 'z' : apart ? 'y' : 'x'),
    first,
    logits: head?.out,
    stages: [...gathered, ...(wanted === 'keys' ? [] : last.stages), ...(head?.stages ?? [])],
  };
}
