import { Progress, type Work } from '../../ui/work.tsx';
import { type Chosen, OWN } from './client.ts';

interface ModelBarProps {
  readonly kind: 'encoder' | 'decoder';
  readonly chosen: Chosen;
  readonly facts: string | undefined;
  readonly work: Work;
  readonly stop: () => void;
  readonly load: () => void;
  readonly choose: (chosen: Chosen) => void;
}

/** Which model is at work, and how far it is loaded. */
export function ModelBar({ kind, chosen, facts, work, stop, load, choose }: ModelBarProps) {
  const isOwn = 'builtIn' in chosen.source;
  return (
    <div class="model">
      <p class="quiet">
        Model: {chosen.title}
        {facts && `, ${facts}`}.{' '}
        {!isOwn && (
          <button type="button" onClick={() => choose(OWN[kind]())}>
            Take the page’s own
          </button>
        )}
      </p>
      {facts === undefined && (
        <div class="row">
          <Progress work={work} stop={stop} label={`Loading ${chosen.title}`} />
          {!work.busy && (
            <button type="button" onClick={load}>
              Load again
            </button>
          )}
        </div>
      )}
    </div>
  );
}
