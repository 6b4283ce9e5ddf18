/**
 * relpos on BullMQ: a corpus embedded by the workers of a queue, and attention over keys that no machine holds.
 */
export { type Chunk, type Context, planChunks } from './attention/context.ts';
export { type HostAnswer, type ShardHostOptions, startShardHost } from './attention/host.ts';
export { type MergeAnswer, startMerger } from './attention/merger.ts';
export type { ProcessOptions } from './attention/process.ts';
export type { NamedEncoding, ShardedOptions } from './attention/request.ts';
export {
  type ContextAddress,
  type KeysAndValues,
  type PublishOptions,
  ShardedAttention,
  type ShardedResult,
} from './attention/sharded-attention.ts';
export { type Computer, localComputer, type ShardWork } from './bulk/computer.ts';
export { type Corpus, type CorpusOptions, type Item, openCorpus } from './bulk/corpus.ts';
export { embedCorpus, type Progress, type RunOptions, type RunResult } from './bulk/embed-corpus.ts';
export { fetchModel, type Manifest, manifestOf } from './bulk/model.ts';
export { type IndexEntry, OutFolder } from './bulk/out-folder.ts';
export { QueueComputer, type QueueComputerOptions } from './bulk/queue-computer.ts';
export { readSettings, type Settings } from './bulk/settings.ts';
export { decodeVectors, type SetAside, type Vectors } from './bulk/vectors.ts';
export { startWorker, type WorkerOptions, type Working } from './bulk/worker.ts';
export { connect, type RedisAddress } from './redis.ts';
export { folderStore } from './store/folder-store.ts';
export { redisStore } from './store/redis-store.ts';
export type { Store } from './store/store.ts';
