/** The servers of the examples on ports that cannot be, or are taken: one line, and an exit code. */
import { spawnSync } from 'node:child_process';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const here = (path: string): string => fileURLToPath(new URL(`../../examples/${path}`, import.meta.url));
const MODEL = here('models/story-llama');

describe.each([
  ['browser', []],
  ['embedding-page', [MODEL]],
])('examples/%s/server.mjs', (name, before) => {
  const serve = (port: string) =>
    spawnSync(process.execPath, [here(`${name}/server.mjs`), ...before, port], { encoding: 'utf8', timeout: 20_000 });

  test.each(['65536', '99999', '-1', '1.5', 'http'])('port %s', (port) => {
    const { status, stdout, stderr } = serve(port);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^[^\n]*expected a whole number from 0 to 65535[^\n]*\n$/);
    expect(stderr).toContain(port);
  });

  test('a port that is taken', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { status, stderr } = serve(`${(server.address() as AddressInfo).port}`);
    server.close();
    expect(status).toBe(1);
    expect(stderr).toMatch(/^[^\n]*EADDRINUSE[^\n]*\n$/);
  });
});
