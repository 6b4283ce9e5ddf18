// A worker that one text ends, as a fault of the machine's own code would: no error is heard, the process is gone.
//   node fragile-worker.mjs <redis> <model> <digest>
import process from 'node:process';
import { loadEncoder } from 'relpos/models';
import { redisStore, startWorker } from '../../dist/index.js';

const [url, folder, model] = process.argv.slice(2);
const encoder = await loadEncoder(folder);
const fragile = {
  embed(texts, options) {
    if (texts.includes('POISON')) process.kill(process.pid, 'SIGKILL');
    return encoder.embed(texts, options);
  },
};
await startWorker({ redis: { url }, encoder: fragile, model: { model, weights: 'default' }, store: redisStore, lockMs: 1000, warn() {} });
