/** What Nest injects the use cases under. */
export const TENANTS = Symbol('tenants');
