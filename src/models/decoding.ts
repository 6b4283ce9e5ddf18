// What a runner has for decoders alone, loaded with the first one.

export { DecoderProgram } from './decoder.ts';
export { Sequences } from './sequences.ts';
export { Session } from './session.ts';
export { cacheBytes } from './text-cache.ts';
