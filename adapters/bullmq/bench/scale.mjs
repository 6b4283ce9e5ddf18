// The blocks of docs/scale.md: what was measured, and what follows from it for more hosts by arithmetic alone. scripts/docs.mjs fills them in.

const mb = (bytes) =>
  bytes >= 1e9
    ? `${(bytes / 1e9).toPrecision(3)} GB`
    : bytes >= 1e6
      ? `${(bytes / 1e6).toPrecision(3)} MB`
      : `${(bytes / 1e3).toPrecision(3)} kB`;
const time = (s) => (s >= 1 ? `${s.toPrecision(3)} s` : s >= 1e-3 ? `${(s * 1e3).toPrecision(3)} ms` : `${(s * 1e6).toPrecision(3)} µs`);
const row = (cells) => `| ${cells.join(' | ')} |`;
const table = (head, rows) => [row(head), row(head.map((_, n) => (n ? '---:' : '---'))), ...rows.map(row)].join('\n');

/** Bulk embedding: rates, what the queue costs, memory. */
export function throughputBlock({ texts, runs }) {
  const [alone, one, two] = runs;
  const rows = runs.map(({ name, seconds, rate, memory }) => [
    name,
    `${seconds.toFixed(1)} s`,
    rate.toFixed(0),
    Object.entries(memory)
      .map(([who, [early, late]]) => `${who} ${early}, ${late}`)
      .join('; '),
  ]);
  const head = [`${texts.toLocaleString('en')} texts by`, 'time', 'texts a second', 'MB resident, early and late'];
  const sum = `Two workers do **${(two.rate / one.rate).toFixed(2)}** of one. The queue costs ${(100 * (one.seconds / alone.seconds - 1)).toFixed(1)} % of one process by itself. The three folders are the same, byte for byte.`;
  return `${table(head, rows)}\n\n${sum}`;
}

/** A long context: what was run. */
export function contextBlock({ keys, hosts, memoryMiB, wholeMiB, block, queries, precision, seconds, flop, stateBytes }) {
  return (
    `${queries.toLocaleString('en')} queries over ${keys.toLocaleString('en')} keys (causal, rotary, one head of 64, \`${precision}\`), in blocks of ${block.toLocaleString('en')}, by ${hosts} hosts whose engines may take ${memoryMiB} MiB each, ` +
    `where keys and values have ${wholeMiB.toFixed(0)}: ${seconds.toFixed(0)} s, ${(flop / seconds / 1e9).toFixed(0)} GFLOP/s of all processes together. States of ${mb(stateBytes)} travelled. One host was killed half way and started again. ` +
    'Three of the blocks, computed once more by one process chunk by chunk, had the same bits.'
  );
}

/** A layer whose heads are many, whose keys are on many hosts: a model of 8 billion weights has 32 of these. */
const [H, G, D] = [32, 8, 128];
const BLOCK = 4096;
/** Bytes a second of a host's network, 10 Gbit/s, and of one Redis. */
const [WIRE, REDIS] = [1.25e9, 1e9];
/** GFLOP/s of a host: 16 cores at what a core was measured to do. */
const CORES = 16;

/** What travels and what bounds it, for a block of queries at the end of a context of so many keys a host. */
export function scaleBlock({ flop, seconds, cpus }) {
  const rate = (flop / seconds / cpus) * CORES;
  const rows = [10, 100, 1000].flatMap((hosts) =>
    [8192, 131_072].map((each) => {
      const keys = hosts * each;
      const queries = BLOCK * H * D * 4;
      const state = BLOCK * H * (D + 1) * 4;
      const compute = (4 * D * H * BLOCK * each) / rate;
      const host = (queries + state) / WIRE;
      const merge = (hosts * state) / WIRE;
      const store = (hosts * (queries + state)) / REDIS;
      const bound = [
        [compute, 'computing'],
        [host, "a host's wire"],
        [merge, "one merger's wire"],
        [store, 'one Redis'],
      ].sort((a, b) => b[0] - a[0])[0][1];
      const memory = 2 * G * D * 4 * each;
      return [
        hosts.toLocaleString('en'),
        keys.toLocaleString('en'),
        mb(memory),
        mb(queries + state),
        mb(hosts * state),
        time(compute),
        time(host),
        time(merge),
        time(store),
        bound,
      ];
    }),
  );
  const head = [
    'hosts',
    'keys',
    'keys and values of a host',
    'to and from a host',
    'states to merge',
    'computing',
    "a host's wire",
    "one merger's wire",
    'one Redis',
    'bound by',
  ];
  return table(head, rows);
}
