/** onnxruntime-web on its WebAssembly provider. The bare import resolves to the node bundle, the only one that threads in Node. */
import * as ort from 'onnxruntime-web';
import { encodeModel } from '../lib/onnx-model.mjs';
import { onnxruntimePeer } from '../lib/onnxruntime.mjs';
import { packageVersion } from '../lib/packages.mjs';

const sessionOptions = { executionProviders: ['wasm'] };

const IDENTITY = {
  nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['out'] }],
  inputs: { x: { data: new Float32Array(1), dims: [1] } },
  outputs: ['out'],
};

/**
 * Starts the runtime, which happens with the first session, and undoes its side effect: it leaves Node's Worker behind as a
 * global, which jax-js would take for a browser's.
 */
async function startRuntime() {
  const hadWorker = 'Worker' in globalThis;
  const session = await ort.InferenceSession.create(encodeModel(IDENTITY), sessionOptions);
  await session.release();
  if (!hadWorker) delete globalThis.Worker;
}

export async function createPeer({ threads }) {
  ort.env.wasm.numThreads = threads;
  await startRuntime();
  return onnxruntimePeer({
    name: 'onnxruntime-web',
    version: packageVersion('onnxruntime-web'),
    threads,
    ort,
    sessionOptions,
  });
}
