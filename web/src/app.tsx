import type { ComponentType } from 'preact';
import { useEffect, useErrorBoundary, useState } from 'preact/hooks';
import { hashOf, useAddress } from './address.ts';
import { type Panel, panels } from './panels/index.ts';
import { shortened } from './ui/shortened.ts';

const [FIRST] = panels as [Panel];

export function App() {
  const { panel: name } = useAddress();
  const panel = panels.find((one) => one.name === name) ?? (name === '' ? FIRST : undefined);
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        To the panel
      </button>
      <header>
        <h1>Position Lab</h1>
        <nav aria-label="Panels">
          {panels.map((one) => (
            <a key={one.name} href={hashOf(one.name, {})} aria-current={one === panel ? 'page' : undefined}>
              {one.title}
            </a>
          ))}
        </nav>
      </header>
      <main id="main" tabIndex={-1}>
        {panel ? (
          <Shown key={panel.name} panel={panel} />
        ) : (
          <p role="alert">There is no panel “{shortened(name, 60)}”. Choose one above.</p>
        )}
      </main>
      <footer>
        <p>
          Everything here is computed by <code>relpos</code> on the processor of this device; nothing that you type or drop leaves it.
        </p>
      </footer>
    </>
  );
}

function Shown({ panel }: { panel: Panel }) {
  const [Body, setBody] = useState<ComponentType>();
  const [failure, setFailure] = useState<string>();
  const [thrown, again] = useErrorBoundary();
  useEffect(() => {
    document.title = `${panel.title} · Position Lab`;
    // Preact takes a function for a step from the last state: the component is wrapped.
    panel.load().then(
      ({ default: found }) => setBody(() => found),
      (error: unknown) => setFailure(String(error)),
    );
  }, [panel]);
  const wrong = failure ?? (thrown === undefined ? undefined : String(thrown));
  return (
    <section class={`panel ${panel.name}`} aria-labelledby="title">
      <h2 id="title">{panel.question}</h2>
      {wrong === undefined ? (
        Body ? (
          <Body />
        ) : (
          <p role="status">Loading …</p>
        )
      ) : (
        <p role="alert">
          This panel failed: {wrong}{' '}
          {thrown !== undefined && (
            <button type="button" onClick={again}>
              Try again
            </button>
          )}
        </p>
      )}
    </section>
  );
}
