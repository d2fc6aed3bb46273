/** Peers: in Python, found where the interop suites install them, and commands; null, said loudly, when they are not there. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { Contender } from './harness.ts'

const cache =
  process.env['TIDEWATER_CACHE'] ??
  path.join(process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache'), 'tidewater')

function python(): string | null {
  const found = path.join(cache, 'engines', 'python', 'bin', 'python')
  return existsSync(found) ? found : null
}

export function pyiceberg(tell: (text: string) => void): Contender | null {
  const found = python()
  if (found !== null)
    return new Contender('pyiceberg', [found, path.join(import.meta.dirname, 'workers', 'pyiceberg_worker.py')])
  tell('!! PyIceberg is not installed: NOT measured. test/interop/engines/install.sh installs it.')
  return null
}

export function pillow(tell: (text: string) => void): Contender | null {
  const found = python()
  const modules = path.join(cache, 'bench-pillow')
  if (found !== null && existsSync(path.join(modules, 'PIL')))
    return new Contender('pillow', [found, path.join(import.meta.dirname, 'workers', 'pillow_worker.py')], {
      PYTHONPATH: modules,
    })
  tell(`!! Pillow is not installed: NOT measured. pip install --target ${modules} pillow installs it.`)
  return null
}

export function exiv2(tell: (text: string) => void): Contender | null {
  if (spawnSync('exiv2', ['--version']).status === 0) return Contender.node('exiv2', 'exiv2.ts')
  tell('!! exiv2 is not installed: NOT measured. apt-get install exiv2 installs it.')
  return null
}
