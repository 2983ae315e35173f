/** The text of a member, found in any JSON. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { memberText } from './member-text.ts';

test('a member is found wherever it stands, and comes as it was written', () => {
  const seen: [json: string, text: string | undefined][] = [
    ['{}', undefined],
    [' { } ', undefined],
    ['{"a":1}', undefined],
    ['{"p":1}', '1'],
    ['{"p":-1.50e+3,"a":2}', '-1.50e+3'],
    ['\n{ "a" : [ 1 , {"p":2} ] , "p" : { "x" : 1.0 } }', '{ "x" : 1.0 }'],
    ['{"a":"\\"p\\":1,","p":"\\\\","b":"p"}', '"\\\\"'],
    ['{"p":{"]":"}","p":[{}]},"b":1}', '{"]":"}","p":[{}]}'],
    ['{"p":1,"a":"\\"p\\"","p":2}', '2'],
    ['{"p":1,"\\u0070":true }', 'true'],
    ['{"\\u0070":null}', 'null'],
    ['{"p\\n":1,"p":[]}', '[]'],
  ];
  for (const [json, text] of seen) {
    JSON.parse(json);
    assert.equal(memberText(json, 'p'), text, json);
  }
});

test('in any JSON the text of a member is what JSON.parse made its value of', () => {
  const names = fc.oneof(fc.constantFrom('p', 'q', 'pp'), fc.string({ unit: 'binary' }));
  const member = fc.tuple(names, fc.jsonValue(), fc.constantFrom('', ' ', '\r\n\t'));
  fc.assert(
    fc.property(fc.array(member, { maxLength: 6 }), (members) => {
      const texts = members.map(
        ([name, value, space]) =>
          `${space}${JSON.stringify(name)}${space}:${space}${JSON.stringify(value)}${space}`,
      );
      const json = `{${texts.join(',')}}`;
      const text = memberText(json, 'p');
      const value: unknown = (JSON.parse(json) as { p?: unknown }).p;
      assert.deepEqual(text === undefined ? undefined : JSON.parse(text), value);
      const last = members.findLast(([name]) => name === 'p');
      assert.equal(text, last === undefined ? undefined : JSON.stringify(last[1]));
    }),
  );
});
