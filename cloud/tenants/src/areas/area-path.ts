/** Deep enough for country, province, city, district, community and building. The table's CHECK says the same. */
export const maxAreaDepth = 8;
/** Keeps a tree small enough to read whole. */
export const maxAreas = 5_000;

/** A path is the ids from the top of the tree down to an area, itself included, each with a slash behind it; `` is the top. */
export const idsOf = (path: string): string[] => path.split('/').slice(0, -1);
export const pathBelow = (parentPath: string, id: string): string => `${parentPath}${id}/`;

/** From, inclusive, and to, exclusive: the paths of an area and of everything below it. `0` is the character after the slash. */
export const rangeBelow = (path: string): readonly [string, string] => [path, `${path.slice(0, -1)}0`];
