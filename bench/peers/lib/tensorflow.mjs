/** TensorFlow.js with its WebAssembly backend as this folder installs it, for benchmarks beside it. */
import '@tensorflow/tfjs-backend-wasm';

export * as tf from '@tensorflow/tfjs-core';
