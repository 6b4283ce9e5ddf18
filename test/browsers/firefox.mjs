import { existsSync } from 'node:fs';
import { missingPackages } from './processes.mjs';
import { launchWithPuppeteer } from './puppeteer.mjs';

const PROGRAMS = ['/usr/bin/firefox-esr', '/usr/bin/firefox'];

/** Nothing shall leave the machine. */
const PREFERENCES = {
  'app.update.disabledForTesting': true,
  'browser.shell.checkDefaultBrowser': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
};

export const firefox = {
  name: 'firefox',
  missing: () => missingPackages({ 'firefox-esr': PROGRAMS }),
  launch: () =>
    launchWithPuppeteer('Firefox', { browser: 'firefox', executablePath: PROGRAMS.find(existsSync), extraPrefsFirefox: PREFERENCES }),
};
