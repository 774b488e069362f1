import { isDeepStrictEqual } from 'node:util';
import { type Audit, type Cache, type Caller, type Database, type WriteEvent, who } from '@star/platform';
import type { ShownSettings, TenantSettings } from '@stardipper/proto';
import { lockTenant } from '../life/tenant-life.store';
import { tenantError } from '../tenants.errors';
import { parsedSettings, readSettings } from './read-settings';
import { findSettings, writeSettings } from './settings.store';

export interface ChangeSettingsDeps {
  readonly database: Database;
  readonly cache: Cache;
  readonly writeEvent: WriteEvent;
  readonly audit: Audit;
}

type Part = keyof TenantSettings;

/**
 * Writes the whole of a tenant's settings as its next version and tells everybody. Throws `settings.changed` (with the
 * version there is now) when `version` is not the one in force, `settings.not_yours` (with the parts) when something
 * differs that the caller may not change, `tenant.not_found`, `tenant.wrong_state` for one that is being opened. Settings that say what is in force make no new version.
 */
export const changeSettings =
  (deps: ChangeSettingsDeps) =>
  async (
    caller: Caller,
    tenantId: string,
    input: { readonly version: number; readonly settings: TenantSettings },
    mayChange: readonly Part[],
  ): Promise<ShownSettings> => {
    await deps.database.system('change settings', async (tx) => {
      // Under the tenant's lock versions follow each other.
      const tenant = await lockTenant(tx, tenantId);
      if (!tenant || tenant.state === 'removed' || tenant.state === 'removing') throw tenantError('tenant.not_found', { tenantId });
      // Its saga may just be taking away what was made: what is written now would be left behind.
      if (tenant.state === 'opening') throw tenantError('tenant.wrong_state', { state: tenant.state });
      const row = await findSettings(tx, tenantId);
      const version = row?.version ?? 0;
      if (version !== input.version) throw tenantError('settings.changed', { version });
      const before = parsedSettings(row);
      const changed = (Object.keys(input.settings) as Part[]).filter((part) => !isDeepStrictEqual(before[part], input.settings[part]));
      const foreign = changed.filter((part) => !mayChange.includes(part));
      if (foreign.length > 0) throw tenantError('settings.not_yours', { parts: foreign });
      if (changed.length === 0) return;
      await writeSettings(tx, tenantId, version, input.settings, caller.username);
      await deps.writeEvent(tx, {
        topic: 'config.updated.v1',
        key: tenantId,
        tenantId,
        message: { tenantId, version: version + 1, settingsJson: JSON.stringify(input.settings) },
      });
      const of = (settings: TenantSettings) => Object.fromEntries(changed.map((part) => [part, settings[part]]));
      const change = { before: of(before), after: of(input.settings), details: { version: version + 1 } };
      for (const log of new Set([caller.tenantId, tenantId]))
        await deps.audit(tx, { ...who(caller), tenantId: log, action: 'settings.changed', subject: tenantId, ...change });
    });
    await deps.cache.invalidate(tenantId, 'settings');
    return readSettings(deps)(tenantId, mayChange);
  };
