export const TENANT_LIFE = Symbol('tenant life');
