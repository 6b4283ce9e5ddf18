// The findings as one table.
import { createHash } from 'node:crypto';

/** One short digest of all the hashes of a row: equal if and only if, but for chance, all bits of all outputs are. */
export function digest(hashes) {
  const lines = Object.keys(hashes)
    .sort()
    .map((name) => `${name} ${hashes[name]}\n`);
  return createHash('sha256').update(lines.join('')).digest('hex').slice(0, 12);
}

const HEADER = ['runtime', 'version', 'context', 'threads', 'hash', 'time', 'frames', 'reason'];

function cells({ host, version, context, asked, capabilities: { threads, reason = '' }, hashes, ms, frames }) {
  return [
    host,
    version,
    context,
    threads === asked ? String(threads) : `${threads} of ${asked}`,
    digest(hashes),
    `${(ms / 1000).toFixed(1)} s`,
    frames ? `${frames.perSecond.toFixed(0)}/s, gaps to ${frames.longestGapMs.toFixed(0)} ms` : '',
    reason,
  ];
}

/** The table of the rows, and below it the hosts that are not here with what is missing. */
export function table(rows, absent) {
  const lines = [HEADER, ...rows.map(cells)];
  const widths = HEADER.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const padded = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('  ')
      .trimEnd(),
  );
  return [...padded, ...absent.map(({ name, missing }) => `${name.padEnd(widths[0])}  not here: ${missing}`)].join('\n');
}
