/** The golden images under time zones far apart: a local time must not move with the host. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const golden = fileURLToPath(new URL('golden.test.ts', import.meta.url))

function run(zone: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    // Without the mark of the outer test run, so that the inner one reports by itself.
    const { NODE_TEST_CONTEXT: _outer, ...env } = process.env
    const child = spawn(process.execPath, ['--test-reporter=tap', golden], {
      env: { ...env, TZ: zone },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += String(chunk)
    })
    child.stderr.on('data', (chunk) => {
      output += String(chunk)
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}

for (const zone of ['Pacific/Kiritimati', 'America/St_Johns']) {
  test(`all golden images give the same facts in ${zone}`, async () => {
    const { code, output } = await run(zone)
    assert.equal(code, 0, output.slice(-4_000))
    assert.match(output, /^# pass 1[3-9]\d$/m)
    assert.match(output, /^# fail 0$/m)
  })
}
