/** The objects service's tables as the configuration wants them. */
import { Fault, messageOf } from '../base/fault.ts'
import { parseOrderText, parseSpecText } from '../iceberg/spec/term-text.ts'
import { deadLetterTable } from '../service/deadletter/deadletter.ts'
import { type ContentMapping, defaultMapping } from '../service/objects/mapping.ts'
import { contentTable, inventoryTable, journalTable } from '../service/objects/tables.ts'
import type { TableDefinition } from '../table/table.ts'
import { checkProperties } from '../table/write-settings.ts'
import { contentColumns } from './content-columns.ts'
import type { ObjectsSettings } from './settings/objects.ts'

export interface ObjectTables {
  mapping: ContentMapping
  content: TableDefinition
  journal: TableDefinition
  inventory: TableDefinition
}

/** The tables that follow a log, by the log's name. */
export function tablesByLog(config: WithObjects): ReadonlyMap<string, TableDefinition> {
  const { journal, inventory, content } = objectTables(config)
  return new Map([
    ['journal', journal],
    ['inventory', inventory],
    ['content', content],
    ['dead-letters', deadLetterTable],
  ])
}

type TableSettings = ObjectsSettings['tables']['content']

interface WithObjects {
  readonly objects: ObjectsSettings
}

/** @throws Fault `invalid` naming every setting that is wrong */
export function objectTables(config: WithObjects): ObjectTables {
  const { tables, problems } = planTables(config)
  if (problems.length > 0) throw new Fault('invalid', problems.join('\n'))
  return tables
}

/** What is wrong with the tables that a configuration wants: sentences that begin with the path of the setting. */
export function tableProblems(config: WithObjects): string[] {
  return planTables(config).problems
}

function planTables({ objects }: WithObjects): { tables: ObjectTables; problems: string[] } {
  const { columns, problems } = contentColumns(objects)
  const { content, tables } = objects
  const mapping: ContentMapping = {
    includeRawMetadata: content.includeRawMetadata,
    columns: content.columns === undefined ? defaultMapping.columns : columns,
  }
  const settled = (definition: TableDefinition, name: keyof typeof tables) =>
    withSettings(definition, tables[name], `objects.tables.${name}`, problems)
  return {
    tables: {
      mapping,
      content: settled(contentTable(mapping), 'content'),
      journal: settled(journalTable, 'journal'),
      inventory: settled(inventoryTable, 'inventory'),
    },
    problems,
  }
}

function withSettings(
  definition: TableDefinition,
  settings: TableSettings,
  where: string,
  problems: string[],
): TableDefinition {
  const { schema } = definition
  /** Runs `work`; what it refuses is noted with the setting's path. */
  const noted = <T>(setting: string, work: () => T): T | undefined => {
    try {
      return work()
    } catch (error) {
      problems.push(`${where}.${setting}: ${messageOf(error)}`)
      return undefined
    }
  }
  const { partitioning, sortOrder, properties } = settings
  const spec = noted('partitioning', () => parseSpecText(partitioning.join(', '), schema))
  const order = noted('sortOrder', () => parseOrderText(sortOrder.join(', '), schema))
  noted('properties', () => checkProperties(properties))
  return {
    ...definition,
    properties: { ...definition.properties, ...properties },
    ...(partitioning.length === 0 || spec === undefined ? {} : { spec }),
    ...(sortOrder.length === 0 || order === undefined ? {} : { sortOrder: order }),
  }
}
