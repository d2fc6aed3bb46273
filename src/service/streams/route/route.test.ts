/** Which table a record goes to, by rules and expressions, and what is not allowed. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { outcomesOf, pipelineRecords } from '../../../../test/support/pipeline.ts'
import type { Json } from '../../../base/json.ts'
import { readRecord } from '../record.ts'
import { compileCondition, libraryCondition } from './condition.ts'
import { compileExpression } from './expression.ts'
import { RouteStep } from './route.ts'
import { routeSettings } from './settings.ts'

const record = {
  type: 'Order',
  n: 5,
  big: 2 ** 60,
  no: null,
  empty: '',
  flag: true,
  meta: { db: 'shop', 'odd name': 'x', 'quo"te': 'y' },
  items: [{ price: 3 }, { price: 9 }],
  limit: 4,
  text: "it's $5",
  high: '\u{10000}',
}

/** Where records go: database, table and operation, or the code. */
function route(settings: object, records: readonly object[], options: object = {}): string[] {
  const step = new RouteStep({ table: 'shop.events', settings: routeSettings.parse(settings), ...options })
  const batch = pipelineRecords(...records)
  step.run(batch)
  return outcomesOf(batch).map((line) => line.replace(/^row (.*?) \{.*$/, '$1'))
}

describe('an expression', () => {
  const table: [string, string | null][] = [
    ['orders', 'orders'],
    ['"orders"', 'orders'],
    ['$.type', 'Order'],
    ["$['meta']['odd name']", 'x'],
    ['$.items[1].price', '9'],
    ['$.items[*].price', null],
    ['$.items[?@.price > 5].price', '9'],
    ['.type', 'Order'],
    ['.meta.db', 'shop'],
    ['.meta."odd name"', 'x'],
    ['.meta["odd name"]', 'x'],
    ['.meta."quo\\"te"', 'y'],
    ['.items[0].price', '3'],
    ['.["type"]', 'Order'],
    ['.type | ascii_downcase', 'order'],
    ['.type|ascii_upcase', 'ORDER'],
    ['.missing // "other"', 'other'],
    ['.missing // "Other" | ascii_downcase', 'other'],
    ['.type // "other"', 'Order'],
    ['.n', '5'],
    ['.missing', null],
    ['.no', null],
    ['.empty', null],
    ['.flag', null],
    ['.meta', null],
    ['.items.length', null],
    ['.__proto__', null],
    ['.constructor', null],
    ['events_{.type | ascii_downcase}', 'events_order'],
    ['{.meta.db}_{$.n}', 'shop_5'],
    ['a_{.missing}', null],
    ['{"x"}y', 'xy'],
  ]
  for (const [text, expected] of table) {
    test(`that says ${text} gives ${expected}`, () => {
      assert.equal(compileExpression(text).read(record as Json), expected)
    })
  }

  for (const text of [
    '$.',
    '.',
    '.a b',
    '.a // other',
    '.a | length',
    '"open',
    '{.a',
    'a}',
    '{}',
    '{a}',
    '.a[-1]',
    '.."a"',
  ]) {
    test(`that says ${text} is refused`, () => {
      assert.throws(() => compileExpression(text), { kind: 'invalid' })
    })
  }
})

describe('a condition', () => {
  const table: [string, boolean][] = [
    ["$.type == 'Order'", true],
    ["$['type'] != 'Order'", false],
    ["$.type == 'Order' && $.n >= 5", true],
    ['$.n > 5 || $.n < 5', false],
    ['!($.n == 5)', false],
    ['$.meta', true],
    ['!$.missing', true],
    ['$.no', true],
    ['$.no == null', true],
    ['$.missing == null', false],
    ['$.missing == $.other', true],
    ["$.n == '5'", false],
    ['$.flag == true', true],
    ["@.meta.db == 'shop'", true],
    ['$.items[0].price == 3', true],
    ['$.items[-1].price > $.items[0].price', true],
    ['$.items[7]', false],
    ['$.items[?@.price > $.limit]', true],
    ['$.items[?@.price > 10]', false],
    ["match($.type, 'O.*')", true],
    ['length($.items) == 2', true],
    ["$.text == 'it\\'s $5'", true],
    ['$.text == "it\'s $5"', true],
    ['$.items == $.items', true],
    // Texts are ordered by code point.
    ["$.high > '\\uffff'", true],
  ]
  for (const [text, expected] of table) {
    test(`that says ${text} is ${expected}`, () => {
      assert.equal(compileCondition(text)(record as unknown as Json), expected)
    })
  }

  for (const text of [
    '',
    '$.type = 1',
    '1',
    "$.a == 'x",
    '$.a)] [?($.b',
    '$.a], $.b[?(@.c',
    "$.a[0] == 1 && match(@.b, 'x')",
  ]) {
    test(`that says "${text}" is refused`, () => {
      assert.throws(() => compileCondition(text), { kind: 'invalid' })
    })
  }

  test('is what the JSONPath library makes of it, compiled or not', () => {
    const value = fc.oneof(
      fc.constantFrom<Json>(null, true, false, 0, 1, -1.5, 'a', 'b', 'é', ''),
      fc.constantFrom<Json>([], [1], ['a'], {}, { a: 1 }),
    )
    const document = fc.dictionary(
      fc.constantFrom('a', 'b', 'c'),
      fc.oneof(value, fc.dictionary(fc.constant('d'), value)),
    )
    const path = fc.constantFrom('$.a', '$.b', '@.c', "$['a'].d", '@.b.d', '$.missing')
    const literal = fc.constantFrom('1', '0', "'a'", "'b'", 'null', 'true', '"é"', '-1.5')
    const comparison = fc
      .tuple(path, fc.constantFrom('==', '!=', '<', '>', '<=', '>='), fc.oneof(path, literal))
      .map((parts) => parts.join(' '))
    const atom = fc.oneof(
      comparison,
      path,
      path.map((text) => `!${text}`),
    )
    const text = fc
      .array(fc.tuple(atom, fc.constantFrom('&&', '||')), { minLength: 1, maxLength: 4 })
      .map((parts) => parts.map(([each, op], at) => (at === 0 ? each : `${op} ${each}`)).join(' '))
    fc.assert(
      fc.property(text, document, (condition, doc) => {
        assert.equal(compileCondition(condition)(doc as Json), libraryCondition(condition)(doc as Json))
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('routing', () => {
  test('takes the first rule that holds, then the short one, then the own table', () => {
    const rules = [
      { when: "$.type == 'order'", table: 'orders' },
      { when: "$.type == 'user' && $.gone == true", database: 'crm', table: 'users', operation: 'delete' },
      { when: "$.type == 'user'", database: 'crm', table: 'users', operation: '{.op // "insert"}' },
      { when: "$.type == 'noise'", drop: true },
    ]
    const records = [
      { type: 'order' },
      { type: 'user', gone: true },
      { type: 'user', op: 'update' },
      { type: 'user' },
      { type: 'noise' },
      { type: 'else' },
    ]
    const expected = ['shop.orders', 'crm.users delete', 'crm.users update', 'crm.users insert', 'dropped']
    assert.deepEqual(route({ rules }, records), [...expected, 'shop.events'])
    assert.deepEqual(route({ rules, otherwise: 'dead-letter' }, records), [...expected, 'failed Unroutable'])
    assert.deepEqual(route({ rules, otherwise: 'drop' }, records), [...expected, 'dropped'])
    assert.deepEqual(route({ rules, table: 'rest' }, records), [...expected, 'shop.rest'])
  })

  test('by expressions alone, as delivery streams have them', () => {
    const settings = { database: '.db', table: '.type', operation: '.op' }
    assert.deepEqual(
      route(settings, [
        { db: 'lake', type: 'orders', op: 'insert' },
        { db: 'lake', type: 'orders' },
        { db: 'lake', type: 7, op: 'delete' },
        { db: 'lake.raw', type: 'orders', op: 'update' },
        { db: 'lake', type: '../orders', op: 'insert' },
        { db: 'lake', type: 'a b', op: 'insert' },
        { db: 'la..ke', type: 'a', op: 'insert' },
        { db: 'lake', type: ['orders'], op: 'insert' },
        { db: 'lake', type: 'orders', op: 'merge' },
        { db: 'lake', type: 'x'.repeat(200), op: 'insert' },
      ]),
      [
        'lake.orders insert',
        'failed Unroutable',
        'lake.7 delete',
        'lake.raw.orders update',
        'failed InvalidDestination',
        'failed InvalidDestination',
        'failed InvalidDestination',
        'failed Unroutable',
        'failed InvalidOperation',
        'failed InvalidDestination',
      ],
    )
  })

  test('tells records that are no objects as such', () => {
    const batch = pipelineRecords('not json', '[]', { type: 'a' })
    new RouteStep({ table: 'shop.events', settings: routeSettings.parse({ table: '.type' }) }).run(batch)
    assert.deepEqual(outcomesOf(batch), ['failed InvalidJson', 'failed NotAnObject', 'row shop.a {"type":"a"}'])
  })

  test('reads a record that an earlier step has changed', () => {
    const [first] = pipelineRecords({ type: 'old', n: 1 })
    const read = readRecord(Buffer.from('{"type":"new","n":2}'))
    assert.ok(first !== undefined && read.ok)
    first.value = read.value
    first.changed = true
    new RouteStep({ table: 'shop.events', settings: routeSettings.parse({ table: '{.type}_{.n}' }) }).run([first])
    assert.equal(first.destination, 'shop.new_2')
  })

  test('leaves the operation that the sender said, and the table that a function gave', () => {
    const [first, second] = pipelineRecords({ type: 'a' }, { type: 'a' })
    assert.ok(first !== undefined && second !== undefined)
    first.operation = 'delete'
    second.destination = 'lake.raw'
    new RouteStep({ table: 'shop.events', settings: routeSettings.parse({ table: '.type', operation: 'insert' }) }).run(
      [first, second],
    )
    assert.deepEqual([first.destination, first.operation], ['shop.a', 'delete'])
    assert.deepEqual([second.destination, second.operation], ['lake.raw', undefined])
  })

  test('holds destinations to those allowed, their number, and those of nobody else', () => {
    const settings = { database: '.db', table: '.t', destinations: ['shop.*', 'lake.raw_*'], destinationsMax: 4 }
    const records = [
      { db: 'shop', t: 'a' },
      { db: 'lake', t: 'b' },
      { db: 'lake', t: 'raw_b' },
      { db: 'shop.deep', t: 'a' },
      { db: 'shop', t: 'events' },
      { db: 'shop', t: 'taken' },
      { db: 'shop', t: 'c' },
      { db: 'shop', t: 'd' },
      { db: 'shop', t: 'a' },
    ]
    assert.deepEqual(route(settings, records, { isTaken: (table: string) => table === 'shop.taken' }), [
      'shop.a',
      'failed DestinationNotAllowed',
      'lake.raw_b',
      'failed DestinationNotAllowed',
      'shop.events',
      'failed DestinationNotAllowed',
      'shop.c',
      'failed TooManyDestinations',
      'shop.a',
    ])
    assert.deepEqual(route({ database: '.db', table: '.t' }, [{ db: 'tidewater', t: 'dead_letters' }]), [
      'failed DestinationNotAllowed',
    ])
    const known = () => ['shop.d', 'shop.e', 'shop.f']
    assert.deepEqual(route(settings, records.slice(-2), { known }), ['shop.d', 'failed TooManyDestinations'])
  })

  test('settings are refused with the path of each problem', () => {
    const { error } = routeSettings.safeParse({
      rules: [
        { when: '$.a =', table: 'a/b' },
        { table: '.a b', operation: '$.' },
      ],
      database: '{.a',
      destinations: ['shop/x'],
      destinationsMax: 0,
      otherwise: 'x',
    })
    assert.deepEqual(error?.issues.map(({ path }) => path.join('.')).sort(), [
      'database',
      'destinations.0',
      'destinationsMax',
      'otherwise',
      'rules.0.table',
      'rules.0.when',
      'rules.1.operation',
      'rules.1.table',
    ])
  })
})
