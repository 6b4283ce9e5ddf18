/** The Cloudflare worker in workerd, bundled as wrangler does, at the compatibility date of the recipe and at an old one. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { bundleWorker, readSettings, type Settings } from './modules.ts';
import { madeInput } from './posts.ts';
import { describeWith, makeProject, runtime } from './project.ts';
import { expectAnswer, testService } from './service.ts';

/** What workerd reads: the worker, its modules and its settings. */
const config = (kernels: readonly string[], { compatibility_date: date, compatibility_flags: flags }: Settings): string => `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    modules = [
      (name = "bundle.mjs", esModule = embed "bundle.mjs"),
      ${kernels.map((name) => `(name = "${name}", wasm = embed "${name}"),`).join('\n      ')}
    ],
    compatibilityDate = "${date}",
    compatibilityFlags = ${JSON.stringify(flags)},
  ))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`;

/** Starts workerd; it says on the third pipe at which port it listens. */
async function start(folder: string, settings: Settings): Promise<{ server: ChildProcess; url: string }> {
  const file = join(folder, `${settings.compatibility_date}.capnp`);
  writeFileSync(file, config(await bundleWorker(folder, 'cloudflare-worker/worker.mjs'), settings));
  const server = spawn(WORKERD, ['serve', file, '--control-fd=3'], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] });
  const port = await new Promise<number>((resolve, reject) => {
    (server.stdio[3] as Readable).on('data', (line: Buffer) => {
      const { event, port } = JSON.parse(String(line));
      if (event === 'listen') resolve(port);
    });
    server.on('exit', (code) => reject(new Error(`workerd ended with ${code}`)));
  });
  return { server, url: `http://127.0.0.1:${port}/` };
}

const WORKERD = runtime('workerd/bin/workerd');

describeWith(WORKERD, 'cloudflare worker', () => {
  const folder = makeProject();
  const settings = readSettings(join(folder, 'cloudflare-worker/wrangler.jsonc'));

  describe.each([settings, { ...settings, compatibility_date: '2025-05-01' }])('$compatibility_date', (settings) => {
    let worker: Awaited<ReturnType<typeof start>>;
    beforeAll(async () => {
      worker = await start(folder, settings);
    });
    afterAll(() => worker?.server.kill());

    test('answers the input that make-input.mjs writes', async () => {
      execFileSync(process.execPath, ['make-input.mjs'], { cwd: folder });
      await expectAnswer(worker.url, madeInput(readFileSync(join(folder, 'in.safetensors'))));
    });

    testService(() => worker.url);
  });
});
