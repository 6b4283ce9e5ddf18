// A safetensors file with q, k and v in, attention's output as a safetensors file out. What else is asked is in the file's metadata, as
// `relpos attend --from-metadata` reads it: case = {"encoding": {"name": "rotary", "options": {…}}, "attention": {"causal": true}}.
import { alibi, RelposError, rotary } from 'relpos';
import { readSafetensors, SafetensorsError, writeSafetensors } from 'relpos/safetensors';

/** What a stranger may ask for: these encodings, so many of them, and these options of `attention`. */
const ENCODINGS = { alibi, rotary };
const MOST_ENCODINGS = 2;
const OPTIONS = ['causal', 'window', 'scale', 'softcap', 'sinks', 'keyLengths', 'layout'];
/** Multiplications and additions of one request: some seconds of one core. */
const MOST_OPERATIONS = 1e11;

/** More than the service gives one request. */
export class TooMuch extends Error {}

/** The bytes that answer those of a request. What is wrong with a request the library finds; `statusOf` gives its errors a number. */
export async function attend(engine, body, signal) {
  const { tensors, metadata } = readSafetensors(body);
  const { encoding, attention } = readCase(metadata.case);
  const [q, k, v] = ['q', 'k', 'v'].map((name) => tensors.get(name));
  limitWork(q, k, v, attention.layout);
  const out = await engine.attention(q, k, v, { ...attention, encoding, signal });
  try {
    return writeSafetensors({ out: { dtype: 'F32', shape: out.shape, data: new Uint8Array(out.toArray().buffer) } });
  } finally {
    out.dispose(); // The engine lives on: what a request took goes back.
  }
}

function readCase(text = '{}') {
  const { encoding = [], attention = {} } = object('case', JSON.parse(text));
  const encodings = [encoding].flat();
  if (encodings.length > MOST_ENCODINGS) throw new TooMuch(`case.encoding: expected at most ${MOST_ENCODINGS}, got ${encodings.length}`);
  for (const key of Object.keys(object('case.attention', attention))) {
    if (!OPTIONS.includes(key)) throw new TypeError(`case.attention: expected ${OPTIONS.join(', ')}, got ${JSON.stringify(key)}`);
  }
  return { encoding: encodings.map(makeEncoding), attention };
}

function makeEncoding(given) {
  const { name, options } = object('case.encoding', given);
  if (Object.hasOwn(ENCODINGS, name)) return ENCODINGS[name](options);
  throw new RangeError(`case.encoding.name: expected ${Object.keys(ENCODINGS).join(' or ')}, got ${JSON.stringify(name)}`);
}

function object(name, value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError(`${name}: expected an object`);
  return value;
}

/** Work grows with L · S: a small body can ask for hours. Wrong shapes pass; the library refuses them. */
function limitWork(q, k, v, layout) {
  if (![q, k, v].every((tensor) => tensor?.shape.length === 4)) return;
  const rows = q.shape[0] * q.shape[1] * q.shape[2];
  const keys = k.shape[layout === 'blhd' ? 1 : 2];
  const operations = 2 * rows * keys * (q.shape[3] + v.shape[3]);
  if (operations > MOST_OPERATIONS) throw new TooMuch(`expected at most ${MOST_OPERATIONS} operations, got ${operations}`);
}

/** The HTTP status of an error; 500 for what is no fault of the request. */
export function statusOf(error) {
  if (error instanceof TooMuch) return 413;
  // More than the engine can ever have, or more than other requests leave it now.
  if (error instanceof RelposError && error.code === 'out-of-memory') return error.asked > error.limit ? 413 : 503;
  const wrong = [SafetensorsError, SyntaxError, TypeError, RangeError].some((kind) => error instanceof kind);
  return wrong ? 400 : 500;
}
