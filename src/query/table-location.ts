/** Where the files of a table made by SQL go: to its LOCATION if a store serves it, else where the catalog puts tables. */
import { Fault, isFault } from '../base/fault.ts'
import { type Catalog, formatIdent } from '../iceberg/catalog/catalog.ts'
import { type FileIO, plainLocation } from '../iceberg/file/file.ts'

export type Place =
  /** The location is a folder of a store that is there, and free. */
  | { kind: 'served'; location: string }
  /** No store serves it: it is only remembered. */
  | { kind: 'kept'; location: string }

/**
 * @throws Fault `invalid` when a store serves the location but it is no folder of a table's own: two tables in one folder would
 * take each other's files for orphans
 */
export async function placeTable(
  { catalog, io, warehouse }: { catalog: Catalog; io: FileIO; warehouse: string },
  given: string,
): Promise<Place> {
  const location = given.replace(/\/+$/, '')
  let free: boolean
  try {
    free = await isEmpty(io, location)
  } catch (error) {
    if (isFault(error, 'invalid')) return { kind: 'kept', location: given }
    throw error
  }
  const plain = plainLocation(location)
  const below = plain.slice(plainLocation(warehouse).length + 1).split('/')
  if (
    !location.startsWith(`${warehouse}/`) ||
    below.length < 2 ||
    below.some((part) => ['', '.', '..'].includes(part))
  ) {
    throw refused(given, `it is not of the form ${warehouse}/…/…`)
  }
  if (!free) throw refused(given, 'there are files in it already')
  for (const namespace of await catalog.listNamespaces()) {
    for (const ident of await catalog.listTables(namespace)) {
      const other = plainLocation((await catalog.load(ident)).metadata.location)
      if (`${other}/`.startsWith(`${plain}/`) || `${plain}/`.startsWith(`${other}/`)) {
        throw refused(given, `table ${formatIdent(ident)} is in the same folder`)
      }
    }
  }
  return { kind: 'served', location }
}

async function isEmpty(io: FileIO, location: string): Promise<boolean> {
  for await (const _file of io.list(location)) return false
  return true
}

function refused(location: string, why: string): Fault {
  return new Fault(
    'invalid',
    `LOCATION '${location}' cannot be a table's: ${why}; leave LOCATION out, and the table gets a folder of its own`,
  )
}
