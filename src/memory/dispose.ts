/** `Symbol.dispose`, or what stands for it on hosts without: `using` compiled for those looks there. */
const disposeSymbol: symbol = Symbol.dispose ?? Symbol.for('Symbol.dispose');

/** Makes `using` end the instances of a class by their `dispose()`. */
export function makeDisposable(prototype: { dispose(): void }): void {
  Object.defineProperty(prototype, disposeSymbol, {
    configurable: true,
    value(this: { dispose(): void }) {
      this.dispose();
    },
  });
}
