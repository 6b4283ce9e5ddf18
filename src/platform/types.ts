// The host's own types, by names that a declaration can use where the consumer's libraries lack them: without "dom" and @types/node there is
// no WebAssembly, and before TypeScript 5.7 no Uint8Array<ArrayBuffer>.

/** What a global class makes, where the libraries declare it. */
type Declared<Name extends string, Otherwise> = typeof globalThis extends { [Key in Name]: { prototype: infer Type } } ? Type : Otherwise;

/** WebAssembly.Module. */
export type WasmModule = typeof globalThis extends { WebAssembly: { Module: { prototype: infer Type } } } ? Type : object;

/** WebAssembly.Memory. */
export type WasmMemory = typeof globalThis extends { WebAssembly: { Memory: { prototype: infer Type } } }
  ? Type
  : { readonly buffer: ArrayBuffer; grow(delta: number): number };

/** AbortSignal. */
export type Signal = Declared<'AbortSignal', { readonly aborted: boolean; readonly reason: unknown; throwIfAborted(): void }>;

/** URL. */
export type Url = Declared<'URL', { readonly href: string }>;

/** Response, as `fetch` gives it. */
export type FetchResponse = Declared<
  'Response',
  {
    readonly ok: boolean;
    readonly status: number;
    readonly url: string;
    readonly headers: { get(name: string): string | null };
    arrayBuffer(): Promise<ArrayBuffer>;
  }
>;

/** An ArrayBuffer, or a view of one. */
export type Bytes = ArrayBuffer | ArrayBufferView;

/** A Uint8Array on an ArrayBuffer of its own. */
export type OwnBytes = ReturnType<Uint8ArrayConstructor['of']>;
