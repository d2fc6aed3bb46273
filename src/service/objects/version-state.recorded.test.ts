/**
 * The messages recorded from real stores, in every order that there is, each any number of times: one state.
 *
 * For each version the states of all subsets of its events are made, each from every smaller one. Where they agree, each of the n!
 * orders ends in the same state and goes through the same ones with the same events behind it, by n · 2ⁿ merges.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import type { ObjectEvent } from '../../change/object-event.ts'
import { readNotification } from '../../source/source.ts'
import { merge, type VersionState } from './version-state.ts'

const FILES = {
  'minio-webhook': 'of 35 versions, at most 5 events of one',
  'minio-kafka': 'of 5 versions, at most 2 events of one',
  'versitygw-webhook': 'of 34 versions, at most 11 events of one',
  'moto-s3-sqs': 'of 31 versions, at most 11 events of one',
  'moto-s3-sns-sqs': 'of 31 versions, at most 11 events of one',
  'moto-s3-sns-sqs-raw': 'of 31 versions, at most 11 events of one',
  'moto-s3-eventbridge-sqs': 'of 34 versions, at most 9 events of one',
} as const
const EVENTS_MAX = 12

function recorded(name: string): Map<string, ObjectEvent[]> {
  const text = readFileSync(new URL(`../../../test/golden/payloads/${name}.jsonl`, import.meta.url), 'utf8')
  const events = text
    .trimEnd()
    .split('\n')
    .flatMap((line) => readNotification((JSON.parse(line) as { body: string }).body).events)
  return Map.groupBy(events, ({ bucket, key, versionId }) => `${bucket}/${key}@${versionId}`)
}

const asStored = (state: VersionState) => JSON.parse(JSON.stringify(state)) as VersionState

/** @throws AssertionError for two orders that end differently */
function checkEveryOrder(events: readonly ObjectEvent[], about: string): void {
  assert.ok(events.length <= EVENTS_MAX, `${about}: ${events.length} events`)
  const states: (VersionState | null)[] = [null]
  for (let subset = 1; subset < 1 << events.length; subset++) {
    const names = () => `${about}: events ${[...events.keys()].filter((at) => subset & (1 << at))}`
    for (const [at, event] of events.entries()) {
      if ((subset & (1 << at)) === 0) continue
      const state = asStored(merge(states[subset ^ (1 << at)] ?? null, event).state)
      states[subset] ??= state
      assert.deepEqual(state, states[subset], `${names()}, ${at} last`)
    }
    for (const [at, event] of events.entries()) {
      if ((subset & (1 << at)) === 0) continue
      assert.deepEqual(asStored(merge(states[subset]!, event).state), states[subset], `${names()}, ${at} again`)
    }
  }
}

describe('recorded messages in every order', () => {
  for (const [name, sizes] of Object.entries(FILES)) {
    it(`${name}: ${sizes}`, () => {
      const versions = recorded(name)
      for (const [version, events] of versions) checkEveryOrder(events, version)
      const most = Math.max(...[...versions.values()].map((events) => events.length))
      assert.equal(`of ${versions.size} versions, at most ${most} events of one`, sizes)
    })
  }
})
