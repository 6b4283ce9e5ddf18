/** BERT in the operators of TensorFlow.js on its WebAssembly backend: f32, one thread in Node. */
import { packageVersion } from '../../peers/lib/packages.mjs';
import { tf } from '../../peers/lib/tensorflow.mjs';
import { transposed } from './quantize.mjs';

/** Every tensor that a model keeps, made once. */
function load(config, weights) {
  const vector = (name) => tf.tensor1d(weights(name).data);
  const table = (name) => {
    const { shape, data } = weights(name);
    return tf.tensor2d(data, shape);
  };
  const dense = (at) => {
    const { shape, data } = weights(`${at}.weight`);
    const [out, width] = shape;
    return { b: tf.tensor2d(transposed(data, out, width), [width, out]), bias: vector(`${at}.bias`) };
  };
  const norm = (at) => ({ gain: vector(`${at}.weight`), bias: vector(`${at}.bias`) });
  const layer = (_, n) => {
    const at = `encoder.layer.${n}`;
    return {
      q: dense(`${at}.attention.self.query`),
      k: dense(`${at}.attention.self.key`),
      v: dense(`${at}.attention.self.value`),
      out: dense(`${at}.attention.output.dense`),
      middle: norm(`${at}.attention.output.LayerNorm`),
      wide: dense(`${at}.intermediate.dense`),
      narrow: dense(`${at}.output.dense`),
      end: norm(`${at}.output.LayerNorm`),
    };
  };
  const names = ['word', 'position', 'token_type'];
  return {
    tables: names.map((name) => table(`embeddings.${name}_embeddings.weight`)),
    norm: norm('embeddings.LayerNorm'),
    layers: Array.from({ length: config.num_hidden_layers }, layer),
  };
}

function tensorsOf(value) {
  if (value instanceof tf.Tensor) return [value];
  return Object.values(value).flatMap(tensorsOf);
}

const linear = (a, { b, bias }) => tf.fused.matMul({ a, b, bias });

function layerNorm(x, { gain, bias }, epsilon) {
  const mean = tf.mean(x, -1, true);
  const variance = tf.mean(tf.squaredDifference(x, mean), -1, true);
  return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, epsilon))), gain), bias);
}

const gelu = (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));

function attend(x, { q, k, v }, heads) {
  const [tokens, width] = x.shape;
  const split = (part) => tf.transpose(tf.reshape(linear(x, part), [tokens, heads, width / heads]), [1, 0, 2]);
  const scores = tf.matMul(tf.mul(split(q), 1 / Math.sqrt(width / heads)), split(k), false, true);
  return tf.reshape(tf.transpose(tf.matMul(tf.softmax(scores), split(v)), [1, 0, 2]), [tokens, width]);
}

function forward({ tables, norm, layers }, { num_attention_heads: heads, layer_norm_eps: epsilon }, ids) {
  const [words, positions, types] = tables;
  const rows = tf.gather(words, tf.tensor1d(ids, 'int32'));
  let x = layerNorm(tf.add(tf.add(rows, tf.slice(positions, 0, ids.length)), tf.slice(types, 0, 1)), norm, epsilon);
  for (const layer of layers) {
    const middle = layerNorm(tf.add(x, linear(attend(x, layer, heads), layer.out)), layer.middle, epsilon);
    x = layerNorm(tf.add(middle, linear(gelu(linear(middle, layer.wide)), layer.narrow)), layer.end, epsilon);
  }
  return x;
}

function unit(x) {
  const mean = tf.mean(x, 0);
  return tf.div(mean, tf.norm(mean));
}

export async function tfjsEntry({ config }, weights, tokenizer) {
  await tf.setBackend('wasm');
  const model = load(config, weights);
  const read = async (text, use) => {
    const out = tf.tidy(() => use(forward(model, config, Int32Array.from(tokenizer.encode(text).ids))));
    const data = await out.data();
    out.dispose();
    return data;
  };
  return {
    peer: 'tfjs-backend-wasm',
    version: packageVersion('@tensorflow/tfjs-backend-wasm'),
    weights: 'f32',
    threads: 1,
    variant: 'f32, fused.matMul',
    repeat: 1,
    with: ([text]) => ({ run: () => read(text, unit), hidden: () => read(text, (x) => x.clone()) }),
    dispose: () => tf.dispose(tensorsOf(model)),
  };
}
