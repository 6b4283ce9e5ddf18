import { useState } from 'preact/hooks';

interface CopyProps {
  /** What the button says. */
  readonly label: string;
  /** The text that is copied, made when the button is pressed. */
  readonly text: () => string;
}

/** A button that copies a text, and shows it where the browser does not let it. */
export function Copy({ label, text }: CopyProps) {
  const [said, setSaid] = useState('');
  const [shown, setShown] = useState<string>();
  const copy = async (): Promise<void> => {
    const copied = text();
    try {
      await navigator.clipboard.writeText(copied);
      setSaid('Copied.');
      setShown(undefined);
    } catch {
      setSaid('This browser does not let the page copy: here it is.');
      setShown(copied);
    }
  };
  return (
    <div class="copy">
      <button type="button" onClick={copy}>
        {label}
      </button>{' '}
      <span role="status" class="quiet">
        {said}
      </span>
      {shown !== undefined && <pre tabIndex={0}>{shown}</pre>}
    </div>
  );
}
