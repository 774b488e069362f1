import type { Person, PersonDeletion } from '@stardipper/proto';
import { request, requestAll } from './client';

export const listPeople = () => requestAll<Person>('/people');
export const createPerson = (name: string, note: string) => request<Person>('POST', '/people', { name, note });
export const changePerson = (id: string, name: string, note: string) => request<Person>('PATCH', `/people/${id}`, { name, note });
export const deletePerson = (id: string) => request<void>('DELETE', `/people/${id}`);
export const addPhoto = (personId: string, file: Blob) => request<unknown>('POST', `/people/${personId}/photos`, file);
export const deletePhoto = (personId: string, photoId: string) => request<void>('DELETE', `/people/${personId}/photos/${photoId}`);
export const listDeletions = () => requestAll<PersonDeletion>('/people/deletions?limit=50', 500);
