/**
 * Requirements of a commit (REST catalog OpenAPI, `TableRequirement`): each must hold for the table as it is now.
 */
import { unreachable } from '../../base/assert.ts'
import { Fault } from '../../base/fault.ts'
import type { TableMetadata, TableRequirement } from './table-metadata.ts'

/**
 * @param metadata null: the table does not exist
 * @throws Fault `conflict` for the first requirement that does not hold, with what was expected and what is
 */
export function checkRequirements(metadata: TableMetadata | null, requirements: readonly TableRequirement[]): void {
  for (const requirement of requirements) {
    if (requirement.type === 'assert-create') {
      if (metadata !== null) throw conflict(requirement.type, 'no table', `one with uuid ${metadata['table-uuid']}`)
      continue
    }
    if (metadata === null) throw conflict(requirement.type, 'a table', 'none')
    checkOne(metadata, requirement)
  }
}

function checkOne(metadata: TableMetadata, requirement: Exclude<TableRequirement, { type: 'assert-create' }>): void {
  switch (requirement.type) {
    case 'assert-table-uuid':
      return mustEqual(requirement.type, requirement.uuid.toLowerCase(), metadata['table-uuid'].toLowerCase())
    case 'assert-ref-snapshot-id': {
      const got = metadata.refs[requirement.ref]?.['snapshot-id'] ?? null
      return mustEqual(`${requirement.type} of "${requirement.ref}"`, requirement['snapshot-id'], got)
    }
    case 'assert-last-assigned-field-id':
      return mustEqual(requirement.type, requirement['last-assigned-field-id'], metadata['last-column-id'])
    case 'assert-current-schema-id':
      return mustEqual(requirement.type, requirement['current-schema-id'], metadata['current-schema-id'])
    case 'assert-last-assigned-partition-id':
      return mustEqual(requirement.type, requirement['last-assigned-partition-id'], metadata['last-partition-id'])
    case 'assert-default-spec-id':
      return mustEqual(requirement.type, requirement['default-spec-id'], metadata['default-spec-id'])
    case 'assert-default-sort-order-id':
      return mustEqual(requirement.type, requirement['default-sort-order-id'], metadata['default-sort-order-id'])
    default:
      unreachable(requirement)
  }
}

function mustEqual(
  requirement: string,
  expected: bigint | number | string | null,
  got: bigint | number | string | null,
): void {
  if (expected !== got) throw conflict(requirement, String(expected ?? 'none'), String(got ?? 'none'))
}

function conflict(requirement: string, expected: string, got: string): Fault {
  return new Fault(
    'conflict',
    `requirement ${requirement} failed: expected ${expected}, got ${got}; somebody else changed the table, load it and plan again`,
    { requirement, expected, got },
  )
}
