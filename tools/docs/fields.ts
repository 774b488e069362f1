import type * as proto from '@stardipper/proto';

/** A zod schema of `proto`; this package has no zod of its own. */
type Schema = typeof proto.createTaskParams | typeof proto.createTaskReply | typeof proto.taskReport;
type Node = {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Node[];
  readonly items?: Node;
  readonly prefixItems?: readonly Node[];
  readonly enum?: readonly string[];
  readonly const?: unknown;
  readonly type?: string;
};

/** What a schema takes, on one line: `{ taskId: string, range: { from: integer, to: integer }, error? }`. */
export const fieldsOf = (schema: Schema): string => drawn(schema.toJSONSchema({ io: 'input', unrepresentable: 'any' }) as Node);

function drawn(node: Node): string {
  if (node.anyOf) return node.anyOf.map(drawn).join(' | ');
  if (node.enum) return node.enum.map((each) => `"${each}"`).join(' | ');
  if (node.const !== undefined) return JSON.stringify(node.const);
  if (node.prefixItems) return `[${node.prefixItems.map(drawn).join(', ')}]`;
  if (node.items) return `${drawn(node.items)}[]`;
  if (!node.properties) return node.type ?? 'any';
  const required = new Set(node.required);
  return `{ ${Object.entries(node.properties)
    .map(([name, each]) => `${name}${required.has(name) ? '' : '?'}: ${drawn(each)}`)
    .join(', ')} }`;
}
