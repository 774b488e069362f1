/** A Markdown table. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [`| ${head.join(' | ')} |`, `|${' --- |'.repeat(head.length)}`, ...rows.map((row) => `| ${row.join(' | ')} |`)].join('\n');

/** As code in a cell; a bar would end the cell, in code too. */
export const code = (text: string): string => `\`${text.replaceAll('|', '\\|')}\``;
