import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault, isFault } from '../base/fault.ts'
import type { Catalog } from '../iceberg/catalog/catalog.ts'
import { type NameScope, resolveName } from './names.ts'

/** A scope in which loading any table is refused with `fault`. */
function scopeThatRefuses(fault: Fault): NameScope {
  const catalog: Partial<Catalog> = { name: 'c', listNamespaces: () => Promise.resolve([]) }
  return { catalog: catalog as Catalog, views: new Map(), load: () => Promise.reject(fault) }
}

test('a table whose files are elsewhere is told as that, not as a name that is wrong', async () => {
  const elsewhere = new Fault('invalid', 'expected a location under file:///b', { location: 'file:///a/t' })
  await assert.rejects(resolveName(scopeThatRefuses(elsewhere), ['default', 'orders']), (error) => error === elsewhere)
})

test('a name that no table can have is not found', async () => {
  const refused = new Fault('invalid', 'a name has no "/"')
  await assert.rejects(resolveName(scopeThatRefuses(refused), ['default', '/etc/x']), (error) =>
    isFault(error, 'not-found'),
  )
})
