import { cpus, loadavg } from 'node:os';
import { relative } from 'node:path';

/** The arguments but for where the result goes, which says nothing of the run and may be a path of this machine. */
function repeatable(args) {
  const at = args.findIndex((arg) => arg === '--json' || arg.startsWith('--json='));
  return at < 0 ? args : args.toSpliced(at, args[at] === '--json' ? 2 : 1);
}

/** What a reader needs to judge or repeat a run. */
export function environment() {
  return {
    date: new Date().toISOString(),
    command: ['node', relative(process.cwd(), process.argv[1]), ...repeatable(process.argv.slice(2))].join(' '),
    node: process.version,
    v8: process.versions.v8,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpus()[0]?.model,
    cpus: cpus().length,
    load: loadavg()[0],
  };
}
