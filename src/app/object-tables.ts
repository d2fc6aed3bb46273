/** The objects service's tables as the configuration wants them. */
import { Fault, messageOf } from '../base/fault.ts'
import { parseOrderText, parseSpecText } from '../iceberg/spec/term-text.ts'
import { parseTypeText } from '../iceberg/spec/type-text.ts'
import { deadLetterTable } from '../service/deadletter/deadletter.ts'
import { type ContentMapping, defaultMapping, type MappedColumn } from '../service/objects/mapping.ts'
import { contentTable, inventoryTable, journalTable } from '../service/objects/tables.ts'
import type { TableDefinition } from '../table/table.ts'
import type { Config } from './config.ts'

export interface ObjectTables {
  mapping: ContentMapping
  content: TableDefinition
  journal: TableDefinition
  inventory: TableDefinition
}

/** The tables that follow a log, by the log's name. */
export function tablesByLog(config: Config): ReadonlyMap<string, TableDefinition> {
  const { journal, inventory, content } = objectTables(config)
  return new Map([
    ['journal', journal],
    ['inventory', inventory],
    ['content', content],
    ['dead-letters', deadLetterTable],
  ])
}

type TableSettings = Config['objects']['tables']['content']

/** @throws Fault `invalid` naming the setting that is wrong */
export function objectTables(config: Config): ObjectTables {
  const { content, tables } = config.objects
  const mapping: ContentMapping = {
    includeRawMetadata: content.includeRawMetadata,
    columns:
      content.columns === undefined
        ? defaultMapping.columns
        : Object.entries(content.columns).map(([name, column]) => mappedColumn(name, column)),
  }
  return {
    mapping,
    content: withSettings(contentTable(mapping), tables.content, 'objects.tables.content'),
    journal: withSettings(journalTable, tables.journal, 'objects.tables.journal'),
    inventory: withSettings(inventoryTable, tables.inventory, 'objects.tables.inventory'),
  }
}

const FIXED_COLUMNS = ['bucket', 'key', 'versionId', 'sequencer', 'etag', 'metadata', 'lastModified']

function mappedColumn(name: string, { type, jpath }: { type: string; jpath: string }): MappedColumn {
  if (FIXED_COLUMNS.some((fixed) => fixed.toLowerCase() === name.toLowerCase())) {
    throw new Fault(
      'invalid',
      `objects.content.columns.${name}: the table has a column of that name already; choose another`,
    )
  }
  return { name, jpath, type: named(`objects.content.columns.${name}.type`, () => parseTypeText(type, () => 0)) }
}

function withSettings(definition: TableDefinition, settings: TableSettings, where: string): TableDefinition {
  const { schema } = definition
  return {
    ...definition,
    properties: { ...definition.properties, ...settings.properties },
    ...(settings.partitioning.length === 0
      ? {}
      : { spec: named(`${where}.partitioning`, () => parseSpecText(settings.partitioning.join(', '), schema)) }),
    ...(settings.sortOrder.length === 0
      ? {}
      : { sortOrder: named(`${where}.sortOrder`, () => parseOrderText(settings.sortOrder.join(', '), schema)) }),
  }
}

/** Runs `work`; what it refuses is told with the setting's path. */
function named<T>(where: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new Fault('invalid', `${where}: ${messageOf(error)}`, {}, error)
  }
}
