import type { ComponentType } from 'preact';

/** A panel of the page; its code is loaded when it opens. */
export interface Panel {
  readonly name: string;
  readonly title: string;
  /** What it answers, in a sentence. */
  readonly question: string;
  readonly load: () => Promise<{ default: ComponentType }>;
}

export const panels: readonly Panel[] = [
  { name: 'schemes', title: 'Schemes', question: 'What does a scheme do to the scores?', load: () => import('./schemes/index.tsx') },
  { name: 'cell', title: 'Inside a cell', question: 'How does one probability come about?', load: () => import('./cell/index.tsx') },
  {
    name: 'length',
    title: 'Length',
    question: 'What happens beyond the length of the training?',
    load: () => import('./length/index.tsx'),
  },
  { name: 'models', title: 'Models', question: 'What do whole models see?', load: () => import('./models/index.tsx') },
  {
    name: 'speed',
    title: 'Speed',
    question: 'How fast is this machine, and does it compute the same bits?',
    load: () => import('./speed/index.tsx'),
  },
];
