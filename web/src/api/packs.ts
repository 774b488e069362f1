import type { PackInUse } from '@stardipper/proto';
import { request } from './client';

export const getPackInUse = () => request<PackInUse>('GET', '/packs/in-use');
