/** `npm run check`: types, and format and lint. Both run to their end, so that one run tells everything. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ensureInstalled, projectFolder } from './setup.mjs'

const node = await ensureInstalled()

const checks = [
  { name: 'types', args: ['typescript/bin/tsc', '--project', '.'] },
  { name: 'format and lint', args: ['@biomejs/biome/bin/biome', 'check', '--error-on-warnings', '.'] },
]

/** Runs one check; its output comes in one piece. */
function runCheck({ name, args: [script, ...args] }) {
  const child = spawn(node, [join(projectFolder, 'node_modules', script), ...args], {
    cwd: projectFolder,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  return new Promise((resolve) => {
    child.on('error', (error) => (output += `${error.message}\n`))
    child.on('close', (code) => {
      if (code === 0) console.log(`✔ ${name}`)
      else console.log(`✖ ${name}\n${output}`)
      resolve(code === 0)
    })
  })
}

const passed = await Promise.all(checks.map(runCheck))
process.exitCode = passed.every(Boolean) ? 0 : 1
