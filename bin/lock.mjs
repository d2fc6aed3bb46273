/**
 * `npm run lock`: makes package-lock.json good for every machine; run it after dependencies have changed.
 *
 * npm writes into the lock what the registry in use offered at that moment. A mirror that lacks the packages of other
 * platforms leaves holes, and then `npm ci` refuses the lock everywhere; and the addresses it writes are the mirror's own.
 * So: no addresses, and an entry for each optional platform package that an installed one names. An entry made here has no
 * integrity hash; npm trusts the registry for it, and only on that platform.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectFolder } from './setup.mjs'

const file = join(projectFolder, 'package-lock.json')
const lock = JSON.parse(readFileSync(file, 'utf8'))

for (const [path, entry] of Object.entries(lock.packages)) {
  if (!entry.link) delete entry.resolved // a link's is a folder of this project
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (
      lock.packages[`${path}/node_modules/${name}`] !== undefined ||
      lock.packages[`node_modules/${name}`] !== undefined
    )
      continue
    lock.packages[`node_modules/${name}`] = {
      version,
      ...platformOf(name),
      ...(entry.dev && { dev: true }),
      optional: true,
    }
    console.log(`added ${name} ${version}`)
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)

/** The platform that a package's name ends with: `…-linux-arm64-musl`. */
function platformOf(name) {
  const match =
    /(?:^|[-/])(aix|android|darwin|freebsd|linux|netbsd|openbsd|sunos|win32)-([a-z0-9]+)(?:-(musl|gnu))?$/.exec(name)
  if (match === null)
    throw new Error(
      `${name} is optional and not in the lock, and its name does not say for which platform it is: add it by hand`,
    )
  const [, os, cpu, libc] = match
  return { cpu: [cpu], ...(os === 'linux' && { libc: [libc === 'musl' ? 'musl' : 'glibc'] }), os: [os] }
}
