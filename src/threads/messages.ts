/** What a group and its owner post to each other. Every message has the key `relpos`: a worker bundled with others ignores all else. */

import type { WasmMemory, WasmModule } from '../platform/types.ts';

/** A module and the names of its kernels. A stage says which one it runs by its index among the kernels of all modules. */
interface StartModule {
  readonly module: WasmModule;
  readonly kernels: readonly string[];
}

/** Owner to worker, once. */
export interface Start {
  readonly relpos: 'start';
  readonly memory: WasmMemory;
  readonly modules: readonly StartModule[];
  /** Byte offset of the control block. */
  readonly control: number;
  readonly generation: number;
  /** This worker's number, from 1. */
  readonly worker: number;
  /** Turns to spin for the next job before sleeping; for an earlier stage `looksOf` of these. */
  readonly spins: number;
  /** Name of the lock that tells the owner of this worker's end (life.ts), where the host has locks. */
  readonly life?: string | undefined;
}

/**
 * Worker to owner: it has started, and whether it holds its lock; it could not start; the last thread has left a gate at which a message was
 * asked for.
 */
export type Report =
  | { readonly relpos: 'ready'; readonly held: boolean }
  | { readonly relpos: 'failed'; readonly why: string }
  | { readonly relpos: 'empty' };

export function isStart(message: unknown): message is Start {
  return (message as Partial<Start> | null)?.relpos === 'start';
}

export function isReport(message: unknown): message is Report {
  const kind = (message as Partial<Report> | null)?.relpos;
  return kind === 'ready' || kind === 'failed' || kind === 'empty';
}
