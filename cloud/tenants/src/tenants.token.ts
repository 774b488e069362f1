export const TENANTS = Symbol('tenants');
