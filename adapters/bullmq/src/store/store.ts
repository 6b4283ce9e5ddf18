// Where bytes lie that are too many for a queue: jobs hold claims on them.
import { type Claim, sha256 } from '../content.ts';

/** Keeps bytes by name. What is put twice under one name is the same bytes. */
export interface Store {
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** Undefined if there is nothing of that name. More than `most` bytes are not read. */
  get(name: string, most: number): Promise<Uint8Array | undefined>;
  delete(name: string): Promise<void>;
  /** Deletes all that an owner has put there. */
  sweep(owner: string): Promise<void>;
  close(): Promise<void>;
}

/** Puts bytes under `<kind>-<their SHA-256>`, and what its owner adds who will delete them. */
export async function deposit(store: Store, kind: string, bytes: Uint8Array, owner = ''): Promise<Claim> {
  const sum = sha256(bytes);
  const name = `${kind}-${sum}${owner && `-${owner}`}`;
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
