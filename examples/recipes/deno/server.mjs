// deno serve server.mjs, or bun server.mjs
import { createEngine } from 'relpos';
import { answer } from '../answer.mjs';

const engine = await createEngine({ maxMemory: 256 * 2 ** 20 }); // One for all requests, on all cores.

export default { fetch: (request) => answer(engine, request) };
