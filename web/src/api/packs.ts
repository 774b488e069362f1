import type { Calibration, PackInUse } from '@stardipper/proto';
import { request } from './client';

export const getPackInUse = () => request<PackInUse>('GET', '/packs/in-use');
export const getCalibration = () => request<Calibration>('GET', '/packs/in-use/calibration');
