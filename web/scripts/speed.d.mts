import type { Known } from '../src/panels/speed/cases.ts';
import type { Published } from '../src/panels/speed/published.ts';

export function makeReference(): Promise<{ host: string; cases: Known[] }>;
export function makePublished(): Published[];
/** The result files that `makePublished` reads. */
export function publishedFiles(): string[];
