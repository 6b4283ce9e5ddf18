// Mutations of what is told of hosts: kernels and what they are, turns of the event loop, the lives of workers.
import { mutationsOf } from './make.mjs';

const source = mutationsOf('src');
const pages = ['threads/browser'];
const entries = ['contract/entries', 'contract/relaxed'];

const lives = [
  source(
    'nobody waits for the lock of a life',
    'threads/worker-group.ts',
    'if (data.held && member.life',
    'if (!data.held && member.life',
    pages,
  ),
  source('a dropped message is waited for', 'threads/worker-group.ts', 'after(ms, () => resolve(false))', 'after(ms, () => {})', pages),
];

const turns = [
  source('a way that throws ends the search', 'platform/time.ts', '      } catch {}', '      } catch { return; }', [
    'platform/time',
    'platform/faults',
  ]),
  source('no turn where there is no way is no end', 'platform/time.ts', 'if (!asked) resolve();', '', ['platform/time', 'platform/faults']),
  source("a channel of Node's is heard as a page's", 'platform/time.ts', 'if (to.on)', 'if (!to)', ['platform/time']),
];

const kinds = [
  source('any kernels will do', 'wasm/variants.ts', 'if (found === wanted ||', 'if (found !== undefined ||', entries),
  source(
    'precision relaxed takes the baseline kernels',
    'wasm/variants.ts',
    "precision === 'relaxed' && fused ? 'relaxed'",
    "precision === 'relaxed' && !fused ? 'relaxed'",
    entries,
  ),
  source(
    'a pair of characters is read as one rank less',
    'wasm/unpack.ts',
    'singles + (rank - singles) * digits',
    'singles + (rank - singles) * singles',
    entries,
  ),
  source('kernels at a file are fetched', 'wasm/kernels.ts', "startsWith('file:')", "startsWith('data:')", entries),
];

export const hosts = [...lives, ...turns, ...kinds];
