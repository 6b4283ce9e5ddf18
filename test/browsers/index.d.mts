export interface Page {
  /** The value of an expression, or what its promise resolves to. */
  evaluate<T>(expression: string): Promise<T>;
  /** Presses a key, named as `KeyboardEvent.key` does, on what has the focus. */
  press(key: string, options?: { readonly shift?: boolean }): Promise<void>;
  close(): Promise<void>;
}
export interface Browser {
  readonly version: string;
  open(url: string): Promise<Page>;
  close(): Promise<void>;
}
export interface BrowserHost {
  readonly name: 'chromium' | 'firefox' | 'webkit';
  missing(): string[];
  /** `sharedMemory: false` leaves WebKitGTK as it is installed, without SharedArrayBuffer; the others always have it. */
  launch(options?: { readonly sharedMemory?: boolean }): Promise<Browser>;
}
export const browsers: readonly BrowserHost[];
