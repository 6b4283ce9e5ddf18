/** onnxruntime-web as this folder installs it, for benchmarks beside it. */
export * as ort from 'onnxruntime-web';
