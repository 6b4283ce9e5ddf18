/** TensorFlow.js on its WebAssembly backend. It has no attention operator, so attention is written out in its own operators. */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-wasm';
import { packageVersion } from '../lib/packages.mjs';
import { denseT5Bias } from '../lib/positions.mjs';

/** The backend never threads in Node, whatever is asked. */
const THREADS = 1;

/** Added to hidden scores; −Infinity would give NaN in a softmax over differences. */
const HIDDEN = -1e30;

/** What is added to the scores: the bias of the case, or its causal mask, or nothing. */
function additive(testCase, { table }) {
  const { H, L, S, causal, t5 } = testCase;
  if (t5) return tf.tensor3d(denseT5Bias(testCase, table), [H, L, S]);
  if (!causal) return undefined;
  return tf.tidy(() => tf.mul(HIDDEN, tf.sub(1, tf.linalg.bandPart(tf.ones([L, S]), -1, 0))));
}

function prepareAttention(testCase, inputs) {
  const { H, L, S, D } = testCase;
  const q = tf.tensor3d(inputs.q, [H, L, D]);
  const k = tf.tensor3d(inputs.k, [H, S, D]);
  const v = tf.tensor3d(inputs.v, [H, S, D]);
  const added = additive(testCase, inputs);
  const attend = () => {
    const scores = tf.matMul(tf.mul(q, 1 / Math.sqrt(D)), k, false, true);
    return tf.matMul(tf.softmax(added ? tf.add(scores, added) : scores), v);
  };
  const run = async () => {
    const out = tf.tidy(attend);
    const data = await out.data();
    out.dispose();
    return data;
  };
  return {
    variant: 'matMul, softmax, matMul',
    layout: 'bhld',
    repeat: 1,
    run,
    dispose: () => tf.dispose([q, k, v, added]),
  };
}

export async function createPeer() {
  await tf.setBackend('wasm');
  return {
    name: 'tfjs-backend-wasm',
    version: packageVersion('@tensorflow/tfjs-backend-wasm'),
    threads: THREADS,
    prepare: (testCase, inputs) => {
      const plain = testCase.kind === 'attention' && !testCase.rotary;
      if (plain) return { builders: [() => prepareAttention(testCase, inputs)] };
      return { skip: 'no rotary operator, no grouped heads, no cache' };
    },
  };
}
