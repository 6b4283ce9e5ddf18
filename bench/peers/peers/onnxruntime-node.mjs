/** onnxruntime-node: the native library, for orientation; it is no WebAssembly peer. */
import * as ort from 'onnxruntime-node';
import { onnxruntimePeer } from '../lib/onnxruntime.mjs';
import { packageVersion } from '../lib/packages.mjs';

export function createPeer({ threads }) {
  ort.env.logLevel = 'error';
  const peer = onnxruntimePeer({
    name: 'onnxruntime-node',
    version: packageVersion('onnxruntime-node'),
    threads,
    ort,
    sessionOptions: { executionProviders: ['cpu'], intraOpNumThreads: threads, interOpNumThreads: 1 },
  });
  return { ...peer, native: true };
}
