import type { Chosen } from './client.ts';
import type { Settings } from './settings.ts';

/** The models that the parts use: the page's, or those that were dropped. */
export interface Models {
  readonly encoder: Chosen;
  readonly decoder: Chosen;
}

/** What a part is given. */
export interface PartProps {
  readonly settings: Settings;
  readonly set: (changed: Partial<Settings>) => void;
  readonly models: Models;
  readonly choose: (changed: Partial<Models>) => void;
}
