// The packed library in every host.
import { hosts } from './hosts.mjs';
import { judge } from './judge.mjs';
import { makeProject } from './project.mjs';
import { table } from './table.mjs';

/** All checks, on the packed library, of the hosts of these names (all unless given; the reference always). Prints the table. */
export async function conformance(tarball, names = hosts.map(({ name }) => name)) {
  const unknown = names.filter((name) => !hosts.some((host) => host.name === name));
  if (unknown.length) throw new Error(`unknown hosts: ${unknown.join(', ')}; there are ${hosts.map(({ name }) => name).join(', ')}`);
  const project = await makeProject(tarball);
  try {
    const asked = hosts.filter(({ name }, n) => n === 0 || names.includes(name));
    const { checks, rows, notes, absent } = await judge(asked, project);
    console.log(`\n${[table(rows, absent), ...notes].join('\n')}\n`);
    return checks;
  } finally {
    await project.remove();
  }
}
