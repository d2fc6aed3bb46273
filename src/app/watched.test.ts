import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type ConfigInput, parseConfig } from './config.ts'
import { watchedObjects } from './watched.ts'

type Buckets = NonNullable<NonNullable<ConfigInput['objects']>['buckets']>

function watches(buckets: Buckets, outputs: string[], ...names: string[]): boolean[] {
  const watched = watchedObjects(parseConfig({ objects: { buckets } }, 'the configuration'), outputs)
  return names.map((name) => {
    const at = name.indexOf('/')
    return watched({ bucket: name.slice(0, at), key: name.slice(at + 1) })
  })
}

describe('objects that are watched', () => {
  it('are all of a bucket that has no rule', () => {
    assert.deepEqual(watches({}, [], 'any/key'), [true])
  })

  it('are those under the prefix that no exclusion names, with the rules of * for buckets without their own', () => {
    const buckets = {
      photos: { prefix: 'in/', exclude: ['in/thumbs/', 'in/tmp-'] },
      '*': { exclude: ['thumbs/'] },
    }
    assert.deepEqual(
      watches(buckets, [], 'photos/in/a', 'photos/a', 'photos/in/thumbs/a', 'photos/in/tmp-1', 'photos/in/tmp'),
      [true, false, false, false, true],
    )
    assert.deepEqual(watches(buckets, [], 'other/a', 'other/thumbs/a', 'photos/in/thumb'), [true, false, true])
  })

  it('are never what is written here, whatever the bucket is called in the rules', () => {
    const outputs = ['s3://lake/warehouse', 's3a://whole/', '/a/folder']
    assert.deepEqual(
      watches(
        { '*': {} },
        outputs,
        'lake/warehouse/t/data/f.parquet',
        'lake/warehouses/f',
        'lake/in/f',
        'whole/f',
        'a/folder',
      ),
      [false, true, true, false, true],
    )
    assert.deepEqual(watches({ lake: { prefix: 'warehouse/' } }, outputs, 'lake/warehouse/f'), [false])
  })

  it('may not be excluded by the beginning that every key has', () => {
    assert.throws(
      () => parseConfig({ objects: { buckets: { photos: { exclude: [''] } } } }, 'the configuration'),
      /objects\.buckets\.photos\.exclude.*the beginning of keys/,
    )
  })
})
