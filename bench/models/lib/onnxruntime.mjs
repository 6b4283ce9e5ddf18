/** Sessions of onnxruntime-web: that of ../peers, where the encoder of graphs is too. */
import { encodeModel } from '../../peers/lib/onnx-model.mjs';
import { packageVersion } from '../../peers/lib/packages.mjs';
import { ort } from '../../peers/lib/web.mjs';

export { ort };

export const version = packageVersion('onnxruntime-web');

/** What this package calls the kinds of weights that relpos has names for. */
export const KIND = { f32: 'f32', i8: 'int8', i4: 'q4' };

/** @returns an entry's common part with its session */
export async function onnxSession(graph, { weights, threads = 1, variant }) {
  ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(encodeModel(graph), { executionProviders: ['wasm'], logSeverityLevel: 3 });
  return {
    peer: 'onnxruntime-web',
    version,
    weights,
    threads,
    variant: `${KIND[weights]}, ${variant}`,
    session,
    dispose: () => session.release(),
  };
}

/** A tensor of token numbers. */
export const tokens = (ids, dims = [1, ids.length]) => new ort.Tensor('int32', Int32Array.from(ids), dims);
