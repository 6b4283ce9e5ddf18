// Vectors for texts from a model in an R2 bucket. An isolate loads it with its first request and keeps it for all that follow.
import { loadEncoder } from 'relpos/models';

/** What one request may ask for. */
const MOST_BYTES = 256 * 1024;
const MOST_TEXTS = 64;
const MOST_CHARACTERS = 8192;
/** Texts that are computed before other requests have their turn, and before a client that has gone is noticed. */
const BATCH = 4;
/** Of an isolate's 128 MB the rest is for the script, the tokenizer and the requests. */
const MOST_MEMORY = 96 * 2 ** 20;

/** An error that the client is told. */
class Refused extends Error {
  constructor(status, message, headers) {
    super(message);
    Object.assign(this, { status, headers });
  }
}

let loading;

/** The isolate's encoder. Its loading goes on although the request that began it may end, for others wait for it. */
function encoderOf({ MODELS, MODEL }, ctx) {
  const bucket = { get: (name, range) => MODELS.get(`${MODEL}/${name}`, range && { range }) };
  loading ??= loadEncoder(bucket, { weights: 'i8', maxMemory: MOST_MEMORY }).catch((error) => {
    loading = undefined; // The next request tries again.
    console.error(error);
    throw new Refused(503, 'the model cannot be loaded', { 'retry-after': '10' });
  });
  ctx.waitUntil(loading.catch(() => {}));
  return loading;
}

export default {
  async fetch(request, env, ctx) {
    try {
      return Response.json(await answer(request, env, ctx));
    } catch (error) {
      if (request.signal.aborted) return failed(499, 'the client has gone');
      if (error instanceof Refused) return failed(error.status, error.message, error.headers);
      console.error(error); // For the operator; strangers need not know.
      return failed(500, 'internal error');
    }
  },
};

const failed = (status, error, headers) => Response.json({ error }, { status, headers });

async function answer(request, env, ctx) {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname === '/embed') {
    allow(request, 'POST');
    const texts = textsOf('texts', (await readJson(request))?.texts);
    const vectors = await embed(await encoderOf(env, ctx), texts, request.signal);
    // Nine digits tell every float32 from its neighbours.
    return { vectors: vectors.map((vector) => Array.from(vector, (x) => Number(x.toPrecision(9)))) };
  }
  if (pathname === '/similarity') {
    allow(request, 'GET');
    const [text, others] = [textsOf('text', searchParams.getAll('text')), textsOf('with', searchParams.getAll('with'))];
    if (text.length !== 1) throw new Refused(400, `"text" expected once, got ${text.length} times`);
    const encoder = await encoderOf(env, ctx);
    const [vector, ...vectors] = await embed(encoder, [...text, ...others], request.signal);
    const [similarity] = await encoder.similarity([vector], vectors);
    return { similarity };
  }
  throw new Refused(404, 'expected POST /embed with {"texts": [...]}, or GET /similarity?text=...&with=...&with=...');
}

function allow({ method }, expected) {
  if (method !== expected) throw new Refused(405, `expected ${expected}, got ${method}`, { allow: expected });
}

function textsOf(name, texts) {
  if (!Array.isArray(texts) || texts.length === 0) throw new Refused(400, `"${name}" expected at least one text`);
  if (texts.length > MOST_TEXTS) throw new Refused(413, `"${name}" expected at most ${MOST_TEXTS} texts, got ${texts.length}`);
  for (const text of texts) {
    if (typeof text !== 'string') throw new Refused(400, `"${name}" expected texts, got ${JSON.stringify(text).slice(0, 40)}`);
    if (text.length > MOST_CHARACTERS) throw new Refused(413, `a text expected at most ${MOST_CHARACTERS} characters, got ${text.length}`);
  }
  return texts;
}

/** The vectors of texts. A call of the engine runs through, so between batches the event loop has its turn, by a timer of the request's own. */
async function embed(encoder, texts, signal) {
  const vectors = [];
  while (vectors.length < texts.length) {
    signal.throwIfAborted();
    vectors.push(...(await encoder.embed(texts.slice(vectors.length, vectors.length + BATCH))));
    await new Promise((resolve) => setTimeout(resolve));
  }
  return vectors;
}

/** The JSON of a body, or a refusal as soon as it is too long: what the header says of its length may be missing, or a lie. */
async function readJson(request) {
  const decoder = new TextDecoder();
  let [text, length] = ['', 0];
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > MOST_BYTES) throw new Refused(413, `the body is longer than ${MOST_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  try {
    return JSON.parse(text + decoder.decode());
  } catch (error) {
    throw new Refused(400, `the body is no JSON: ${error.message}`);
  }
}
