// The names that every entry of relpos/models has beside the functions that load.

export type { AttentionMap, AttentionMapOptions } from './attention-map.ts';
export type { Blueprint } from './blueprint.ts';
export type { ChatMessage, ChatOptions, Jinja } from './chat.ts';
export { Decoder, type Prompt } from './decoder-model.ts';
export { Session } from './decoder-session.ts';
export { type CallOptions, type EmbedOptions, Encoder, type Filling, type TextPair } from './encoder-model.ts';
export type { ModelEstimate } from './estimate.ts';
export type { Finish, GenerateOptions, IndexedPiece } from './generation.ts';
export type { ClassifyOptions, ImageClassifier, ImageInput, ImageLoadOptions, ImagePixels } from './image-classifier.ts';
export type { Label } from './labels.ts';
export type { CheckpointEstimate, LoadOptions, OpenOptions } from './load.ts';
export type { Packed, PackOptions } from './pack.ts';
export type { PackTarget } from './pack-target.ts';
export type { Pooling } from './sentence-files.ts';
export { Seq2Seq } from './seq2seq-model.ts';
export type { Fetch } from './source.ts';
export type { BlobLike, FileLike, GivenFiles } from './source-files.ts';
export type { CheckpointSource } from './source-of.ts';
export type { ObjectStore, StoredObject, StoreRange } from './source-store.ts';
export type { DecodeOptions, Encoded, EncodeOptions, SpecialRole, SpecialToken, Tokenizer } from './tokenizer.ts';
export type { VisionBlueprint } from './vision.ts';
export type { LoadProgress } from './weights.ts';
