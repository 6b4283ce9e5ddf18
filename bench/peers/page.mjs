/** The comparison in a page: puts `run(options)` among the globals. The package and onnxruntime-web come from the import map. */
import * as ort from 'onnxruntime-web';
import * as library from 'relpos';
import { peaksOf } from '../peaks.mjs';
import { CASES } from './lib/cases.mjs';
import { BUDGETS } from './lib/measure.mjs';
import { onnxruntimePeer } from './lib/onnxruntime.mjs';
import { relposPeer } from './lib/relpos.mjs';
import { runCase } from './lib/run-case.mjs';

const bytes = async (name) => new Uint8Array(await (await fetch(`/dist/wasm/${name}.wasm`)).arrayBuffer());

async function relposPeers({ precisions, version }) {
  const peers = [];
  const missing = [];
  for (const precision of precisions) {
    try {
      peers.push(await relposPeer(library, version, { threads: 1, precision }));
    } catch (error) {
      missing.push({ precision, reason: error.message });
    }
  }
  return { peers, missing };
}

/** One thread, from its WebAssembly build. */
function web(version) {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = '/ort/';
  return onnxruntimePeer({
    name: 'onnxruntime-web',
    version,
    threads: 1,
    ort,
    sessionOptions: { executionProviders: ['wasm'] },
  });
}

globalThis.run = async ({ cases, precisions, budget, versions }) => {
  const { peers, missing } = await relposPeers({ precisions, version: versions.relpos });
  const all = [...peers, web(versions.web)];
  const [plain, fused] = [await bytes('peak'), await bytes('peak-fused')];
  const peaks = await peaksOf({ plain: () => plain, fused: () => fused });
  const results = [];
  for (const testCase of CASES.filter(({ id }) => cases.includes(id))) {
    results.push(await runCase(testCase, { peers: all, baseline: 'onnxruntime-web', budget: BUDGETS[budget], peaks }));
  }
  return { peers: Object.fromEntries(all.map(({ name, version }) => [name, version])), missing, peak: peaks.found, results };
};
