/** A weight, by the name that the graph has for it. */
export interface Weight {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}
export declare const installed: boolean;
export declare const RESERVED: number;
export declare const LENGTH: number;
export declare const FOLDER: string;
export declare function readWeights(): Map<string, Weight>;
export declare function readVocabulary(): [piece: string, score: number][];
export declare function only(weights: ReadonlyMap<string, Weight>, ...parts: string[]): Weight;
export declare function writeCheckpoint(folder?: string): string;
