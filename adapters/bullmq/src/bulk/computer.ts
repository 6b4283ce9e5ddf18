// Who computes shards: this machine, or workers behind a queue. Both give the same bytes.
import type { Encoder } from 'relpos/models';
import { embedItems } from './compute.ts';
import type { Item } from './corpus.ts';
import type { Settings } from './settings.ts';
import { encodeVectors } from './vectors.ts';

/** A shard to compute. */
export interface ShardWork {
  readonly name: string;
  readonly items: readonly Item[];
}

export interface Computer {
  /** The shard's file. */
  compute(work: ShardWork, signal: AbortSignal): Promise<Uint8Array>;
  /** How many shards may be under way at a time. */
  readonly ahead: number;
  /** All is computed: what is left behind goes. */
  finish(): Promise<void>;
  close(): Promise<void>;
}

/** This process alone. */
export function localComputer(encoder: Encoder, settings: Settings): Computer {
  return {
    ahead: 1,
    async compute({ name, items }, signal) {
      return encodeVectors(name, await embedItems(encoder, items, settings, signal));
    },
    async finish() {},
    async close() {
      encoder.dispose();
    },
  };
}
