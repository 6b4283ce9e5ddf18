/** jax-js on its WebAssembly backend, with its own dot-product attention compiled by `jit`. */
// jax-js uses iterator helpers, which Node has from version 22 on only.
import 'core-js/es/iterator/index.js';
import { defaultDevice, init, jit, nn, numpy as np } from '@jax-js/jax';
import { swapAxes } from '../lib/inputs.mjs';
import { packageVersion } from '../lib/packages.mjs';
import { denseT5Bias } from '../lib/positions.mjs';

/** It threads only where a global `Worker` exists, which Node lacks. */
const THREADS = 1;

const array = (data, shape) => np.array(data).reshape(shape);

function tensors(testCase, inputs) {
  const { H, G, L, S, D, t5 } = testCase;
  return [
    array(swapAxes(inputs.q, H, L, D), [1, L, H, D]),
    array(swapAxes(inputs.k, G, S, D), [1, S, G, D]),
    array(swapAxes(inputs.v, G, S, D), [1, S, G, D]),
    ...(t5 ? [array(denseT5Bias(testCase, inputs.table), [1, H, L, S])] : []),
  ];
}

function prepareAttention(testCase, inputs) {
  const args = tensors(testCase, inputs);
  const attend = jit((q, k, v, bias) => nn.dotProductAttention(q, k, v, { isCausal: testCase.causal, ...(bias && { bias }) }));
  return {
    variant: 'nn.dotProductAttention',
    layout: 'blhd',
    repeat: 1,
    run: () => attend(...args.map((x) => x.ref)).data(),
    dispose: () => {
      for (const x of args) x.dispose();
      attend.dispose();
    },
  };
}

export async function createPeer() {
  await init('wasm');
  defaultDevice('wasm');
  return {
    name: 'jax-js',
    version: packageVersion('@jax-js/jax'),
    threads: THREADS,
    prepare: (testCase, inputs) =>
      testCase.rotary ? { skip: 'no rotary operator' } : { builders: [() => prepareAttention(testCase, inputs)] },
  };
}
