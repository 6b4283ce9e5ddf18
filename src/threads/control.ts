import type { WasmMemory } from '../platform/types.ts';
import type { NamedStage } from './types.ts';

/**
 * The control block: 384 words (1536 bytes, 64-byte aligned) of shared memory through which the caller and its workers speak. What
 * different threads write at the same time lies on lines of its own.
 *
 * ```
 * byte   word
 *    0     0  GATE        one word that says everything about who may work (gate.ts)
 *   64    16  NEXT        next tile to take, counted through all stages; ENDED: the job is stopped
 *          17  DONE        tiles finished, of all stages
 *          18  SLOT        next free thread number, hence scratch, of this job
 *          19  STOPPED     1: tiles are left where they are, between two steps
 *          20  BELL        rung when a stage is done and when the job is stopped: who waits for a stage sleeps on this word
 *  128    32  STAGE       the first stage, as each of the list:            ┐
 *                          index into the group's list of kernels          │
 *          33              pointer of the parameter block                  │
 *          34              tiles                                           │
 *          35              steps of a tile                                 │ written while the gate is shut and nobody is inside
 *          36  SCRATCH     pointer of thread 0's scratch                   │
 *          37  STRIDE      bytes from one thread's scratch to the next     │
 *          38  THREADS     the most threads that may take part             │
 *          39  STAGES      stages                                          │
 *          40  LIST        pointer of the list of all stages but the first ┘
 *  192    48  CALLER      the blocked caller sleeps on this word
 *          49  READY       workers that have started
 *          50  FAILED      number of the first worker whose kernel trapped, 0 for none
 *          51  TRAP_TILE   the tile of its stage that it trapped in
 *          52  TRAP_LENGTH length of the trap's message
 *  256    64  TRAP_TEXT   the message, one UTF-16 unit per half word
 *  512   128  STATES      one word for each worker: which generation it is of, and whether it may be inside (gate.ts)
 * ```
 */
export const GATE = 0;
export const NEXT = 16;
export const DONE = 17;
export const SLOT = 18;
export const STOPPED = 19;
export const BELL = 20;
export const STAGE = 32;
/** Words of a stage. */
export const STAGE_WORDS = 4;
export const SCRATCH = 36;
export const STRIDE = 37;
export const THREADS = 38;
export const STAGES = 39;
export const LIST = 40;
export const CALLER = 48;
export const READY = 49;
export const FAILED = 50;
export const TRAP_TILE = 51;
export const TRAP_LENGTH = 52;
const TRAP_TEXT = 64;
export const STATES = 128;

/** Words in a control block. */
export const CONTROL_WORDS = 384;
/** More tiles than a job has: each writes some bytes of a memory of 2^32. */
export const ENDED = 0x40000000;
/** Bytes that the owner of the memory reserves for a control block, 64-byte aligned. */
export const CONTROL_BYTES = 1536;

/** Characters of a text, between TRAP_TEXT and STATES. */
const TEXT_UNITS = 128;

/** The control block at byte `offset`. The view stays good when the memory grows: low addresses keep their bytes. */
export function controlView(memory: WasmMemory, offset: number): Int32Array {
  return new Int32Array(memory.buffer, offset, CONTROL_WORDS);
}

/** What a job is given when it runs. */
export interface Part {
  readonly threads: number;
  /** Scratch for so many, `stride` bytes each. */
  readonly at: number;
  readonly stride: number;
  /** Room for all stages but the first. */
  readonly listAt: number;
  readonly list: Int32Array;
}

/** Caller side, with the gate shut and nobody inside: sets a job down for the workers. */
export function writeJob(words: Int32Array, stages: readonly NamedStage[], { threads, at, stride, listAt, list }: Part): void {
  words[SCRATCH] = at;
  words[STRIDE] = stride;
  words[THREADS] = threads;
  words[STAGES] = stages.length;
  words[LIST] = listAt;
  for (let n = 0; n < stages.length; n++) {
    const { number, job, tiles, steps } = stages[n] as NamedStage;
    const [into, first] = n ? [list, STAGE_WORDS * (n - 1)] : [words, STAGE];
    into[first] = number;
    into[first + 1] = job;
    into[first + 2] = tiles;
    into[first + 3] = steps;
  }
}

/** Caller side, when nobody works on the job before any more: the first tile is the next. */
export function resetJob(words: Int32Array): void {
  words[FAILED] = 0;
  words[STOPPED] = 0;
  words[DONE] = 0;
  words[SLOT] = 1;
  words[NEXT] = 0;
}

/** Worker side: notes the first trap of a job; the message travels in shared memory, since a blocked caller receives no other. */
export function noteTrap(words: Int32Array, worker: number, tile: number, error: unknown): void {
  if (Atomics.compareExchange(words, FAILED, 0, worker) !== 0) return;
  const message = String(error).slice(0, TEXT_UNITS);
  const units = textView(words);
  for (let i = 0; i < message.length; i++) units[i] = message.charCodeAt(i);
  words[TRAP_TILE] = tile;
  words[TRAP_LENGTH] = message.length;
}

/** Caller side: what a worker noted, in words, once everybody has left the gate. */
export function readTrap(words: Int32Array): string | undefined {
  const worker = Atomics.load(words, FAILED);
  if (worker === 0) return undefined;
  const message = String.fromCharCode(...textView(words).slice(0, words[TRAP_LENGTH]));
  return `tile ${words[TRAP_TILE]} on worker ${worker}: ${message}`;
}

function textView(words: Int32Array): Uint16Array {
  return new Uint16Array(words.buffer, words.byteOffset + TRAP_TEXT * 4, TEXT_UNITS);
}
