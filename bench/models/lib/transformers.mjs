/**
 * transformers.js. In Node it has no WebAssembly: it runs the native onnxruntime, with vectors of the processor that WebAssembly has not, so its rows
 * are for orientation. It gets the same graph, under the names that it feeds.
 */
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { env, pipeline } from '@huggingface/transformers';
import { encodeModel } from '../../peers/lib/onnx-model.mjs';
import { bertGraph } from './bert-graph.mjs';
import { CACHE } from './checkpoints.mjs';
import { KIND } from './onnxruntime.mjs';

const version = JSON.parse(
  readFileSync(new URL('../node_modules/@huggingface/transformers/package.json', import.meta.url), 'utf8'),
).version;

/** By its name of the type of weights: the file that it looks for. */
const FILES = { i8: ['q8', 'model_quantized.onnx'], f32: ['fp32', 'model.onnx'] };

/** Its inputs are 64 bits wide, and have names of their own; what it pools is called the last hidden state. */
function renamed(graph) {
  const names = { input_ids: 'ids', token_type_ids: 'types', attention_mask: 'mask' };
  const wide = { data: new BigInt64Array(0), dims: ['texts', 'tokens'] };
  const casts = Object.entries(names).map(([from, to]) => ({ op: 'Cast', inputs: [from], outputs: [to], attributes: { to: 6 } }));
  const nodes = [...casts, ...graph.nodes, { op: 'Identity', inputs: ['hidden'], outputs: ['last_hidden_state'] }];
  const inputs = Object.fromEntries(Object.keys(names).map((name) => [name, wide]));
  return { ...graph, nodes, inputs, outputs: ['last_hidden_state'] };
}

function write(folder, to, model, weights, type) {
  mkdirSync(`${to}/onnx`, { recursive: true });
  for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json']) copyFileSync(`${folder}/${name}`, `${to}/${name}`);
  const graph = bertGraph(model.config, weights, { kind: KIND[type], attention: 'whole', masked: true });
  writeFileSync(`${to}/onnx/${FILES[type][1]}`, encodeModel(renamed(graph)));
}

export async function transformersEntry(model, folder, weights, type) {
  const name = `${model.name}-transformers-${type}-${process.pid}`;
  write(folder, `${CACHE}${name}`, model, weights, type);
  let extract;
  try {
    Object.assign(env, { allowRemoteModels: false, localModelPath: CACHE, useFSCache: false });
    // One thread of the native library, as of all others.
    const session_options = { intraOpNumThreads: 1, interOpNumThreads: 1 };
    extract = await pipeline('feature-extraction', name, { device: 'cpu', dtype: FILES[type][0], session_options });
  } finally {
    rmSync(`${CACHE}${name}`, { recursive: true, force: true });
  }
  return {
    peer: 'transformers.js, native code',
    version,
    weights: type,
    threads: 1,
    variant: KIND[type],
    repeat: 1,
    with: ([text]) => ({
      run: async () => (await extract(text, { pooling: 'mean', normalize: true })).data,
      hidden: async () => (await extract(text)).data,
    }),
    dispose: () => extract.dispose(),
  };
}
