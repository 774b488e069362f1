import type { Person, PersonDeletion } from '@stardipper/proto';
import { ApiError, request, requestAll } from './client';

export const listPeople = () => requestAll<Person>('/people?limit=50', 10_000);
export const getPerson = (id: string) => request<Person>('GET', `/people/${id}`);
/** Those of them who are still there. Every look at a face is recorded: a few are asked for one by one. */
export const somePeople = async (ids: readonly string[]): Promise<Person[]> => {
  if (ids.length > 20) return (await listPeople()).filter((person) => ids.includes(person.id));
  const found = await Promise.all(ids.map((id) => getPerson(id).catch(missing)));
  return found.filter((person) => person !== undefined);
};
const missing = (refused: unknown): undefined => {
  if (refused instanceof ApiError && refused.problem.status === 404) return undefined;
  throw refused;
};
export const createPerson = (name: string, note: string) => request<Person>('POST', '/people', { name, note });
export const changePerson = (id: string, name: string, note: string) => request<Person>('PATCH', `/people/${id}`, { name, note });
export const deletePerson = (id: string) => request<void>('DELETE', `/people/${id}`);
export const addPhoto = (personId: string, file: Blob) => request<unknown>('POST', `/people/${personId}/photos`, file);
export const deletePhoto = (personId: string, photoId: string) => request<void>('DELETE', `/people/${personId}/photos/${photoId}`);
export const listDeletions = () => requestAll<PersonDeletion>('/people/deletions?limit=50', 500);
