import { useEffect, useState } from 'preact/hooks';
import { tryIsolationAgain } from '../../isolate.ts';
import type { Api } from './compute.ts';
import { type Device, deviceWords, helpFor, type Place } from './device.ts';
import { inWorker } from './in-worker.ts';

const place = (): Place => ({
  isolated: crossOriginIsolated,
  secure: isSecureContext,
  serviceWorkers: 'serviceWorker' in navigator,
  framed: globalThis.self !== globalThis.top,
});

/** What this device gives, in words, as an engine of the library found it. */
export function DeviceReport() {
  const [device, setDevice] = useState<Device>();
  const [failure, setFailure] = useState<string>();
  useEffect(() => {
    const leaving = new AbortController();
    inWorker<Api, Device>('speed', leaving.signal, (api) => api.device()).then(setDevice, (error: unknown) => {
      if (!leaving.signal.aborted) setFailure(error instanceof Error ? error.message : String(error));
    });
    return () => leaving.abort();
  }, []);
  const help = helpFor(place());
  return (
    <section aria-labelledby="device" class="device">
      <h3 id="device">What this device gives</h3>
      {failure === undefined ? (
        device ? (
          <ul>
            {deviceWords(device).map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        ) : (
          <p role="status">Asking the library …</p>
        )
      ) : (
        <p role="alert">No engine could be made: {failure}</p>
      )}
      {help !== undefined && (
        <details>
          <summary>How this page gets threads</summary>
          <p>{help}</p>
          <p>
            Threads share memory, which browsers allow only in a page that is sent with two headers. <code>npx relpos-lab</code> sends them;
            on other hosts a service worker of this page adds them.
          </p>
          <pre tabIndex={0}>{'Cross-Origin-Opener-Policy: same-origin\nCross-Origin-Embedder-Policy: require-corp'}</pre>
          <button type="button" onClick={tryIsolationAgain}>
            Load the page again
          </button>
        </details>
      )}
    </section>
  );
}
