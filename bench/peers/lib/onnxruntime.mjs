/** What the two onnxruntime peers have in common: they run the same graphs through the same interface. */
import { onnxGraphs } from './onnx-graphs.mjs';
import { encodeModel } from './onnx-model.mjs';

const TENSOR_TYPES = new Map([[Float32Array, 'float32']]);

const feed = (ort, { data, dims }) => new ort.Tensor(TENSOR_TYPES.get(data.constructor), data, dims);

async function prepareGraph(ort, sessionOptions, graph) {
  const session = await ort.InferenceSession.create(encodeModel(graph), sessionOptions);
  const feeds = Object.fromEntries(Object.entries(graph.inputs).map(([name, tensor]) => [name, feed(ort, tensor)]));
  return {
    variant: graph.variant,
    layout: graph.layout,
    repeat: graph.repeat,
    run: async () => (await session.run(feeds, graph.fetches)).out.data,
    dispose: () => session.release(),
  };
}

/** @returns a peer (see main.mjs) that runs every graph of a case */
export function onnxruntimePeer({ name, version, threads, ort, sessionOptions }) {
  return {
    name,
    version,
    threads,
    prepare: (testCase, inputs) => ({
      builders: onnxGraphs(testCase, inputs).map((graph) => () => prepareGraph(ort, sessionOptions, graph)),
    }),
  };
}
