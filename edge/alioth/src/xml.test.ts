import { childrenOf, escapeXml, parseXml, textOf } from './xml';

describe('XML of recorders', () => {
  it('reads one and many the same way, whatever the namespace, and decodes each entity once', () => {
    for (const [open, close] of [
      ['<r xmlns="a"><i><n>1</n></i>', '</r>'],
      ['<x:r xmlns:x="b"><x:i><x:n>1</x:n></x:i><x:i><x:n>007</x:n></x:i>', '</x:r>'],
    ] as const) {
      const root = parseXml(`\uFEFF<?xml version="1.0"?>${open}${close}`.slice(1));
      expect(root?.name).toBe('r');
      expect(childrenOf(root?.node, 'i').map((i) => textOf(i, 'n'))[0]).toBe('1');
    }
    expect(textOf(parseXml('<a><b>&amp;lt;&#20013;&unknown;</b></a>')?.node, 'b')).toBe('&lt;中&unknown;');
    expect(escapeXml('a&b<c>"')).toBe('a&amp;b&lt;c&gt;&quot;');
  });

  it('refuses what is no answer of a recorder', () => {
    for (const bad of ['', 'text', '<a><b></a>', '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', '<a/><b/>', '{"a":1}'])
      expect(parseXml(bad)).toBeUndefined();
    expect(textOf({}, '__proto__', 'x')).toBeUndefined();
    expect(childrenOf(undefined, 'a')).toEqual([]);
  });
});
