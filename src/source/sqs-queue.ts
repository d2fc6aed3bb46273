/** A queue of Amazon SQS, or of a server that speaks its protocol, by AWS's own client: addresses, credentials, signatures, retries. */
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { Fault, messageOf } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { Queue, QueueDepth, QueueMessage } from './queue.ts'

export interface SqsConnection {
  queueUrl: string
  /** Null: the queue's own host. */
  endpoint: string | null
  /** Null: what AWS's chain says. */
  region: string | null
  /** Null: AWS's chain: the environment, profiles, the role of the machine or container. */
  credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | null
}

/** Messages of one call, by SQS's own bound. */
const BATCH = 10

/** @throws Fault `invalid` for an address that is none */
export function openSqsQueue(connection: SqsConnection): Queue {
  return new SqsQueue(connection)
}

class SqsQueue implements Queue {
  readonly #url: string
  readonly #client: SQSClient

  constructor({ queueUrl, endpoint, region, credentials }: SqsConnection) {
    this.#url = queueUrl
    this.#client = new SQSClient({
      // A queue is where its address says that it is, also in a network that reaches AWS by an address of its own.
      endpoint: endpoint ?? new URL(queueUrl).origin,
      ...(region === null ? {} : { region }),
      ...(credentials === null ? {} : { credentials }),
      maxAttempts: 3,
    })
  }

  async receive(hiddenSeconds: number, signal: AbortSignal): Promise<QueueMessage[]> {
    const command = new ReceiveMessageCommand({
      QueueUrl: this.#url,
      MaxNumberOfMessages: BATCH,
      WaitTimeSeconds: limits.queueWaitSeconds,
      VisibilityTimeout: hiddenSeconds,
      MessageSystemAttributeNames: ['SentTimestamp'],
    })
    const abortSignal = AbortSignal.any([
      signal,
      AbortSignal.timeout(limits.queueWaitSeconds * 1000 + limits.queueRequestMs),
    ])
    const { Messages = [] } = await this.#ask('sqs:ReceiveMessage', this.#client.send(command, { abortSignal }))
    return Messages.map(messageOfSqs)
  }

  async hide(messages: readonly QueueMessage[], hiddenSeconds: number): Promise<void> {
    for (const some of batches(messages)) {
      const Entries = some.map(({ receipt }, at) => ({
        Id: String(at),
        ReceiptHandle: receipt,
        VisibilityTimeout: hiddenSeconds,
      }))
      const command = new ChangeMessageVisibilityBatchCommand({ QueueUrl: this.#url, Entries })
      const { Failed = [] } = await this.#ask('sqs:ChangeMessageVisibility', this.#client.send(command, within()))
      if (Failed[0] !== undefined)
        throw new Fault(
          'unavailable',
          `${Failed.length} messages stay hidden no longer: ${Failed[0].Message ?? Failed[0].Code}`,
        )
    }
  }

  async remove(messages: readonly QueueMessage[]): Promise<QueueMessage[]> {
    const left: QueueMessage[] = []
    for (const some of batches(messages)) {
      const Entries = some.map(({ receipt }, at) => ({ Id: String(at), ReceiptHandle: receipt }))
      const command = new DeleteMessageBatchCommand({ QueueUrl: this.#url, Entries })
      const { Failed = [] } = await this.#ask('sqs:DeleteMessage', this.#client.send(command, within()))
      left.push(...Failed.flatMap(({ Id }) => some[Number(Id)] ?? []))
    }
    return left
  }

  async depth(): Promise<QueueDepth> {
    const command = new GetQueueAttributesCommand({
      QueueUrl: this.#url,
      AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'],
    })
    const { Attributes = {} } = await this.#ask('sqs:GetQueueAttributes', this.#client.send(command, within()))
    return {
      waiting: Number(Attributes['ApproximateNumberOfMessages'] ?? 0),
      inFlight: Number(Attributes['ApproximateNumberOfMessagesNotVisible'] ?? 0),
    }
  }

  close(): void {
    this.#client.destroy()
  }

  async #ask<T>(action: string, asked: Promise<T>): Promise<T> {
    try {
      return await asked
    } catch (error) {
      throw sqsFault(this.#url, action, error)
    }
  }
}

function within(): { abortSignal: AbortSignal } {
  return { abortSignal: AbortSignal.timeout(limits.queueRequestMs) }
}

function messageOfSqs({ MessageId = '', ReceiptHandle = '', Body = '', Attributes = {} }: Message): QueueMessage {
  const sentMs = Number(Attributes.SentTimestamp ?? Number.NaN)
  return { id: MessageId, receipt: ReceiptHandle, body: Body, sentMs: Number.isFinite(sentMs) ? sentMs : null }
}

function batches<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / BATCH) }, (_, at) => items.slice(at * BATCH, (at + 1) * BATCH))
}

const GONE = /NonExistentQueue|QueueDoesNotExist/
const DENIED =
  /AccessDenied|InvalidSecurity|InvalidClientTokenId|SignatureDoesNotMatch|UnrecognizedClient|InvalidAccessKeyId/
const EXPIRED = /ExpiredToken|TokenRefreshRequired/
const THROTTLED = /Throttl|OverLimit|TooManyRequests|SlowDown/

/** What went wrong, and what to do: all of it may pass, or be mended while everything else goes on. */
function sqsFault(queueUrl: string, action: string, error: unknown): Fault {
  const { name = '', Code = '' } = (error ?? {}) as { name?: string; Code?: string }
  const code = `${name} ${Code}`
  const what = `queue ${queueUrl}`
  const fault = (text: string) => new Fault('unavailable', `${what}: ${text}`, { code: name }, error)
  if (GONE.test(code)) return new Fault('not-found', `${what} is not there; check queueUrl and region`, {}, error)
  if (DENIED.test(code))
    return fault(`${action} is denied (${messageOf(error)}); allow it in the policy, or give other credentials`)
  if (EXPIRED.test(code)) return fault(`the credentials have expired (${messageOf(error)}); give new ones`)
  if (THROTTLED.test(code)) return fault(`it asks for fewer requests (${messageOf(error)})`)
  if (name === 'CredentialsProviderError')
    return fault(
      `there are no credentials (${messageOf(error)}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role`,
    )
  return fault(`${action} failed: ${messageOf(error) || name}`)
}
