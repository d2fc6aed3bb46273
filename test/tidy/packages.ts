/** Rules on package.json, its lock, and the versions that the engines of the interop suites pin. */
import { codeOf } from './code.ts'
import { importsOf } from './rooms.ts'
import type { Problem, SourceFile } from './tree.ts'

/** What is read of a package.json. */
export interface Manifest {
  readonly name?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly allowScripts?: Readonly<Record<string, boolean>>
}

/** What is read of one entry of a package-lock.json. */
export interface LockEntry extends Manifest {
  readonly version?: string
  readonly resolved?: string
  readonly link?: boolean
  readonly dev?: boolean
  readonly optional?: boolean
  readonly hasInstallScript?: boolean
}

export interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>
}

function dependenciesOf(manifest: Manifest): Record<string, string> {
  return { ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies }
}

/** Every dependency has one exact version. */
export function versionProblems(path: string, manifest: Manifest): Problem[] {
  return Object.entries(dependenciesOf(manifest))
    .filter(([, version]) => !/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(version))
    .map(([name, version]) => `${path}: ${name} is "${version}"; give one exact version`)
}

/** The lock agrees with package.json, is complete for every platform, names no address and no unreviewed install script. */
export function lockProblems(manifest: Manifest, lock: Lock): Problem[] {
  const problems: Problem[] = []
  for (const [name, version] of Object.entries(dependenciesOf(manifest))) {
    const locked = lock.packages[`node_modules/${name}`]?.version
    if (locked !== version)
      problems.push(
        `package-lock.json: ${name} is ${locked ?? 'missing'}, package.json says ${version}; run npm install`,
      )
  }
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (entry.resolved !== undefined && entry.link !== true)
      problems.push(`package-lock.json: ${path} names an address; run npm run lock`)
    for (const name of Object.keys(entry.optionalDependencies ?? {})) {
      const held = lock.packages[`${path}/node_modules/${name}`] ?? lock.packages[`node_modules/${name}`]
      if (held === undefined)
        problems.push(`package-lock.json: ${name}, optional for ${path}, is missing; run npm run lock`)
    }
    const name = path.replace(/^.*node_modules\//, '')
    if (
      entry.hasInstallScript === true &&
      entry.dev !== true &&
      entry.optional !== true &&
      manifest.allowScripts?.[name] !== true
    ) {
      problems.push(
        `package.json: ${name} runs a script at install; review it and list it in allowScripts, or do without it`,
      )
    }
  }
  return problems
}

/** Packages that only these folders may import, so that a change of theirs stays there. */
const owners: Readonly<Record<string, readonly string[]>> = {
  '@aws-sdk/client-sqs': ['src/source/'],
  '@aws-sdk/client-rekognition': ['src/service/objects/labels/'],
  '@duckdb/node-api': ['src/duck/'],
  '@platformatic/kafka': ['src/source/'],
  ajv: ['src/extract/', 'src/service/streams/validate/'],
  avsc: ['src/iceberg/file/', 'src/service/streams/validate/'],
  blurhash: ['src/extract/'],
  bowser: ['src/service/streams/enrich/'],
  hyparquet: ['src/extract/'],
  isbot: ['src/service/streams/enrich/'],
  mediabunny: ['src/extract/'],
  'music-metadata': ['src/extract/'],
  sharp: ['src/extract/'],
  strtok3: ['src/extract/'],
  unpdf: ['src/extract/'],
  yauzl: ['src/extract/'],
}

/** Shipped code imports only Node, itself, and what package.json lists as a dependency; some packages only in their room. */
export function importProblems(manifest: Manifest, files: readonly SourceFile[]): Problem[] {
  return files
    .filter((file) => !file.path.endsWith('.test.ts'))
    .flatMap((file) =>
      importsOf(file.text).flatMap(({ specifier, line }) => {
        if (/^(?:\.|node:)/.test(specifier)) return []
        const name = specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/')
        const where = `${file.path}:${line}: imports ${name}`
        if (name === manifest.name) return []
        if (manifest.dependencies?.[name] === undefined)
          return [`${where}, which is not among the dependencies of package.json`]
        const owner = owners[name]
        if (owner === undefined || owner.some((folder) => file.path.startsWith(folder))) return []
        return [`${where}, which only ${owner.join(' and ')} may import`]
      }),
    )
}

/** Dependencies that nothing imports. `node` is run, not imported. */
export function unusedProblems(manifest: Manifest, files: readonly SourceFile[]): Problem[] {
  const code = files.map((file) => codeOf(file.text, 'comments'))
  return Object.keys(manifest.dependencies ?? {})
    .filter((name) => name !== 'node' && !code.some((text) => text.includes(`'${name}'`) || text.includes(`'${name}/`)))
    .map((name) => `package.json: nothing imports ${name}; remove it`)
}
