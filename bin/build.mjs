/** `npm pack` runs this first: compiles src/ to dist/, for installing where TypeScript is not run as it is. */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { ensureInstalled, projectFolder } from './setup.mjs'

rmSync(join(projectFolder, 'dist'), { recursive: true, force: true })
const tsc = join(projectFolder, 'node_modules', '.bin', 'tsc')
const { status } = spawnSync(await ensureInstalled(), [tsc, '-p', 'tsconfig.build.json'], {
  cwd: projectFolder,
  stdio: 'inherit',
})
process.exitCode = status ?? 1
