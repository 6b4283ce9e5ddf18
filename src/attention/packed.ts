// Packed sequences: documents of any lengths one after another in [T, H, D], each attended to on its own, all in one job.

import { shapeText, wrongType, wrongValue } from '../arguments/check.ts';
import { isMaskTensor } from '../masks/option.ts';
import { DTYPES } from '../memory/dtypes.ts';
import { checkApart, checkOut, type Operand, type Operands, readOperand, type Shaped } from '../memory/operands.ts';
import { Scope } from '../memory/scope.ts';
import { makeTensor, type Tensor } from '../memory/tensor.ts';
import type { Call, Context } from '../plan/context.ts';
import { SMALL_WORK, threadsFor } from '../plan/work.ts';
import * as field from '../wasm/generated/job.ts';
import { type CheckedCall, checkCall } from './check-call.ts';
import type { CheckedOptions } from './options.ts';
import { placeAll, prepareChecked, stateTensor } from './prepare.ts';
import { readsOf } from './reads.ts';

/** Options that mean nothing to documents without padding. */
const FOREIGN = ['layout', 'keyLengths', 'keyOffset', 'totalKeys', 'queryOffset', 'cache'] as const;

/** Where a document's queries and keys lie. */
interface Document {
  readonly queries: readonly [number, number];
  readonly keys: readonly [number, number];
}

/** @throws RangeError if the list is not cumulative lengths: 0, …, n, never falling */
function checkRise(where: string, name: string, list: Float64Array, n: number): void {
  const fits = list.length > 0 && list[0] === 0 && list.at(-1) === n && list.every((x, i) => x >= (list[i - 1] ?? 0));
  if (!fits) throw wrongValue(where, name, `integers that rise from 0 to ${n}, the rows there are`, [...list]);
}

function documentsOf(where: string, { queryOffsets: queries, keyOffsets }: CheckedOptions, T: number, U: number): Document[] {
  if (queries === undefined) throw wrongType(where, 'queryOffsets', 'cumulative lengths beside "keyOffsets"', undefined);
  const keys = keyOffsets ?? queries;
  checkRise(where, 'queryOffsets', queries, T);
  checkRise(where, keyOffsets ? 'keyOffsets' : 'queryOffsets', keys, U);
  if (keys.length !== queries.length)
    throw wrongValue(where, 'keyOffsets', `${queries.length} numbers, as "queryOffsets" has`, `${keys.length}`);
  const span = (list: Float64Array, n: number): [number, number] => [list[n] as number, list[n + 1] as number];
  return Array.from({ length: queries.length - 1 }, (_, n) => ({ queries: span(queries, n), keys: span(keys, n) }));
}

/** A document's part of the job. */
interface Part {
  readonly document: Document;
  /** Pointer of its parameter block. */
  readonly job: number;
  readonly tiles: number;
  readonly lse: Tensor | undefined;
}

/** Rows [from, to) of [T, heads, width] as [1, n, heads, width]. */
function rowsOf(tensor: Tensor, [from, to]: readonly [number, number], scope: Scope): Tensor {
  const [row, head, channel] = tensor.strides as [number, number, number];
  const [, heads, width] = tensor.shape as [number, number, number];
  const view = tensor.restride([1, to - from, heads, width], [0, row, head, channel], from * row);
  scope.defer(() => view.dispose());
  return view;
}

function checkShapes(where: string, { q, k, v }: Record<'q' | 'k' | 'v', Operand>): { T: number; U: number; H: number; E: number } {
  if (q.shape.length !== 3) throw wrongValue(where, 'q', 'shape [T, H, D], beside "queryOffsets"', shapeText(q.shape));
  if (k.shape.length !== 3 || k.shape[2] !== q.shape[2]) throw wrongValue(where, 'k', `shape [U, G, D=${q.shape[2]}]`, shapeText(k.shape));
  if (v.shape.length !== 3 || v.shape[0] !== k.shape[0] || v.shape[1] !== k.shape[1]) {
    throw wrongValue(where, 'v', `shape [U=${k.shape[0]}, G=${k.shape[1]}, E]`, shapeText(v.shape));
  }
  const size = (operand: Operand, axis: number): number => operand.shape[axis] as number;
  return { T: size(q, 0), U: size(k, 0), H: size(q, 1), E: size(v, 2) };
}

