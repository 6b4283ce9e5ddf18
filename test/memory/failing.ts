/** Makes each allocation of an operation fail in turn, and says what must hold whichever it is. */
import { expect } from 'vitest';
import { createEngine, createEngineSync, type Engine, RelposError, type Tensor } from '../../src/index.ts';
import { Arena } from '../../src/memory/arena.ts';
import { baseline } from '../../src/wasm/generated/baseline.ts';
import { unpack } from '../../src/wasm/unpack.ts';
import { expectSameBits } from '../attention/call.ts';

export type Bits = Float32Array | Float64Array | Uint16Array;

/** An operation that is ready to run, any number of times. */
export interface Ready {
  /** Runs it and leaves nothing behind: its outputs as plain arrays. */
  run(): Promise<readonly Bits[]> | readonly Bits[];
  /** What a failure may not change, as plain arrays: the keys of a cache, the contents of an output. */
  probe?(): Promise<readonly Bits[]> | readonly Bits[];
}

export interface Operation {
  readonly name: string;
  /** Makes its inputs; their allocations are not those of the operation. */
  setup(engine: Engine): Ready | Promise<Ready>;
  /** Default 1. */
  readonly threads?: number;
}

/** The contents of tensors that are no longer needed. */
export function taken(...tensors: readonly (Tensor | undefined)[]): Bits[] {
  return tensors.flatMap((tensor) => {
    if (!tensor) return [];
    try {
      return [tensor.contiguous ? (tensor.view().slice() as Bits) : tensor.toArray()];
    } finally {
      tensor.dispose();
    }
  });
}

/** Which allocation fails, counted from 1, and whether all that follow fail too. */
interface Fault {
  readonly first: number;
  readonly forever: boolean;
}

/** Runs something with an allocator that fails as it is told; the allocations that were asked for. */
async function withFault<T>(fault: Fault | undefined, run: () => Promise<T> | T): Promise<{ asked: number; result?: T; error?: unknown }> {
  const { allocate } = Arena.prototype;
  let asked = 0;
  Arena.prototype.allocate = function (this: Arena, bytes: number): number {
    asked++;
    if (fault && (fault.forever ? asked >= fault.first : asked === fault.first)) {
      throw new RelposError('out-of-memory', 'this allocation fails', { asked: bytes, limit: 0 });
    }
    return allocate.call(this, bytes);
  };
  try {
    return { result: await run(), asked };
  } catch (error) {
    return { error, asked };
  } finally {
    Arena.prototype.allocate = allocate;
  }
}

function expectSame(got: readonly Bits[] | undefined, expected: readonly Bits[]): void {
  expect(got?.length).toBe(expected.length);
  for (const [n, bits] of expected.entries()) expectSameBits(got?.[n] as Bits, bits);
}

const module = new WebAssembly.Module(unpack(baseline));
const engineOf = (threads: number): Promise<Engine> | Engine =>
  threads > 1 ? createEngine({ threads }) : createEngineSync({ wasm: module });

/** The operation on an engine of its own, ready; `used` is without the tables that the engine keeps for later calls. */
async function prepared({ setup, threads = 1 }: Operation): Promise<{ engine: Engine; ready: Ready; used(): number }> {
  const engine = await engineOf(threads);
  const ready = await setup(engine);
  const used = (): number => {
    engine.releaseTables();
    return engine.memoryUsage().used;
  };
  return { engine, ready, used };
}

/** What is right: bytes in use before the operation and after it, what the probe sees, and what comes out. */
interface Expected {
  readonly used: number;
  readonly probed: readonly Bits[];
  readonly outputs: readonly Bits[];
  /** Allocations that it asks for. */
  readonly asked: number;
}

/** Runs the operation twice with nothing amiss. */
async function withoutFailure(operation: Operation): Promise<Expected> {
  const before = await prepared(operation);
  const used = before.used();
  const probed = (await before.ready.probe?.()) ?? [];
  before.engine.dispose();
  const { engine, ready, used: usedAfter } = await prepared(operation);
  const { result, error, asked } = await withFault(undefined, ready.run);
  if (error) throw error;
  const outputs = result as readonly Bits[];
  expectSame(await ready.run(), outputs);
  expect(usedAfter(), 'memory in use after two runs').toBe(used);
  engine.dispose();
  return { used, probed, outputs, asked };
}

/**
 * Fails the allocations of an operation one by one; returns how many there are. Whichever it is, the operation says so or does without; memory
 * in use, what the probe sees and the result of the next run are then as if it had never been tried.
 */
export async function failEach(operation: Operation): Promise<number> {
  const expected = await withoutFailure(operation);
  for (const forever of [false, true]) {
    for (let first = 1; first <= expected.asked; first++) {
      const { engine, ready, used } = await prepared(operation);
      const what = `allocation ${first} of ${expected.asked}${forever ? ' and all after it' : ''} failed`;
      const { result, error } = await withFault({ first, forever }, ready.run);
      if (error === undefined) expectSame(result, expected.outputs);
      else {
        expect(error, what).toBeInstanceOf(RelposError);
        expect((error as RelposError).code, what).toBe('out-of-memory');
      }
      expect(used(), `memory in use after ${what}`).toBe(expected.used);
      expectSame((await ready.probe?.()) ?? [], expected.probed);
      expectSame(await ready.run(), expected.outputs);
      expect(used(), `memory in use after ${what} and a run without failure`).toBe(expected.used);
      engine.dispose();
    }
  }
  return expected.asked;
}
