import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { cli, inTempDir } from '../../test/support/cli.ts'

const ROWS = 40_000

test('a result larger than a pipe arrives whole, however slowly it is read', () =>
  inTempDir(async (home) => {
    await cli(['ingest', home, '--bucket', 'empty', '--home', `${home}/state`])
    for (const format of ['--json', '--csv']) {
      const result = await cli(['sql', `SELECT * FROM range(${ROWS}) AS r(n)`, format, '--home', `${home}/state`], {
        onStart: ({ stdout }) => {
          stdout?.once('data', () => {
            stdout.pause()
            pause(300).then(() => stdout.resume())
          })
        },
      })
      assert.equal(result.code, 0, result.stderr)
      assert.equal(result.stdout.trimEnd().split('\n').length, ROWS + (format === '--csv' ? 1 : 0))
    }
  }))

test('a reader that leaves early ends the output quietly', () =>
  inTempDir(async (home) => {
    await cli(['ingest', home, '--bucket', 'empty', '--home', `${home}/state`])
    const result = await cli(['sql', `SELECT * FROM range(${ROWS}) AS r(n)`, '--json', '--home', `${home}/state`], {
      onStart: ({ stdout }) => stdout?.once('data', () => stdout.destroy()),
    })
    assert.equal(result.code, 0, result.stderr)
    assert.equal(result.stderr, '')
  }))
