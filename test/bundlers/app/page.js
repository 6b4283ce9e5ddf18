import { attend } from './attend.js';

// index.html?precision=relaxed asks for the other kernels.
const precision = new URLSearchParams(location.search).get('precision') ?? 'reproducible';
globalThis.result = attend({ precision }).catch((error) => ({ error: String(error.stack ?? error) }));
