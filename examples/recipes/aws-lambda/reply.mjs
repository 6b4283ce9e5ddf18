// From an event of API Gateway or a function URL to its reply. Bodies of bytes travel as base64 both ways.
import { Buffer } from 'node:buffer';
import { attend, statusOf } from '../attend.mjs';

/** Bytes of a reply at most: Lambda has 6 MB for it, a third of which base64 takes. */
const MOST_BYTES = 4 * 2 ** 20;

export async function reply(engine, { body, isBase64Encoded }) {
  try {
    const out = await attend(engine, Buffer.from(body ?? '', isBase64Encoded ? 'base64' : 'latin1'));
    if (out.length > MOST_BYTES) return text(413, `the result is longer than ${MOST_BYTES} bytes`);
    const headers = { 'content-type': 'application/octet-stream' };
    return { statusCode: 200, headers, body: Buffer.from(out).toString('base64'), isBase64Encoded: true };
  } catch (error) {
    const status = statusOf(error);
    if (status === 500) throw error; // Lambda logs it, and answers with 502.
    return text(status, error.message);
  }
}

const text = (statusCode, message) => ({ statusCode, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: `${message}\n` });
