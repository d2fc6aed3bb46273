import assert from 'node:assert/strict'
import { it } from 'node:test'
import { problemsOf } from '../../../test/support/config-problems.ts'
import { parseConfig } from '../config.ts'

it('a configuration says which built-in extractors run by a list or one by one, and names those that there are', () => {
  for (const extract of [['image', 'table'], [], { pdf: false, phash: true }, {}]) {
    assert.deepEqual(parseConfig({ objects: { extract } }, 'the file').objects.extract, extract)
  }
  for (const extract of [['imag'], { pfd: false }, { pdf: 'no' }, 'image']) {
    const problems = problemsOf({ objects: { extract } })
    assert.match(problems.join('; '), /^objects\.extract\b.*expected a list of image, exif, pdf, /s)
  }
})
