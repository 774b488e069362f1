import type { ChangeUser, CreatedUser, CreateUser, Page, User } from '@stardipper/proto';
import { request } from './client';

export const listUsers = (cursor: string | null) =>
  request<Page<User>>('GET', `/users?limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`);
export const createUser = (body: CreateUser) => request<CreatedUser>('POST', '/users', body);
export const changeUser = (id: string, body: ChangeUser) => request<User>('PATCH', `/users/${id}`, body);
export const deleteUser = (id: string) => request<void>('DELETE', `/users/${id}`);
export const resetPassword = (id: string) => request<{ password: string }>('POST', `/users/${id}/password`);
export const resetSecondFactor = (id: string) => request<void>('DELETE', `/users/${id}/second-factor`);
export const endSessions = (id: string) => request<void>('DELETE', `/users/${id}/sessions`);
export const endOwnSessions = () => request<void>('DELETE', '/me/sessions');
