import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { rootElement, unescapeXml, xmlTokens } from './xml.ts'
import { readXmp } from './xmp.ts'

const NAMES =
  'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:d="http://purl.org/dc/elements/1.1/" xmlns:x="http://ns.adobe.com/xap/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'

function packet(inside: string, attributes = ''): Uint8Array {
  return Buffer.from(
    `<?xpacket begin="\ufeff"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF ${NAMES}><rdf:Description rdf:about="" ${attributes}>${inside}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>`,
  )
}

test('properties are found by namespace, as elements and as attributes', () => {
  const inside = `
    <d:title><rdf:Alt><rdf:li xml:lang="de">Ebbe</rdf:li><rdf:li xml:lang="x-default">Low tide</rdf:li></rdf:Alt></d:title>
    <d:creator><rdf:Seq><rdf:li>Zoë</rdf:li><rdf:li>M&#252;ller</rdf:li></rdf:Seq></d:creator>
    <d:subject><rdf:Bag><rdf:li>sea</rdf:li><rdf:li> &amp; <![CDATA[<tide>]]> </rdf:li></rdf:Bag></d:subject>
    <photoshop:City>Husum</photoshop:City><dc:rights xmlns:dc="http://example.com/other">not ours</dc:rights>`
  assert.deepEqual(readXmp(packet(inside, 'x:Rating="5" x:CreateDate="2024-05-06T07:08:09+02:00"')), {
    rating: 5,
    created: '2024-05-06T07:08:09+02:00',
    title: 'Low tide',
    creator: ['Zoë', 'Müller'],
    subject: ['sea', '& <tide>'],
    city: 'Husum',
  })
})

test('a property with an unknown entity is left out, the others stay', () => {
  const bomb = Buffer.concat([
    Buffer.from('<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b SYSTEM "file:///etc/passwd">]>'),
    packet(
      '<d:title>&a;</d:title><d:subject><rdf:Bag><rdf:li>ok</rdf:li><rdf:li>&b;</rdf:li></rdf:Bag></d:subject><x:Rating>3</x:Rating>',
    ),
  ])
  assert.deepEqual(readXmp(bomb), { rating: 3 })
})

test('values of the wrong kind are left out', () => {
  assert.deepEqual(
    readXmp(packet('<x:Rating>many</x:Rating><d:title/><d:description> </d:description><x:Label>red</x:Label>')),
    { label: 'red' },
  )
  assert.equal(readXmp(Buffer.from('no markup')), null)
  assert.equal(readXmp(new Uint8Array(0)), null)
})

test('the first element is found behind prolog, comments and declarations', () => {
  for (const [text, want] of [
    ['<svg/>', 'svg'],
    ['\ufeff<?xml version="1.0"?><!-- <html> --><!DOCTYPE svg [<!ENTITY a "]>"> <!-- > --> ]>\n<s:svg a="1">', 'svg'],
    ['<!DOCTYPE html><html>', 'html'],
    ['plain <svg>', undefined],
    ['<!-- <svg>', undefined],
    ['</svg>', undefined],
    ['<svg', undefined],
  ] as const) {
    assert.equal(rootElement(Buffer.from(text))?.local, want, text)
  }
})

test('references resolve, and what is none is text', () => {
  for (const [text, want] of [
    ['a &lt;&gt;&amp;&quot;&apos; b', `a <>&"' b`],
    ['&#65;&#x1F30A;', 'A🌊'],
    ['&#0;&#xD800;&#x110000;', '\ufffd\ufffd\ufffd'],
    ['AT & T', 'AT & T'],
    ['&lol;', null],
    ['&constructor;', null],
    ['&amp', null],
  ] as const) {
    assert.equal(unescapeXml(text), want, text)
  }
})

test('any text at all ends, in bounded steps', () => {
  const markup = fc.array(
    fc.constantFrom(
      '<',
      '>',
      '/',
      '!',
      '?',
      '--',
      '[',
      ']',
      '"',
      "'",
      '=',
      ' ',
      'a',
      '&',
      ';',
      '<!DOCTYPE ',
      '<![CDATA[',
      'xmlns:a',
    ),
    { maxLength: 200 },
  )
  fc.assert(
    fc.property(markup, (parts) => {
      const text = parts.join('')
      assert.ok([...xmlTokens(text)].length <= text.length + 1)
      readXmp(Buffer.from(text))
      readXmp(packet(text))
    }),
    { numRuns: 1_000 },
  )
})

test('megabytes of half-open markup are read in reasonable time', () => {
  for (const part of ['<a ', '<!--', '<a b="', '&', '<![CDATA[', '<a>', '<!DOCTYPE [<', "<a b='x' "]) {
    const started = performance.now()
    readXmp(Buffer.from(part.repeat(Math.floor(2e6 / part.length))))
    assert.ok(performance.now() - started < 3_000, part)
  }
})
