// From a web request to a web response, for hosts that speak in those, as Cloudflare, Deno and Bun do.
import { attend, statusOf, TooMuch } from './attend.mjs';

/** Bytes of a body at most. */
const MOST_BYTES = 8 * 2 ** 20;
/** Milliseconds after which a response begins although its body is not there yet. What is wrong with a request shows long before. */
const PATIENCE = 20;

/** Answers a posted safetensors file. The call stops when the client goes; the engine is free for the next one either way. */
export async function answer(engine, request) {
  if (request.method !== 'POST') return text(405, 'POST a safetensors file with q, k and v', { allow: 'POST' });
  let body;
  try {
    body = await readBody(request);
  } catch (error) {
    return error instanceof TooMuch ? text(413, error.message) : text(499, 'the client has gone');
  }
  try {
    const call = attend(engine, body, request.signal);
    // Deno hears that a client has gone only once the response has begun, so a long call's response begins before its body is there.
    const out = await Promise.race([call, new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
    return new Response(out ?? streamOf(call), { headers: { 'content-type': 'application/octet-stream' } });
  } catch (error) {
    const status = request.signal.aborted ? 499 : statusOf(error);
    if (status === 500) console.error(error); // For the operator; strangers need not know.
    return text(status, status === 500 ? 'internal error' : error.message);
  }
}

const text = (status, message, headers = {}) =>
  new Response(`${message}\n`, { status, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers } });

/** The whole body, or `TooMuch` as soon as it is too long: what the header says of its length may be missing, or a lie. */
async function readBody(request) {
  const tooLong = () => new TooMuch(`the body is longer than ${MOST_BYTES} bytes`);
  if (Number(request.headers.get('content-length')) > MOST_BYTES) throw tooLong();
  const chunks = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > MOST_BYTES) throw tooLong();
    chunks.push(chunk);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

/** The bytes when they are there. A call that fails breaks the response off, which the client sees as a failed transfer. */
const streamOf = (call) =>
  new ReadableStream({
    async start(controller) {
      try {
        controller.enqueue(await call);
        controller.close();
      } catch (error) {
        controller.error(error);
      }
    },
  });
