/** Event names of S3 and of the stores that speak like it → what happened to the object. */
import type { ObjectEventKind } from '../change/object-event.ts'

/** MinIO sends changes of tags and locks under `ObjectCreated`, with the sequencer of the object's creation. */
const CREATED_BUT_UPDATES = new Set(['PutTagging', 'DeleteTagging', 'PutRetention', 'PutLegalHold'])

/**
 * Removals are listed one by one: what is taken for a removal hides an object, so a name that is not known is left to
 * the next listing. `DeleteObjects` is versitygw's, `DeleteAllVersions` MinIO's (it names one version; a listing finds
 * the others).
 */
const REMOVED: Record<string, ObjectEventKind> = {
  Delete: 'delete',
  DeleteObjects: 'delete',
  DeleteAllVersions: 'delete',
  DeleteMarkerCreated: 'marker',
}

/** What a name of the `Records` format (without `s3:`) says, or null when no row of an object shows it. */
export function kindOfName(name: string): ObjectEventKind | null {
  const colon = name.indexOf(':')
  const family = colon < 0 ? name : name.slice(0, colon)
  const action = colon < 0 ? '' : name.slice(colon + 1)
  switch (family) {
    case 'ObjectCreated':
      return CREATED_BUT_UPDATES.has(action) ? 'update' : 'create'
    case 'ObjectRemoved':
    case 'LifecycleExpiration':
      // `ObjectRemoved:NoOP` (MinIO) deleted nothing.
      return Object.hasOwn(REMOVED, action) ? REMOVED[action]! : null
    case 'LifecycleDelMarkerExpiration':
      return action === 'Delete' ? 'delete' : null
    case 'ObjectTagging':
    case 'ObjectAcl':
    case 'ObjectRestore':
    case 'LifecycleTransition':
    case 'IntelligentTiering':
      return 'update'
    case 'ObjectTransition':
      return action === 'Complete' ? 'update' : null
    default:
      return null
  }
}

/** What an EventBridge `detail-type` says. `deleted`: its `deletion-type` tells delete from marker. */
export function kindOfDetailType(type: string): 'create' | 'update' | 'deleted' | null {
  switch (type) {
    case 'Object Created':
      return 'create'
    case 'Object Deleted':
      return 'deleted'
    case 'Object Restore Initiated':
    case 'Object Restore Completed':
    case 'Object Restore Expired':
    case 'Object Storage Class Changed':
    case 'Object Access Tier Changed':
    case 'Object ACL Updated':
    case 'Object Tags Added':
    case 'Object Tags Deleted':
      return 'update'
    default:
      return null
  }
}
