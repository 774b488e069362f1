import { type Role, roles } from '@stardipper/proto/rules';
import { i18n } from '../i18n';

/** What the caller may give: a tenant's roles, and the platform's for its operators. */
export const rolesToGive = (callersRoles: readonly string[]): readonly Role[] =>
  roles.filter((role) => !role.startsWith('platform-') || callersRoles.includes('platform-operator'));

/** A role in the reader's words; one that is none of Star's is shown as it is. */
export const roleName = (role: string): string => (i18n.te(`roles.${role}`, 'en') ? (i18n.t(`roles.${role}`) as string) : role);
