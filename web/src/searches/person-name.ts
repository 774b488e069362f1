import type { Person } from '@stardipper/proto';
import { i18n } from '../i18n';
import { useSession } from '../session/session';

/** Who somebody is who is not among `people`: deleted, or not for this reader to know. */
export function personName(people: readonly Person[], id: string): string {
  const known = people.find((person) => person.id === id);
  if (known) return known.name;
  return i18n.t(useSession().mayCall('GET /api/v1/people') ? 'searches.personGone' : 'searches.personHidden') as string;
}
