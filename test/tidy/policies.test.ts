/**
 * The policies that the pages print name exactly the actions that the requests of the source need: none is missing, none is given for
 * nothing. What a request needs stands here, by AWS's service authorization reference; a request that does not stand here is told.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { projectFolder, projectPaths } from './tree.ts'

/** Asked of buckets whose objects are looked at. */
const READS: Record<string, string[]> = {
  GetObject: ['s3:GetObject', 's3:GetObjectVersion'],
  HeadObject: ['s3:GetObject', 's3:GetObjectVersion'],
  GetObjectTagging: ['s3:GetObjectTagging', 's3:GetObjectVersionTagging'],
  GetBucketVersioning: ['s3:GetBucketVersioning'],
  HeadBucket: ['s3:ListBucket'],
  ListObjectsV2: ['s3:ListBucket'],
  ListObjectVersions: ['s3:ListBucketVersions'],
}
/** Asked of the bucket of a warehouse alone. */
const WRITES: Record<string, string[]> = {
  PutObject: ['s3:PutObject'],
  CopyObject: ['s3:GetObject', 's3:PutObject'],
  CreateMultipartUpload: ['s3:PutObject'],
  UploadPart: ['s3:PutObject'],
  CompleteMultipartUpload: ['s3:PutObject'],
  AbortMultipartUpload: ['s3:AbortMultipartUpload'],
  DeleteObject: ['s3:DeleteObject'],
  DeleteObjects: ['s3:DeleteObject'],
}
const OTHERS: Record<string, string[]> = {
  ReceiveMessage: ['sqs:ReceiveMessage'],
  DeleteMessageBatch: ['sqs:DeleteMessage'],
  ChangeMessageVisibilityBatch: ['sqs:ChangeMessageVisibility'],
  GetQueueAttributes: ['sqs:GetQueueAttributes'],
  DetectLabels: ['rekognition:DetectLabels'],
}
const KNOWN: Record<string, string[]> = { ...READS, ...WRITES, ...OTHERS }

interface Statement {
  Effect: string
  Action: string | string[]
  Resource: string
}

/** Requests to AWS that the source makes, by the names of the SDK's commands. */
function requests(): string[] {
  const sources = projectPaths().filter((file) => /^src\/.*(?<!\.test)\.ts$/.test(file))
  const names = sources.flatMap((file) => {
    const text = readFileSync(path.join(projectFolder, file), 'utf8')
    if (!text.includes('@aws-sdk/') && !/\bnew sdk\./.test(text)) return []
    return [...text.matchAll(/\bnew (?:sdk\.)?([A-Z]\w+)Command\(/g)].map(([, name = '']) => name)
  })
  return [...new Set(names)].sort()
}

/** Policies of the page, each of which must be JSON. */
function policies(page: string): Statement[][] {
  const text = readFileSync(path.join(projectFolder, 'docs', page), 'utf8')
  return [...text.matchAll(/^```json\n([\s\S]*?)^```/gm)]
    .map(([, block = '']) => JSON.parse(block) as { Version?: string; Statement?: Statement[] })
    .flatMap(({ Version, Statement }) => {
      if (Statement === undefined) return []
      assert.equal(Version, '2012-10-17')
      return [Statement]
    })
}

function actionsOf(statements: readonly Statement[]): string[] {
  return [...new Set(statements.flatMap(({ Action }) => Action))].sort()
}

function needed(of: Record<string, string[]>, made: readonly string[]): string[] {
  return [...new Set(made.flatMap((name) => of[name] ?? []))].sort()
}

test('every request that the source makes is known here, and none that it does not make', () => {
  assert.deepEqual(requests(), Object.keys(KNOWN).sort())
})

test('the policy of the guide allows what queues, buckets and labels need, and nothing else', () => {
  const [statements = [], ...more] = policies('point-it-at-your-bucket.md')
  assert.equal(more.length, 0)
  assert.deepEqual(actionsOf(statements), needed({ ...READS, ...OTHERS }, requests()))
  for (const { Effect, Action, Resource } of statements) {
    assert.equal(Effect, 'Allow')
    // Rights to objects name objects, rights to a bucket the bucket itself.
    for (const action of [Action].flat().filter((each) => each.startsWith('s3:')))
      assert.equal(Resource.endsWith('/*'), /Object/.test(action), `${action} on ${Resource}`)
  }
})

test('the policy of a warehouse allows what its tables need, and nothing else', () => {
  const [statements = [], ...more] = policies('warehouse.md')
  assert.equal(more.length, 0)
  const reads = { ListObjectsV2: ['s3:ListBucket'], GetObject: ['s3:GetObject'] }
  assert.deepEqual(actionsOf(statements), needed({ ...reads, ...WRITES }, requests()))
})
