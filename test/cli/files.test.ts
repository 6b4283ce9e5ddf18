import crypto from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, watch, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { describe, expect, it, vi } from 'vitest';
import { outputTarget, readWhole, writeWhole } from '../../src/cli/files.ts';
import { folder } from './process.ts';

const never = new AbortController().signal;

describe('writeWhole', () => {
  it('writes every byte and leaves nothing beside', async () => {
    const { path, names } = folder();
    const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i & 255);
    await writeWhole(path('x'), bytes, never);
    expect(new Uint8Array(readFileSync(path('x')))).toEqual(bytes);
    expect(names()).toEqual(['x']);
    expect(await readWhole(path('x'), never)).toEqual(bytes);
  });

  it('writes an empty file', async () => {
    const { path } = folder();
    await writeWhole(path('x'), new Uint8Array(0), never);
    expect(readFileSync(path('x')).length).toBe(0);
    expect((await readWhole(path('x'), never)).length).toBe(0);
  });

  it('keeps the file that was there when it is interrupted or fails', async () => {
    const { path, names } = folder();
    writeFileSync(path('x'), 'old');
    await expect(writeWhole(path('x'), new Uint8Array(9), AbortSignal.abort())).rejects.toThrow(/abort/i);
    mkdirSync(path('folder/in'), { recursive: true });
    await expect(writeWhole(path('folder'), new Uint8Array(9), never)).rejects.toThrow();
    expect(readFileSync(path('x'), 'utf8')).toBe('old');
    expect(names()).toEqual(['folder', 'x']);
  });

  it('never writes through a link that stands where the temporary file goes', async () => {
    const { path } = folder();
    writeFileSync(path('victim'), 'kept');
    const opened: string[] = [];
    // A name that can be foreseen would be the same twice; and an existing one is not opened.
    for (const name of ['x', 'y']) {
      const seen = new Set<string>();
      const watcher = watch(path(''), (_, found) => void (found && seen.add(found)));
      await writeWhole(path(name), Uint8Array.of(1), never);
      await new Promise((resolve) => setTimeout(resolve, 50));
      watcher.close();
      opened.push(...[...seen].filter((found) => found.endsWith('.tmp')));
    }
    expect(new Set(opened).size).toBe(2);
    for (const name of opened) expect(name).toMatch(/^\.relpos-[0-9a-f]{24}\.tmp$/);
    expect(readFileSync(path('victim'), 'utf8')).toBe('kept');
  });

  it('opens its temporary file only if there is none of that name', async () => {
    const { path, names } = folder();
    writeFileSync(path('victim'), 'kept');
    vi.spyOn(crypto, 'randomBytes').mockImplementation(() => Buffer.alloc(12));
    syncBuiltinESMExports();
    symlinkSync(path('victim'), path(`.relpos-${'0'.repeat(24)}.tmp`));
    try {
      await expect(writeWhole(path('x'), Uint8Array.of(1), never)).rejects.toThrow(`cannot write ${path('x')}: EEXIST`);
    } finally {
      vi.restoreAllMocks();
      syncBuiltinESMExports();
    }
    expect(readFileSync(path('victim'), 'utf8')).toBe('kept');
    expect(names()).toEqual([`.relpos-${'0'.repeat(24)}.tmp`, 'victim']);
  });

  it('names the file that it cannot write', async () => {
    const { path } = folder();
    await expect(writeWhole(path('none/x'), new Uint8Array(1), never)).rejects.toThrow(`cannot write ${path('none/x')}: no such file`);
  });
});

describe('readWhole and outputTarget', () => {
  it('stop when interrupted', async () => {
    const { path } = folder();
    writeFileSync(path('x'), 'some');
    await expect(readWhole(path('x'), AbortSignal.abort())).rejects.toThrow(/abort/i);
  });

  it('take a path with spaces and say it in quotes', async () => {
    const { path } = folder();
    await expect(readWhole(path('no file\n'), never)).rejects.toThrow(`cannot read ${JSON.stringify(path('no file\n'))}: no such file`);
    expect(await outputTarget(path('a b'))).toBe(path('a b'));
  });

  it('refuse what may not be read (root may read everything)', async () => {
    const { path } = folder();
    writeFileSync(path('x'), 'some');
    chmodSync(path('x'), 0);
    if (process.getuid?.() === 0) expect((await readWhole(path('x'), never)).length).toBe(4);
    else await expect(readWhole(path('x'), never)).rejects.toThrow('permission denied');
  });
});
