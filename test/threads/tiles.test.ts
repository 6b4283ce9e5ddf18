/** One thread's share of a job, step by step. */
import { expect, test } from 'vitest';
import { CONTROL_BYTES, controlView, DONE, NEXT, STOPPED, writeJob } from '../../src/threads/control.ts';
import { Share, stopTiles, TileTrap } from '../../src/threads/tiles.ts';

const [tiles, steps] = [2, 3];

/** A share that writes down what it runs and traps at one step, if at all. */
function shareOf(trapAt?: string): { words: Int32Array; ran: string[]; share: Share } {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const words = controlView(memory, 65536 - CONTROL_BYTES);
  writeJob(words, { kernel: 'any', job: 7, tiles, steps, scratch: 0, threads: 1 }, { kernel: 0, threads: 1, at: 64 });
  const ran: string[] = [];
  const kernel = (_job: number, tile: number, _scratch: number, step: number): void => {
    ran.push(`${tile}.${step}`);
    if (ran.at(-1) === trapAt) throw new Error('trapped');
  };
  return { words, ran, share: new Share(words, { kernel, job: 7, tiles, steps, scratch: 64 }) };
}

test('a tile is done with its last step, and is drawn once, the last one first', () => {
  const { words, ran, share } = shareOf();
  const done: number[] = [];
  while (!share.run(() => true)) done.push(words[DONE] as number);
  expect(ran).toEqual(['1.0', '1.1', '1.2', '0.0', '0.1', '0.2']);
  expect(done).toEqual([0, 0, 1, 1, 1, 2]);
});

test('a stopped share leaves the tile at its next step, and takes no other', () => {
  const { words, ran, share } = shareOf();
  expect(share.run(() => true)).toBe(false);
  stopTiles(words, tiles);
  expect([words[STOPPED], words[NEXT]]).toEqual([1, tiles]);
  expect(share.run(() => false)).toBe(true);
  expect(ran).toEqual(['1.0']);
  expect(words[DONE]).toBe(0);
});

test('a trap says in which tile', () => {
  const { share } = shareOf('1.1');
  const caught = ((): unknown => {
    try {
      return share.run(() => false);
    } catch (error) {
      return error;
    }
  })();
  expect(caught).toBeInstanceOf(TileTrap);
  expect(caught).toMatchObject({ tile: 1, cause: new Error('trapped') });
});