/** Tiles of many jobs as one: its block, and how many tiles there are. */
function joinJobs(jobs: readonly Part[], scope: Scope): { at: number; tiles: number } {
  const starts = new Int32Array(jobs.length);
  const pointers = new Int32Array(jobs.length);
  let tiles = 0;
  jobs.forEach((job, n) => {
    starts[n] = tiles;
    pointers[n] = job.job;
    tiles += job.tiles;
  });
  const [startsAt, jobsAt] = [scope.upload(starts), scope.upload(pointers)];
  const at = scope.block(field.MANY_SIZE);
  scope.writer(at).int(field.MANY_COUNT, jobs.length).int(field.MANY_STARTS, startsAt).int(field.MANY_JOBS, jobsAt);
  return { at, tiles };
}

/** Documents that differ in nothing but where their rows lie have the same. */
const sizeOf = ({ queries, keys }: Document): string => `${queries[1] - queries[0]} ${keys[1] - keys[0]}`;

/** The operands of one document as a call of its own. */
function shapesOf({ q, k, v }: Required<Operands<Operand>>, { queries, keys }: Document): Required<Operands<Shaped>> {
  const part = ({ dtype, shape }: Operand, [from, to]: readonly [number, number]): Shaped => {
    return { dtype, shape: [1, to - from, shape[1] as number, shape[2] as number] };
  };
  return { q: part(q, queries), k: part(k, keys), v: part(v, keys) };
}

/** Where a document's rows lie, as fields of the job block. */
function pointersOf({ q, k, v }: Record<'q' | 'k' | 'v', Tensor>, out: Tensor, { queries, keys }: Document): (readonly [number, number])[] {
  const at = (name: number, tensor: Tensor, row: number): readonly [number, number] => {
    return [name + field.T_PTR, tensor.pointer + row * (tensor.strides[0] as number) * DTYPES[tensor.dtype].bytes];
  };
  return [at(field.Q, q, queries[0]), at(field.K, k, keys[0]), at(field.V, v, keys[0]), at(field.OUT, out, queries[0])];
}

/** The block of a document as long as another: all is the same but where its rows lie. */
function sameBlock(job: number, pointers: readonly (readonly [number, number])[], context: Context, scope: Scope): number {
  const at = scope.allocate(field.JOB_SIZE);
  new Uint8Array(context.arena.memory.buffer).copyWithin(at, job, job + field.JOB_SIZE);
  const writer = scope.writer(at);
  for (const [name, pointer] of pointers) writer.int(name, pointer);
  return at;
}

