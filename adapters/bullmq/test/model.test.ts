import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { fetchModel, MANIFEST, manifestOf, readManifest } from '../src/bulk/model.ts';
import { contents, MODEL, removeAll, temporary } from './kit/files.ts';

afterAll(removeAll);

describe('models by their checksum', () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });
  /** Serves a folder; `change` may change what is sent. */
  const serve = async (
    folder: string,
    change: (path: string, bytes: Buffer) => Buffer | undefined = (_, bytes) => bytes,
  ): Promise<string> => {
    server = createServer((request, response) => {
      const path = (request.url ?? '').slice(1);
      let bytes: Buffer | undefined;
      try {
        bytes = change(path, readFileSync(join(folder, path)));
      } catch {}
      if (bytes) response.end(bytes);
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
  };
  /** A copy of the model with its manifest beside it. */
  const published = async (): Promise<{ folder: string; digest: string }> => {
    const folder = temporary();
    for (const name of readdirSync(MODEL)) copyFileSync(join(MODEL, name), join(folder, name));
    const { text, digest } = await manifestOf(folder);
    writeFileSync(join(folder, MANIFEST), text);
    return { folder, digest };
  };
  test('a folder has the same one wherever it lies, and another one when a byte differs', async () => {
    const { folder, digest } = await published();
    expect((await manifestOf(MODEL)).digest).toBe(digest);
    expect((await manifestOf(folder)).digest).toBe(digest);
    writeFileSync(join(folder, 'config.json'), `${readFileSync(join(folder, 'config.json'), 'utf8')} `);
    expect((await manifestOf(folder)).digest).not.toBe(digest);
    await expect(manifestOf(temporary())).rejects.toThrow(/config.json/);
  });
  test('is fetched, looked at, kept, and not fetched twice', async () => {
    const { folder, digest } = await published();
    const asked: string[] = [];
    const address = await serve(folder, (path, bytes) => {
      asked.push(path);
      return bytes;
    });
    const cache = temporary();
    const found = await fetchModel(address, digest, cache);
    expect(found.folder).toBe(join(cache, digest));
    expect((await manifestOf(found.folder)).digest).toBe(digest);
    const first = asked.splice(0).length;
    expect(first).toBeGreaterThan(3);
    await fetchModel(address, digest, cache);
    expect(asked).toEqual([]);
    // What was damaged since comes again, alone.
    writeFileSync(join(found.folder, 'config.json'), '{}');
    await fetchModel(address, digest, cache);
    expect(asked).toEqual(['config.json']);
  });
  test('nothing else is taken', async () => {
    const { folder, digest } = await published();
    const cache = temporary();
    const refused = async (change: Parameters<typeof serve>[1], why: RegExp): Promise<void> => {
      const address = await serve(folder, change);
      await expect(fetchModel(address, digest, cache)).rejects.toThrow(why);
      server?.closeAllConnections();
      server?.close();
    };
    await refused((path, bytes) => (path === MANIFEST ? Buffer.from(`${bytes} `) : bytes), /expected the checksum/);
    await refused((path, bytes) => (path === 'model.safetensors' ? bytes.subarray(1) : bytes), /expected \d+ bytes, got \d+/);
    await refused(
      (path, bytes) => (path === 'model.safetensors' ? Buffer.concat([bytes, bytes]) : bytes),
      /expected \d+ bytes at most, got \d+/,
    );
    await refused(
      (path, bytes) => (path === 'tokenizer.json' ? Buffer.alloc(bytes.length) : bytes),
      /has another checksum than the manifest says/,
    );
    await refused((path, bytes) => (path === 'tokenizer.json' ? undefined : bytes), /404/);
    expect(Object.keys(contents(cache)).filter((path) => path.endsWith('.part') || path.endsWith('tokenizer.json'))).toEqual([]);
    await expect(fetchModel('http://127.0.0.1:1', 'short', cache)).rejects.toThrow(/needs its checksum/);
  });
  test('a manifest without end, and a server that is not there', async () => {
    server = createServer((_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      };
      response.on('drain', more);
      more();
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    await expect(fetchModel(`http://127.0.0.1:${port}`, 'ab'.repeat(32), temporary())).rejects.toThrow(
      /expected 1048576 bytes at most, got more/,
    );
    await expect(fetchModel('http://127.0.0.1:1', 'ab'.repeat(32), temporary())).rejects.toThrow(
      /^http:\/\/127.0.0.1:1\/\S+ cannot be reached: .+/,
    );
  });
  test('a manifest cannot name files elsewhere', () => {
    for (const path of ['../config.json', '/etc/passwd.json', 'a/b/c.json', 'run.sh', '..\\x.json', MANIFEST]) {
      const text = JSON.stringify({ version: 1, files: [{ path, bytes: 1, sha256: 'ab'.repeat(32) }] });
      expect(() => readManifest(text), path).toThrow(/"path" expected a file of a model/);
    }
  });
});
