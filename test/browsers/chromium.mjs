import { existsSync } from 'node:fs';
import { missingPackages } from './processes.mjs';
import { launchWithPuppeteer } from './puppeteer.mjs';

const PROGRAMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const chromium = {
  name: 'chromium',
  missing: () => missingPackages({ chromium: PROGRAMS }),
  launch: () => launchWithPuppeteer('Chrome', { executablePath: PROGRAMS.find(existsSync), args: FLAGS }),
};
