// What `npm start` runs: the real command line on tensors of two models and on a whole trained one, and a comparison with what they computed.
//   node examples/start.mjs
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { readSafetensors } from 'relpos/safetensors';
import { continues } from './story.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

/** Largest difference from the model's own float32 output that passes, relative to the output's largest value. */
const LIMIT = 2e-6;

const RUNS = [
  {
    title: 'A LLaMA layer: 8 query heads over 2 key heads, rotary positions, causal',
    input: 'examples/data/llama.safetensors',
    flags: '--encoding rotary --theta 500000 --layout halves --causal',
    output: 'build/llama-out.safetensors',
  },
  {
    title: 'A T5 encoder layer: a bias for each distance, looked up in 32 buckets; T5 does not scale its scores',
    input: 'examples/data/t5.safetensors',
    flags: '--encoding t5 --table table --buckets 32 --max-distance 128 --bidirectional --scale 1',
    output: 'build/t5-out.safetensors',
  },
];

const tensorsOf = (path) => readSafetensors(readFileSync(path)).tensors;
const floats = ({ data }) => new Float32Array(new Uint8Array(data).buffer);

/** Largest |a − b| over the largest |b|; NaN anywhere gives NaN, which passes nothing. */
function relativeDifference(a, b) {
  let [worst, size] = [a.length === b.length ? 0 : Number.NaN, 0];
  for (let n = 0; n < b.length; n++) {
    worst = Math.max(worst, Math.abs(a[n] - b[n]));
    size = Math.max(size, Math.abs(b[n]));
  }
  return worst / size;
}

/** Runs one command, shows it with its report, and returns how far its output is from the model's. */
function perform({ title, input, flags, output }) {
  console.log(`\n${title}\n\n  $ relpos attend ${input} -o ${output} \\\n      ${flags}\n`);
  const words = ['dist/cli/main.js', 'attend', input, '-o', output, ...flags.split(' ')];
  const { status, stdout } = spawnSync(process.execPath, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  console.log(stdout.replace(/^/gm, '  ').trimEnd());
  if (status !== 0) return Number.NaN;
  return relativeDifference(floats(tensorsOf(output).get('out')), floats(tensorsOf(input).get('expected')));
}

const { data } = tensorsOf(RUNS[0].input).get('tokens');
const [opening] = String.fromCharCode(...new Int32Array(new Uint8Array(data).buffer)).split('\n');
console.log(`The tensors come from this text, through layers of transformers 5.18.0 with random weights:\n\n  ${opening}`);

const differences = RUNS.map(perform);
const fits = differences.every((difference) => difference <= LIMIT);
const shown = differences.map((difference) => difference.toExponential(1)).join(' and ');
console.log(
  fits
    ? `\nBoth outputs match the models': off by ${shown} of the largest value, 2e-6 is allowed.`
    : `\nNO MATCH with the models' outputs: off by ${shown} of the largest value, 2e-6 is allowed.`,
);

const alike = continues();
process.exitCode = fits && alike ? 0 : 1;
