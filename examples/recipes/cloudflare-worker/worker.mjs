import { createEngineSync } from 'relpos';
import { answer } from '../answer.mjs';

let engine; // Made with the first request and kept for all that follow.

export default {
  fetch(request) {
    engine ??= createEngineSync({ maxMemory: 64 * 2 ** 20 }); // An isolate has 128 MB.
    return answer(engine, request);
  },
};
