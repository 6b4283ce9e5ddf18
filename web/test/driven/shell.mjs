export const name = 'shell';

export async function drive(lab) {
  await lab.open('#/nowhere');
  lab.check('a panel that is not there is named', (await lab.eval('lab.text("[role=alert]")')).includes('“nowhere”'));
  await lab.axe('an address that is none');
}
