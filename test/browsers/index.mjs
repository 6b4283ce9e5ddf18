// The browsers of the tests, all behind one interface. `missing()` names the Debian packages that are not installed. `launch()` starts the browser
// with nothing of the user's; what it returns tells the `version`, and opens pages, which evaluate expressions and take keys. One page at a time is open.
import { chromium } from './chromium.mjs';
import { firefox } from './firefox.mjs';
import { webkit } from './webkit.mjs';

export const browsers = [chromium, firefox, webkit];
