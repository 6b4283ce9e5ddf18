// What a run of the suites says of a mutation.

/** How vitest begins the message of a test or hook that ran out of time. */
const TIMEOUT = /^(Error: )?(Test|Hook) timed out in/;

/**
 * A run that ended, `{ ok, stopped, output, report }`, as `{ outcome, why }`. A mutation is killed by a test that failed, and by nothing else:
 * not by a suite that cannot be loaded, an error outside of any test, or a test that ran out of time.
 */
export function verdict({ ok, stopped, output, report }) {
  if (stopped) return { outcome: 'hung', why: 'the suites did not end' };
  if (!report) return { outcome: 'broken', why: `no report: ${output.slice(-1000)}` };
  const failed = report.testResults.flatMap((suite) => suite.assertionResults.filter(({ status }) => status === 'failed'));
  const inTime = failed.find(({ failureMessages }) => failureMessages.some((message) => !TIMEOUT.test(message)));
  if (inTime) return { outcome: 'killed', why: inTime.fullName };
  if (failed.length) return { outcome: 'hung', why: `${failed[0].fullName}: ${failed[0].failureMessages[0]?.slice(0, 200)}` };
  if (ok && report.numTotalTests > 0) return { outcome: 'survived' };
  const suite = report.testResults.find(({ status }) => status === 'failed');
  return { outcome: 'broken', why: `no test failed: ${(suite?.message || output).slice(-1000)}` };
}
