/**
 * Started in the locale "C", WebKitGTK calls its language that, which is no name of one: the charts' library, which makes its formats when it is
 * loaded, would fail. It reads English then.
 */
export function nameLanguage(): void {
  try {
    Intl.getCanonicalLocales(navigator.language);
  } catch {
    Object.defineProperty(navigator, 'language', { value: 'en' });
  }
}
