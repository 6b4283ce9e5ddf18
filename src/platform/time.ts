/**
 * Clock, timers and turns of the event loop.
 *
 * What a page yields by decides whether it draws. Frames a second and longest gap during a call of two seconds, in slices of 8 ms, on one
 * thread / on two, and how much longer than without a pause the call takes on one; two cores, Chromium 156, Firefox 153, WebKitGTK 2.50:
 *
 * |                  | Chromium                   | Firefox                    | WebKitGTK                  |
 * | ---------------- | -------------------------- | -------------------------- | -------------------------- |
 * | MessageChannel   | 60 30 ms / 60 23 ms, +4 %  | 16 84 ms / 15 82 ms, +1 %  | 59 39 ms / 60 34 ms, +11 % |
 * | BroadcastChannel | 60 28 ms / 60 25 ms, +9 %  | 60 27 ms / 58 37 ms, +10 % | 40 41 ms / 39 40 ms, +2 %  |
 * | setTimeout       | 60 28 ms / 60 37 ms, +41 % | 56 99 ms / 59 29 ms, +43 % | 59 39 ms / 60 63 ms, +47 % |
 *
 * In Firefox messages within the page come before its frames; one by way of a BroadcastChannel makes a round trip to another process, in
 * which there is time to draw. There `scheduler.postTask` and `scheduler.yield` give 10 to 21 frames, `requestIdleCallback` 60 (+86 %), waiting
 * for a due frame 60 (+25 %). Slices of 8 ms are as smooth as of 4 ms.
 * In a hidden tab a call takes no longer (920 and 879 ms in Chromium, 996 and 1048 ms in Firefox, where by timers it had not ended after 25 s).
 */
import { runtime } from './host.ts';

/** Milliseconds since some fixed moment; never runs backwards. */
export function now(): number {
  return performance.now();
}

/**
 * Calls `callback` once after `ms` milliseconds unless the returned function is called before, which never throws. It keeps the process
 * alive if `holds`.
 */
export function after(ms: number, callback: () => void, holds = true): () => void {
  let cancelled = false;
  const timer = setTimeout(() => {
    if (!cancelled) callback();
  }, ms);
  if (!holds) release(timer);
  return () => {
    cancelled = true;
    try {
      clearTimeout(timer);
    } catch {
      // It may fire for nothing.
    }
  };
}

/** Node's and Bun's timers let go of the process by themselves; Deno's are numbers. */
function release(timer: unknown): void {
  if (typeof timer === 'number') (globalThis as { Deno?: { unrefTimer?(timer: number): void } }).Deno?.unrefTimer?.(timer);
  else (timer as { unref?(): void }).unref?.();
}

/** A way of calling back in a later task: the host's function that it stands on, and how it is asked. It throws where the host has none. */
type Way = readonly [host: WeakKey | undefined, ask: (callback: () => void) => void];

/** The hosts' functions that have called back before. */
const proven = new WeakSet<WeakKey>();
/** Turns given in Deno. */
let denoTurns = 0;

/**
 * Resolves in a later task, so that timers, input and messages get their turn first; never rejects.
 *
 * A way is relied upon alone once it has been seen to work. Until then all are asked at once and the first answer counts: one that throws,
 * as `setImmediate` does in Next's edge runtime, or never calls back, holds nothing up. A host that has none gets no turn.
 */
export function nextTask(): Promise<void> {
  const ways = waysHere();
  return new Promise((resolve) => {
    let asked = false;
    for (const [host, ask] of ways) {
      try {
        ask(() => {
          if (host) proven.add(host);
          resolve();
        });
        asked = true;
        if (host && proven.has(host)) return;
      } catch {}
    }
    if (!asked) resolve();
  });
}

/**
 * The ways of this host, the best first: the one place that decides what yields.
 *
 * Where a host serves requests there is none, and a call runs to its end at once. There a timer belongs to the request that set it and
 * never fires for another, while the calls of all requests to one engine wait in one queue.
 *
 * Elsewhere `setTimeout` comes last: browsers stretch it to 4 ms, and to a second in background tabs. A page of Firefox that is to draw yields
 * by a BroadcastChannel (above).
 *
 * Deno's `setImmediate` lets timers have their turn, but hardly a socket: a server that computed took 3.3 s to receive 5.8 MB, 0.06 s with
 * `setTimeout` for every turn, which costs a fifth of the time, and 0.3 s with one such turn in eight, which costs 3 %. A few dozen channels
 * make its timers wait too, until nothing else is to be done (2.9.5).
 */
function waysHere(): readonly Way[] {
  const { name, version } = runtime();
  if (name === 'workerd' || name === 'edge-light') return [];
  const { setImmediate, BroadcastChannel, MessageChannel, setTimeout } = globalThis;
  if (name === 'deno') {
    const byTimer = [setTimeout, byTimeout] as const;
    return ++denoTurns % 8 === 0 ? [byTimer] : [[setImmediate, bySetImmediate], byTimer];
  }
  const draws = name === 'browser' && 'document' in globalThis;
  return [
    ...(draws && version.startsWith('Firefox/') ? [[BroadcastChannel, byBroadcast] as const] : []),
    [setImmediate, bySetImmediate],
    [MessageChannel, byChannel],
    [setTimeout, byTimeout],
  ];
}

function bySetImmediate(callback: () => void): void {
  globalThis.setImmediate(callback);
}

/** What sends and hears messages; in Node and Bun a port has `on` too. */
type End = Pick<MessagePort | BroadcastChannel, 'postMessage' | 'close'> & {
  onmessage: ((event: MessageEvent) => void) | null;
  on?(event: 'message', listener: () => void): void;
};

/**
 * By a message from one end of a channel to the other, which both end with it. Node listens in its own way: for the events of the other one it
 * loads all of its `fetch`, 20 to 30 ms of a first call (24.21).
 */
function bySending(from: End, to: End, callback: () => void): void {
  const heard = (): void => {
    from.close();
    to.close();
    callback();
  };
  if (to.on) to.on('message', heard);
  else to.onmessage = heard;
  from.postMessage(undefined);
}

/** A fresh channel per turn costs microseconds and leaves nothing behind. */
function byChannel(callback: () => void): void {
  const { port1, port2 } = new MessageChannel();
  bySending(port2, port1, callback);
}

/** A message to a channel of a name that nobody else has; like the channels above, gone after its turn. */
function byBroadcast(callback: () => void): void {
  const name = `relpos ${crypto.getRandomValues(new Uint32Array(4)).join()}`;
  bySending(new BroadcastChannel(name), new BroadcastChannel(name), callback);
}

function byTimeout(callback: () => void): void {
  setTimeout(callback);
}
