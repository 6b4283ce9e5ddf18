/** What `using` asks of a value, where the consumer's libraries declare it: TypeScript before 5.2 and ES2022 alone have no `Symbol.dispose`. */
export type Disposable = SymbolConstructor extends { readonly dispose: infer Key extends symbol } ? { [K in Key]: () => void } : object;

/** The base of classes whose instances `using` ends by their `dispose()`. */
export const Disposing: abstract new () => Disposable = /* @__PURE__ */ disposing();

function disposing(): abstract new () => Disposable {
  abstract class Disposing {
    abstract dispose(): void;
  }
  // Hosts without the symbol: `using` compiled for those looks under the name that stands for it.
  Object.defineProperty(Disposing.prototype, Symbol.dispose ?? Symbol.for('Symbol.dispose'), {
    configurable: true,
    value(this: Disposing) {
      this.dispose();
    },
  });
  return Disposing as unknown as abstract new () => Disposable;
}
