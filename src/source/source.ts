/**
 * Sources: what tells Tidewater that an object changed, turned into `ObjectEvent`s.
 *
 * Two kinds of events. A *notification* is a JSON document that a store or a bus sent; `readNotification` unwraps every envelope
 * below and reads each record by its own rules. A *directory* is compared with the live inventory: what differs becomes
 * events (`directory.ts`), and a watcher says where to look (`watch.ts`).
 *
 * | envelope                                           | read by            | key arrives      |
 * |----------------------------------------------------|--------------------|------------------|
 * | `{Records:[{s3}]}` of S3, LocalStack, moto, others | `s3-records.ts`    | query-encoded    |
 * | the same from MinIO (webhook, Kafka, queues)       | `s3-records.ts`    | query-encoded    |
 * | the same from versitygw (`s3:` before event names) | `s3-records.ts`    | as it is         |
 * | EventBridge `{source: "aws.s3", detail}`           | `event-bridge.ts`  | as it is         |
 * | EventBridge from LocalStack                        | `event-bridge.ts`  | percent-encoded  |
 * | SNS `{Type: "Notification", Message}`              | `sns.ts`           | in what it wraps |
 * | Lambda's SNS event `{Records:[{Sns}]}`             | `sns.ts`           | in what it wraps |
 * | Lambda's SQS event `{Records:[{body}]}`            | `sqs.ts`           | in what it wraps |
 * | SQS `ReceiveMessage` `{Messages:[{Body}]}`         | `sqs.ts`           | in what it wraps |
 *
 * What brings notifications by itself: queues (`queue.ts`) and Kafka topics (`kafka.ts`), which streams of records read too.
 *
 * A *listing* of a bucket (`listing.ts`), or a report of S3 Inventory (`inventory-report.ts`), says what is there; what it says is
 * compared with what is known in `service/objects/reconcile.ts`.
 *
 * An envelope may hold another (EventBridge in SNS in SQS); an array holds any number of documents; a bare record or
 * message is a document too, so that what a problem carries can be sent again after its cause is gone.
 *
 * Invariants
 * 1. One bad record never costs the others: it becomes a `Problem` with its own text.
 * 2. Every record read is an event, a problem or counted as ignored: nothing disappears.
 * 3. Reading is pure: the same text gives the same result. Order, duplicates and late events are settled later, by
 *    `change/sequence.ts`; sequencers pass as they were sent.
 *
 * Beyond what the stores send, `s3.object.tags` (or `detail.object.tags`), a map of text to text, is accepted: a sender
 * of one's own can give tags so. What some stores leave out or get wrong, and what is made of it, stands with each reader.
 */
import type { ObjectEvent } from '../change/object-event.ts'

export {
  type CompareOptions,
  compareKeys,
  type InventoryEntry,
  isExcluded,
  type ScanOptions,
  scanDirectory,
} from './directory.ts'
export { readNotification, readNotificationBytes } from './envelope.ts'
export { type EventsFileLine, readEventsFile } from './events-file.ts'
export { HybridClock } from './hybrid-clock.ts'
export {
  type InventoryFile,
  type InventoryFormat,
  type InventoryManifest,
  readManifest,
} from './inventory-report.ts'
export {
  type KafkaBatch,
  type KafkaMember,
  type KafkaMessage,
  type KafkaPartition,
  type KafkaPosition,
  KafkaReader,
  type KafkaReaderOptions,
  type KafkaStatus,
  type KafkaTaker,
} from './kafka.ts'
export type { KafkaConnection } from './kafka-client.ts'
export {
  groupedKeys,
  type ListedKey,
  type ListedVersion,
  type ListingOptions,
  listKeys,
  lookAtKey,
} from './listing.ts'
export { type ListingPart, ListingParts, type ListingPartsOptions, type PartRange } from './listing-parts.ts'
export { type OrcBatch, readOrc } from './orc.ts'
export {
  type Queue,
  type QueueDepth,
  type QueueMessage,
  QueueReader,
  type QueueReaderOptions,
  type QueueStatus,
  type QueueTaker,
} from './queue.ts'
export type { SqsConnection } from './sqs-queue.ts'
export { type DirectoryHint, type WatchOptions, watchDirectory } from './watch.ts'

/** Why something could not be read. One word for counting; the message says more. */
export type ProblemReason =
  /** More bytes than `limits.notificationBytesMax`. */
  | 'too-large'
  /** More envelopes in each other than `limits.notificationEnvelopesMax`. */
  | 'too-deep'
  /** More records than `limits.notificationRecordsMax`. */
  | 'too-many'
  | 'not-utf8'
  | 'not-json'
  /** JSON of no known shape. */
  | 'unknown-envelope'
  /** A major version of the record format other than 2. */
  | 'event-version'
  | 'missing-field'
  | 'invalid-field'
  /** A key that is empty, too long, wrongly encoded or not Unicode. */
  | 'key'

/** A document or record that gave no event: material for a dead letter. */
export interface Problem {
  reason: ProblemReason
  /** Expected, got, where. */
  message: string
  /** The text of the smallest part at fault, cut to `limits.deadLetterPayloadBytesMax`; base64 if it is not text. */
  payload: string
  encoding: 'text' | 'base64'
  /** Size and SHA-256 (hex) of the whole part, also when `payload` is cut. */
  sizeBytes: number
  sha256: string
}

/** Read, understood, and rightly without an event: to be counted and acknowledged. */
export interface Ignored {
  /**
   * `test-event`, `subscription` (SNS asks for or reports one), `no-records`, `event-name` (nothing that an object's
   * row shows), `event-source` (an EventBridge event of another service).
   */
  reason: 'test-event' | 'subscription' | 'no-records' | 'event-name' | 'event-source'
  /** The event name, source or type that was met; empty when there is none. */
  name: string
}

/** What one document held, each list in the document's order. */
export interface Notification {
  events: ObjectEvent[]
  problems: Problem[]
  ignored: Ignored[]
}
