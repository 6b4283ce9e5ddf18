/** One thread's share of a job, step by step. */
import { expect, test } from 'vitest';
import { BELL, CONTROL_BYTES, controlView, DONE, ENDED, NEXT, resetJob, STOPPED } from '../../src/threads/control.ts';
import { Share, stopTiles, TileTrap } from '../../src/threads/tiles.ts';

/** What a share does: `stage:tile.step`; what it waits for a stage with, `looks`; where it traps, if at all. */
interface Watched {
  readonly words: Int32Array;
  readonly ran: string[];
  readonly looks: number[];
  readonly share: Share;
}

/** A share of stages of so many tiles and steps each, whose rest says of each look whether to pause. */
function shareOf(
  stages: readonly (readonly [tiles: number, steps: number])[],
  trapAt?: string,
  rest = (_: number): boolean => true,
): Watched {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const words = controlView(memory, 65536 - CONTROL_BYTES);
  resetJob(words);
  const ran: string[] = [];
  const looks: number[] = [];
  const stage = (n: number) => {
    const [tiles, steps] = stages[n] as (typeof stages)[number];
    const kernel = (job: number, tile: number, _scratch: number, step: number): void => {
      ran.push(`${job}:${tile}.${step}`);
      if (ran.at(-1) === trapAt) throw new Error('trapped');
    };
    return { kernel, job: n, tiles, steps };
  };
  const resting = (bell: number, look: number): boolean => {
    expect(bell).toBe(words[BELL]);
    looks.push(look);
    return rest(look);
  };
  return { words, ran, looks, share: new Share(words, { stages: stages.length, stage, scratch: 64, rest: resting }) };
}

const pausing = (): boolean => true;
const going = (): boolean => false;

test('a tile is done with its last step, and is drawn once, the first one first', () => {
  const { words, ran, looks, share } = shareOf([[2, 3]]);
  const done: number[] = [];
  while (!share.run(pausing)) done.push(words[DONE] as number);
  expect(ran).toEqual(['0:0.0', '0:0.1', '0:0.2', '0:1.0', '0:1.1', '0:1.2']);
  expect(done).toEqual([0, 0, 1, 1, 1, 2]);
  expect(looks).toEqual([]);
});

test('stages come in order, those of no tile among them, and each end but the last rings once', () => {
  const { words, ran, looks, share } = shareOf([
    [0, 1],
    [2, 1],
    [0, 3],
    [1, 2],
    [2, 1],
    [0, 1],
  ]);
  const bells: number[] = [];
  while (!share.run(pausing)) bells.push(words[BELL] as number);
  expect(ran).toEqual(['1:0.0', '1:1.0', '3:0.0', '3:0.1', '4:0.0', '4:1.0']);
  expect(bells).toEqual([0, 1, 1, 2, 2, 3]);
  expect([words[DONE], looks.length]).toEqual([5, 0]);
  const one = shareOf([[3, 1]]);
  expect(one.share.run(going)).toBe(true);
  expect(one.words[BELL]).toBe(0);
});

test('a tile of a stage waits until all tiles of earlier ones are done, however long the share pauses', () => {
  const stages = [
    [2, 1],
    [1, 1],
    [2, 1],
  ] as const;
  const { words, ran, looks, share } = shareOf(stages, undefined, (look) => look === 2);
  words[NEXT] = 1; // somebody else has drawn one
  expect(share.run(going)).toBe(false);
  expect(ran).toEqual(['0:1.0']);
  expect(looks).toEqual([0, 1, 2]);
  expect(share.run(going)).toBe(false);
  expect(looks).toEqual([0, 1, 2, 0, 1, 2]);
  expect([words[NEXT], words[DONE]]).toEqual([3, 1]);
  Atomics.add(words, DONE, 1);
  expect(share.run(going)).toBe(true);
  expect(ran).toEqual(['0:1.0', '1:0.0', '2:0.0', '2:1.0']);
  expect(looks.length).toBe(6);
});

test('a stop breaks the wait, and rings', () => {
  const { words, ran, share } = shareOf([
    [2, 1],
    [5, 1],
  ]);
  words[NEXT] = 2;
  expect(share.run(going)).toBe(false);
  stopTiles(words);
  expect(words[BELL]).toBe(1);
  expect(share.run(going)).toBe(true);
  expect(ran).toEqual([]);
});

test('a stopped share leaves the tile at its next step, and takes no other', () => {
  const { words, ran, share } = shareOf([
    [2, 3],
    [2, 1],
  ]);
  expect(share.run(pausing)).toBe(false);
  stopTiles(words);
  expect([words[STOPPED], words[NEXT]]).toEqual([1, ENDED]);
  expect(share.run(going)).toBe(true);
  expect(ran).toEqual(['0:0.0']);
  expect(words[DONE]).toBe(0);
  const late = shareOf([[2, 1]]);
  stopTiles(late.words);
  expect(late.share.run(going)).toBe(true);
  expect(late.ran).toEqual([]);
});

test('a trap says in which tile of its stage', () => {
  const { share, words } = shareOf(
    [
      [3, 1],
      [2, 2],
    ],
    '1:1.1',
  );
  const caught = ((): unknown => {
    try {
      return share.run(going);
    } catch (error) {
      return error;
    }
  })();
  expect(caught).toBeInstanceOf(TileTrap);
  expect(caught).toMatchObject({ tile: 1, cause: new Error('trapped') });
  expect(words[DONE]).toBe(4);
});
