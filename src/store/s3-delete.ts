/** Deleting many objects, a thousand by one request; an error of one key does not stop the others. */
import { backoffMs } from '../base/backoff.ts'
import { eachAtOnce } from '../base/each-at-once.ts'
import { Fault } from '../base/fault.ts'
import { limits } from '../base/limits.ts'
import type { S3Requests } from './s3-requests.ts'

interface Refused {
  readonly key: string
  readonly code: string
  readonly message: string
}

/** Errors of a key that may pass. */
const passing = new Set(['InternalError', 'SlowDown', 'ServiceUnavailable', 'OperationAborted'])

/** Keys that XML cannot hold, which a request for many must not name. */
const notXml = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/

const namedMax = 3

/** @throws Fault `unavailable`, `invalid` when keys are left, after all others have been deleted */
export async function deleteObjects(requests: S3Requests, bucket: string, keys: readonly string[]): Promise<void> {
  const all = [...new Set(keys)]
  const single = all.filter((key) => notXml.test(key))
  const together = all.filter((key) => !notXml.test(key))
  const batches: string[][] = []
  for (let at = 0; at < together.length; at += limits.s3DeleteObjects) {
    batches.push(together.slice(at, at + limits.s3DeleteObjects))
  }
  const refused: Refused[] = []
  await eachAtOnce(limits.s3DeletesAtOnce, batches, async (batch) => {
    refused.push(...(await deleteBatch(requests, bucket, batch)))
  })
  await eachAtOnce(limits.s3DeletesAtOnce, single, (key) => deleteOne(requests, bucket, key))
  const first = refused[0]
  if (first === undefined) return
  const named = refused.slice(0, namedMax).map(({ key, code, message }) => `"${key}": ${code}, ${message}`)
  throw new Fault(
    'unavailable',
    `cannot delete ${refused.length} of ${all.length} objects of s3://${bucket} (${named.join('; ')}); the others are deleted`,
    { bucket, refused: refused.length, code: first.code },
  )
}

async function deleteOne(requests: S3Requests, bucket: string, key: string): Promise<void> {
  await requests.run(
    { operation: 'DeleteObject', what: `delete object ${JSON.stringify(key)} of s3://${bucket}`, facts: { key } },
    ({ sdk, client }, abortSignal) =>
      client.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key: key }), { abortSignal }),
  )
}

/** The keys that are still there, each with the reason. */
async function deleteBatch(requests: S3Requests, bucket: string, keys: readonly string[]): Promise<Refused[]> {
  let left = keys
  const refused: Refused[] = []
  for (let attempt = 1; ; attempt++) {
    const objects = left.map((Key) => ({ Key }))
    const { value } = await requests.run(
      { operation: 'DeleteObjects', what: `delete ${left.length} objects of s3://${bucket}` },
      ({ sdk, client }, abortSignal) =>
        client.send(new sdk.DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: objects, Quiet: true } }), {
          abortSignal,
        }),
    )
    const errors = (value.Errors ?? []).filter(({ Code }) => Code !== 'NoSuchKey')
    const again: string[] = []
    for (const { Key = '', Code = '', Message = '' } of errors) {
      if (passing.has(Code) && attempt < limits.s3AttemptsMax) again.push(Key)
      else refused.push({ key: Key, code: Code, message: Message })
    }
    if (again.length === 0) return refused
    left = again
    await requests.pause(backoffMs(attempt, limits.s3BackoffMs, limits.s3BackoffMaxMs))
  }
}
