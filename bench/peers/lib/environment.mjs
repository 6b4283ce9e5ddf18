import { cpus, loadavg } from 'node:os';
import { relative } from 'node:path';

/** What a reader needs to judge or repeat a run. */
export function environment() {
  return {
    date: new Date().toISOString(),
    command: ['node', relative(process.cwd(), process.argv[1]), ...process.argv.slice(2)].join(' '),
    node: process.version,
    v8: process.versions.v8,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpus()[0]?.model,
    cpus: cpus().length,
    load: loadavg()[0],
  };
}
