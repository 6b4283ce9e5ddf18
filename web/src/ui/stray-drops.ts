/** A file that is dropped beside the place for it would be opened by the browser in place of the page, and all that was typed would be gone. */
export function keepStrayDrops(): void {
  const keep = (event: DragEvent): void => {
    const { target, dataTransfer, defaultPrevented } = event;
    const taken = defaultPrevented || (target instanceof HTMLInputElement && target.type === 'file');
    if (taken || !dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    dataTransfer.dropEffect = 'none';
  };
  addEventListener('dragover', keep);
  addEventListener('drop', keep);
}
