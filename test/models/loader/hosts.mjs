// Run by every runtime that is installed (hosts.test.ts): what the trained model writes, from a folder and from a server, and vectors. One line of
// JSON, the same on all of them.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { loadDecoder, loadSeq2Seq } from 'relpos/models';

const folderOf = (name) => fileURLToPath(new URL(`../../../examples/models/${name}`, import.meta.url));

/** Serves a folder with ranges. */
const server = createServer((request, response) => {
  let file;
  try {
    file = readFileSync(`${folderOf('story-llama')}${request.url}`);
  } catch {
    response.writeHead(404).end();
    return;
  }
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  if (first === undefined) {
    response.writeHead(200, { 'content-length': file.length }).end(file);
    return;
  }
  const end = Math.min(file.length, Number(last) + 1);
  const headers = { 'content-range': `bytes ${first}-${end - 1}/${file.length}`, 'content-length': end - Number(first) };
  response.writeHead(206, headers).end(file.subarray(Number(first), end));
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

async function written(pieces) {
  let text = '';
  for await (const piece of pieces) text += piece;
  return text;
}

const drawn = { maxTokens: 40, temperature: 0.8, topK: 50, topP: 0.95, minP: 0.02, repetitionPenalty: 1.1, seed: 7 };
const results = {};
for (const [weights, threads, from] of [
  ['f32', 1, folderOf('story-llama')],
  ['f32', 2, new URL(`http://127.0.0.1:${server.address().port}/`)],
  ['i8', 1, folderOf('story-llama')],
  ['i8', 3, folderOf('story-llama')],
  ['i4', 2, folderOf('story-llama')],
]) {
  const decoder = await loadDecoder(from, { weights, threads });
  const logits = (await decoder.logits('In the beginning')).at(-1);
  const bits = new Int32Array(logits.buffer, logits.byteOffset, logits.length).reduce((sum, x) => (Math.imul(sum, 31) + x) | 0, 7);
  results[`${weights} on ${threads}`] = [bits, await written(decoder.generate('In the beginning', drawn))];
  decoder.dispose();
}
const fixer = await loadSeq2Seq(folderOf('fix-t5'), { threads: 1 });
results.fixed = await written(fixer.generate('nd h sd, Wh rt th?'));
fixer.dispose();
server.close();
console.log(JSON.stringify(results));
process.exit(0); // A connection that is kept for later would hold the process.
