// Where bytes lie that are too many for a queue: jobs hold claims on them.
import { type Claim, isName, isRun, sha256, show } from '../content.ts';

/**
 * Keeps bytes by name, each for an owner: a run, a request or a context, a UUID that ends the name. What is put twice under one name is the same bytes. Once
 * an owner is swept nothing can be put for it any more: a worker that was thought to be gone, and comes back late, leaves nothing behind.
 */
export interface Store {
  /** From now on things can be put for this owner. */
  begin(owner: string): Promise<void>;
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** Undefined if there is nothing of that name. More than `most` bytes are not read. */
  get(name: string, most: number): Promise<Uint8Array | undefined>;
  delete(name: string): Promise<void>;
  /** Deletes all of an owner. */
  sweep(owner: string): Promise<void>;
  close(): Promise<void>;
}

/** The owner in a name. */
export function ownerOf(name: string): string {
  const owner = name.slice(-36);
  if (!isName(name) || !isRun(owner))
    throw new RangeError(`store: expected letters, digits and hyphens that end with an owner's UUID, got ${show(name)}`);
  return owner;
}

/** The error of a put for an owner that has been swept, or that a server has lost. */
export class OverError extends Error {
  constructor(name: string) {
    super(`${name} is not kept: what it was for is over`);
    this.name = 'OverError';
  }
}

/** Puts bytes under `<kind>-<their SHA-256>-<owner>`. */
export async function deposit(store: Store, kind: string, bytes: Uint8Array, owner: string): Promise<Claim> {
  const sum = sha256(bytes);
  const name = `${kind}-${sum}-${owner}`;
  await store.put(name, bytes);
  return { name, bytes: bytes.length, sha256: sum };
}

/** What a claim stands for, checked. */
export async function redeem(store: Store, { name, bytes, sha256: sum }: Claim): Promise<Uint8Array> {
  const found = await store.get(name, bytes);
  if (!found) throw new Error(`${name} is not in the store: it was never put there, or its time is over`);
  if (found.length !== bytes) throw new RangeError(`${name} expected ${bytes} bytes, got ${found.length}`);
  if (sha256(found) !== sum) throw new RangeError(`${name} has another checksum than its claim says: it was damaged or changed`);
  return found;
}
