/**
 * The program of a worker that is started from a URL, for pages whose Content-Security-Policy allows no others:
 *
 * ```ts
 * createEngine({ worker: () => new Worker(new URL('relpos/worker', import.meta.url), { type: 'module' }) });
 * ```
 *
 * It answers only messages that relpos sends, so it may be bundled with a worker of your own.
 */
import { assertOwned, ownerPort } from '../platform/inside.ts';
import { serve } from './serve.ts';

assertOwned();
serve(ownerPort());