/** Checks a call on packed sequences and gets everything ready for it. @throws before anything is changed */
export function preparePacked(
  context: Context,
  where: string,
  q: unknown,
  k: unknown,
  v: unknown,
  given: CheckedOptions,
  withLse: boolean | Tensor,
): Call {
  context.alive();
  const operands = {
    q: readOperand(where, 'q', q, context),
    k: readOperand(where, 'k', k, context),
    v: readOperand(where, 'v', v, context),
  };
  for (const name of FOREIGN) {
    if (given[name] !== undefined) throw wrongValue(where, name, 'nothing beside "queryOffsets"', 'a value');
  }
  if (given.mask?.some(({ value }) => isMaskTensor(value))) throw wrongType(where, 'mask', 'no tensor beside "queryOffsets"', 'a tensor');
  const { T, U, H, E } = checkShapes(where, operands);
  const documents = documentsOf(where, given, T, U);
  const { queryOffsets: _, keyOffsets: __, out: wanted, signal, onProgress, ...options } = given;
  const out = wanted === undefined ? undefined : checkOut(where, wanted, [T, H, E], context);
  const cost = ({ queries, keys }: Document): number => (queries[1] - queries[0]) * (keys[1] - keys[0]);
  // The largest first: its tables hold those of all, and small tiles fill the gaps at the end.
  const order = documents.length ? [...documents].sort((a, b) => cost(b) - cost(a)) : [{ queries: [0, 0], keys: [0, 0] } as const];
  /** One for every size; documents of the same share it. */
  const checked = new Map<string, CheckedCall>();
  for (const document of order) {
    if (checked.has(sizeOf(document))) continue;
    const one = checkCall(context, where, shapesOf(operands, document), { ...options, layout: 'blhd' });
    if (out) checkApart(where, out, readsOf(operands, options, one.placed));
    checked.set(sizeOf(document), one);
  }
  const scope = new Scope(context.arena);
  let target: Tensor | undefined;
  let lse: Tensor | undefined;
  const calls = new Map<string, Call>();
  const parts: Part[] = [];
  const dispose = (): void => {
    for (const call of calls.values()) call.release(true);
    if (target !== out) target?.dispose();
    if (lse !== withLse) lse?.dispose();
  };
  try {
    const tensors = placeAll(where, operands, context, scope) as Required<Operands>;
    target = out && !(signal ?? onProgress) ? out : makeTensor(context, where, [T, H, E], undefined, out?.dtype ?? 'f32');
    lse = stateTensor(context, where, [H, T], withLse);
    for (const tensor of Object.values(tensors)) scope.defer(tensor.pin());
    if (out) scope.defer(out.pin());
    let bytes = 0;
    let work = 0;
    const borrow = (size: number): void => {
      bytes = Math.max(bytes, size);
    };
    for (const document of order) {
      const { queries, keys } = document;
      const size = sizeOf(document);
      const pointers = pointersOf(tensors, target, document);
      const own = lse && scope.own(makeTensor(context, where, [H, queries[1] - queries[0]]));
      const like = calls.get(size);
      if (like) {
        const job = sameBlock(like.job.job, [...pointers, [field.LSE, own ? own.pointer : 0]], context, scope);
        parts.push({ document, job, tiles: like.job.tiles, lse: own });
      } else {
        const [x, y, z] = [rowsOf(tensors.q, queries, scope), rowsOf(tensors.k, keys, scope), rowsOf(tensors.v, keys, scope)];
        const shared = { scope, out: rowsOf(target, queries, scope), borrow };
        const call = prepareChecked(context, checked.get(size) as CheckedCall, { q: x, k: y, v: z }, false, shared);
        calls.set(size, call);
        scope.writer(call.job.job).int(field.LSE, own ? own.pointer : 0);
        parts.push({ document, job: call.job.job, tiles: call.job.tiles, lse: own });
      }
      work += 4 * H * cost(document) * Math.max(E, tensors.q.shape[2] as number);
    }
    const { at, tiles } = joinJobs(parts, scope);
    const threads = threadsFor(work, SMALL_WORK, tiles, context.threads);
    const steps = Math.max(...Array.from(calls.values(), (call) => call.job.steps ?? 1));
    const [result, states] = [target, lse];
    return {
      preparations: [...calls.values()].flatMap((call) => call.preparations),
      job: { kernel: 'attendMany', job: at, tiles, steps, scratch: bytes, threads, outputs: lse ? [target, lse] : [target] },
      finish() {
        for (const call of calls.values()) call.finish();
        for (const part of parts) {
          if (states && part.lse) gather(states, part.lse, part.document.queries);
        }
        if (out && result !== out) {
          out.set(result.view());
          result.dispose();
        }
        return { out: out ?? result, ...(states && { lse: states }) };
      },
      release(failed) {
        scope.release();
        if (failed) dispose();
      },
    };
  } catch (error) {
    scope.release();
    dispose();
    throw error;
  }
}

/** Puts the [H, n] of a document into its columns of [H, T]. */
function gather(all: Tensor, part: Tensor, range: readonly [number, number]): void {
  const columns = all.slice(null, range);
  try {
    columns.set(part.view() as Float32Array);
  } finally {
    columns.dispose();
  }
}
