/** What the console shows by a key that comes from elsewhere has words; what comes from its own texts the compiler checks. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { featureNames, grantable, roles } from '@stardipper/proto';
import { en } from '../../web/src/i18n/en.ts';
import { zh } from '../../web/src/i18n/zh.ts';

const root = join(__dirname, '..', '..');
const languages = { en, zh };

/** As the sources write them: `action: 'search.started'`. What is put together is listed here. */
const putTogether = ['search.approved', 'search.refused'];
const audited = globSync('cloud/*/src/**/*.ts', { cwd: root })
  .flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/action: '([a-z_]+\.[a-z_]+)'/g)].map((found) => found[1] as string),
  )
  .concat(putTogether);

test.each(Object.entries(languages))('%s has words for everything that is audited, and for each kind of it', (_, { audit }) => {
  expect(audited.length).toBeGreaterThan(40);
  const actions = [...new Set(audited)].sort();
  expect(actions.filter((action) => !(action.replace('.', '_') in audit.actions))).toEqual([]);
  expect([...new Set(actions.map((action) => action.split('.')[0] as string))].filter((kind) => !(kind in audit.kinds))).toEqual([]);
});

test.each(Object.entries(languages))('%s has words for what an API key may be given, for roles, and for features', (_, words) => {
  expect(grantable.filter((permission) => !(permission.replace('.', '_') in words.permissions))).toEqual([]);
  expect(roles.filter((role) => !(role in words.roles))).toEqual([]);
  expect(featureNames.filter((feature) => !(feature in words.settings.feature))).toEqual([]);
});
