import { attend } from './attend.js';
import { worker } from './worker.js';

// For a page whose policy allows no worker but those of its own origin.
globalThis.result = attend({ worker }).catch((error) => ({ error: String(error.stack ?? error) }));
