/** What Nest injects the use cases under. */
export const SEARCH = Symbol('search');
