// Miniflare, what Cloudflare's wrangler runs workers with on one's own machine.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { installed, unusable } from '../install.mjs';
import { listening, ONE_THREAD, tryServer, withServer } from './serving.mjs';
import { newest, workerd, writeModules } from './workerd.mjs';

/** It asks for a newer Node than the oldest that runs this. */
const program = installed('node24/bin/node');
const packageFile = installed('miniflare/package.json');
const server = fileURLToPath(new URL('../servers/miniflare.mjs', import.meta.url));

const missing = () => (existsSync(packageFile) ? (unusable(program) ?? workerd.missing()) : `${packageFile} is no file`);

async function run(project) {
  const { folder } = await writeModules(project);
  const { version } = JSON.parse(readFileSync(packageFile, 'utf8'));
  const context = `${newest()} nodejs_compat`;
  const row = { host: 'miniflare', version, context, asked: 2, expected: { threads: 1, reason: ONE_THREAD } };
  const args = [server, packageFile, folder, ...context.split(' ')];
  return withServer({ program, args, listening, end: 'SIGTERM' }, (address) => tryServer(address, project, row));
}

export const miniflare = { name: 'miniflare', runtime: 'workerd', missing, run };
