/**
 * Requirements of a commit (REST catalog OpenAPI, `TableRequirement`): each must hold for the table as it is now.
 */
import { unreachable } from '../../base/assert.ts'
import { Fault } from '../../base/fault.ts'
import { findRef } from './history.ts'
import type { TableMetadata, TableRequirement } from './table-metadata.ts'

/**
 * @param metadata null: the table does not exist
 * @throws Fault `conflict` for the first requirement that does not hold, with what was expected and what is
 */
export function checkRequirements(metadata: TableMetadata | null, requirements: readonly TableRequirement[]): void {
  for (const requirement of requirements) {
    const name = requirement.type === 'assert-ref-snapshot-id' ? `of ref "${requirement.ref}"` : 'of the table'
    if (metadata === null) {
      if (requirement.type !== 'assert-create') throw conflict(`${requirement.type} ${name}`, 'a table', 'none')
      continue
    }
    const { expected, got } = factsOf(metadata, requirement)
    if (expected !== got)
      throw conflict(`${requirement.type} ${name}`, String(expected ?? 'none'), String(got ?? 'none'))
  }
}

type Fact = bigint | number | string | null

/** What the requirement asks for, and what the table has. */
function factsOf(metadata: TableMetadata, requirement: TableRequirement): { expected: Fact; got: Fact } {
  switch (requirement.type) {
    case 'assert-create':
      return { expected: 'no table', got: `one with uuid ${metadata['table-uuid']}` }
    case 'assert-table-uuid':
      return { expected: requirement.uuid.toLowerCase(), got: metadata['table-uuid'].toLowerCase() }
    case 'assert-ref-snapshot-id':
      return { expected: requirement['snapshot-id'], got: findRef(metadata, requirement.ref)?.['snapshot-id'] ?? null }
    case 'assert-last-assigned-field-id':
      return { expected: requirement['last-assigned-field-id'], got: metadata['last-column-id'] }
    case 'assert-current-schema-id':
      return { expected: requirement['current-schema-id'], got: metadata['current-schema-id'] }
    case 'assert-last-assigned-partition-id':
      return { expected: requirement['last-assigned-partition-id'], got: metadata['last-partition-id'] }
    case 'assert-default-spec-id':
      return { expected: requirement['default-spec-id'], got: metadata['default-spec-id'] }
    case 'assert-default-sort-order-id':
      return { expected: requirement['default-sort-order-id'], got: metadata['default-sort-order-id'] }
    default:
      return unreachable(requirement)
  }
}

function conflict(requirement: string, expected: string, got: string): Fault {
  return new Fault(
    'conflict',
    `requirement ${requirement} failed: expected ${expected}, got ${got}; somebody else changed the table, load it and plan again`,
    { requirement, expected, got },
  )
}
