import { createEngine } from 'relpos';
import { reply } from './reply.mjs';

// Made while the instance starts; every invocation finds it warm.
const engine = await createEngine({ maxMemory: 256 * 2 ** 20 });

export const handler = (event) => reply(engine, event);
