// Short texts through an encoder: by this process alone, by one worker, by two. Says how much two do, what the queue costs, and whether memory is flat.
//   node bench/throughput.mjs <model> [texts] [--json <file>]
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { machine, start, startRedis, watchMemory } from './kit.mjs';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'string' } } });
const [model, count = '100000'] = positionals;
if (!model) {
  console.error('node bench/throughput.mjs <model> [texts] [--json <file>]');
  process.exit(2);
}

const WORDS =
  'the of and to in is it you that he was for on are with as his they be at one have this from or had by hot word but what some we can out other were all there when up use your how said an each she'.split(
    ' ',
  );

function writeTexts(path, lines) {
  let state = 1;
  const next = (most) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 1;
    return state % most;
  };
  writeFileSync(
    path,
    Array.from({ length: lines }, () => `${Array.from({ length: 4 + next(12) }, () => WORDS[next(WORDS.length)]).join(' ')}.\n`).join(''),
  );
}

const checksum = (folder) => {
  const hash = createHash('sha256');
  for (const name of readdirSync(join(folder, 'shards')).sort()) hash.update(name).update(readFileSync(join(folder, 'shards', name)));
  return hash.update(readFileSync(join(folder, 'index.json'))).digest('hex');
};

const folder = mkdtempSync(join(tmpdir(), 'relpos-throughput-'));
const corpus = join(folder, 'corpus.txt');
writeTexts(corpus, Number(count));
const about = machine();
const redis = await startRedis();

/** One run: seconds from the first text to the last, without the start of processes. */
async function run(name, workers) {
  const out = join(folder, name);
  const holders = await Promise.all(
    Array.from({ length: workers }, () => start('main', ['work', '--model', model, '--redis', redis.url], /^working:/m)),
  );
  const where = workers ? ['--redis', redis.url] : ['--local'];
  const began = performance.now();
  const embed = await start('main', ['embed', corpus, '--model', model, '--out', out, ...where]);
  const pids = {
    embed: embed.pid,
    ...Object.fromEntries(holders.map(({ pid }, n) => [`worker ${n + 1}`, pid])),
    ...(workers && { redis: redis.pid }),
  };
  const memory = await watchMemory(pids, embed.ended);
  const seconds = (performance.now() - began) / 1000;
  const code = await embed.ended;
  if (code !== 0) throw new Error(embed.printed());
  for (const { child, ended } of holders) {
    child.kill('SIGTERM');
    await ended;
  }
  const result = { name, seconds, rate: Number(count) / seconds, memory, checksum: checksum(out) };
  console.log(
    `${name.padEnd(12)} ${seconds.toFixed(1)} s, ${result.rate.toFixed(0)} texts a second; MB resident early and late: ${Object.entries(
      memory,
    )
      .map(([who, sizes]) => `${who} ${sizes.join(' ')}`)
      .join(', ')}`,
  );
  return result;
}

const [alone, one, two] = [await run('this process', 0), await run('one worker', 1), await run('two workers', 2)];
redis.stop();
rmSync(folder, { recursive: true, force: true });
const same = alone.checksum === one.checksum && one.checksum === two.checksum;
console.log(
  `two workers do ${(two.rate / one.rate).toFixed(2)} of one; the queue costs ${(100 * (one.seconds / alone.seconds - 1)).toFixed(1)} %; ${same ? 'the same bytes' : 'OTHER BYTES'}`,
);
if (values.json)
  writeFileSync(
    values.json,
    `${JSON.stringify({ ...about, command: `node bench/throughput.mjs <model> ${count}`, texts: Number(count), runs: [alone, one, two] }, undefined, 1)}\n`,
  );
process.exitCode = same ? 0 : 1;
