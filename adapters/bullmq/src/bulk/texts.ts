// The texts of a shard on their way to a worker: JSON in gzip, and the name that they give the shard.
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { sha256, show } from '../content.ts';
import type { Item } from './corpus.ts';
import { type Settings, settingsText } from './settings.ts';

const MOST_TEXTS = 65_536;
/** Bytes at most that a shard's texts unpack to. */
const MOST_BYTES = 256 * 2 ** 20;

const pack = promisify(gzip);
const unpack = promisify(gunzip);

/** A shard's name: what it is computed from. */
export const shardName = (items: readonly Item[], settings: Settings): string =>
  sha256(settingsText(settings), '\n', JSON.stringify(items));

export const encodeTexts = async (items: readonly Item[]): Promise<Uint8Array> => pack(JSON.stringify(items), { level: 3 });

/** What `encodeTexts` made. Anything else is refused, small as it may look. */
export async function decodeTexts(bytes: Uint8Array): Promise<Item[]> {
  let text: Buffer;
  try {
    text = await unpack(bytes, { maxOutputLength: MOST_BYTES });
  } catch (error) {
    throw new RangeError(`texts: expected gzip of ${MOST_BYTES} bytes at most: ${(error as Error).message}`);
  }
  let list: unknown;
  try {
    list = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch {
    throw new RangeError('texts: expected JSON');
  }
  if (!Array.isArray(list) || list.length < 1 || list.length > MOST_TEXTS) {
    throw new RangeError(`texts: expected a list of 1 to ${MOST_TEXTS}, got ${Array.isArray(list) ? list.length : show(list)}`);
  }
  return list.map((item: unknown, n) => {
    if (typeof item === 'string') return item;
    const reason =
      typeof item === 'object' && item !== null && Object.keys(item).length === 1 ? (item as { reason?: unknown }).reason : undefined;
    if (typeof reason !== 'string') throw new RangeError(`texts[${n}]: expected a string or a reason, got ${show(item)}`);
    return { reason };
  });
}
