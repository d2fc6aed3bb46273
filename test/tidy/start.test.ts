/** The programs in `bin/`, in a small project of their own with a pretended npm: nothing is downloaded. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { projectFolder } from './tree.ts'

const folders: string[] = []
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** What the pretended npm does: it notes each install, and leaves what `npm ci` would leave. */
const pretendedNpm = `
const { appendFileSync, mkdirSync, writeFileSync, symlinkSync, readFileSync, rmSync } = require('node:fs')
if (process.argv[2] !== 'ci') throw new Error('not npm ci: ' + process.argv.slice(2))
appendFileSync('installs', 'x')
if (process.env.NPM_FAILS) { console.error('no network'); process.exit(1) }
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(process.env.NPM_TAKES_MS ?? 0))
rmSync('node_modules', { recursive: true, force: true })
mkdirSync('node_modules/node/bin', { recursive: true })
if (!process.env.NPM_LEAVES_NO_NODE) symlinkSync(${JSON.stringify(process.execPath)}, 'node_modules/node/bin/node')
writeFileSync('node_modules/.package-lock.json', readFileSync('package-lock.json'))
`

const command = `
const [what, ...rest] = process.argv.slice(2)
let heard = 0
if (what === 'exit') process.exitCode = Number(rest[0])
else if (what === 'wait') {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {
    heard += 1
    setTimeout(() => { console.log(signal + " " + heard); process.exit(7) }, 300)
  })
  setInterval(() => {}, 1000)
  console.log('ready')
} else if (what === 'hang') {
  setInterval(() => {}, 1000)
  console.log('ready')
} else console.log(JSON.stringify({ args: process.argv.slice(2), cwd: process.cwd() }))
`

const lockOf = (version: string): string =>
  JSON.stringify({
    packages: { '': {}, 'node_modules/a': { version }, 'node_modules/b': { version: '1.0.0', optional: true } },
  })

/** A project folder with our `bin/`, a command that tells how it was called, and a lock; nothing is installed. */
function makeProject(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidewater-start-'))
  folders.push(folder)
  cpSync(join(projectFolder, 'bin'), join(folder, 'bin'), { recursive: true })
  mkdirSync(join(folder, 'src', 'cli'), { recursive: true })
  writeFileSync(join(folder, 'src', 'cli', 'main.ts'), command)
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'package-lock.json'), lockOf('1.0.0'))
  mkdirSync(join(folder, 'npm'))
  writeFileSync(join(folder, 'npm', 'package.json'), '{"type":"commonjs"}')
  writeFileSync(join(folder, 'npm', 'npm-cli.js'), pretendedNpm)
  return folder
}

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

interface How {
  readonly env?: Record<string, string>
  readonly cwd?: string
  readonly detached?: boolean
  /** The file in `bin/` to start, the command itself unless given. */
  readonly program?: string
}

function start(
  project: string,
  args: readonly string[],
  { env = {}, cwd = project, detached = false, program = 'tidewater.mjs' }: How = {},
): { child: ChildProcess; ended: Promise<Ended>; ready: Promise<void> } {
  const { NODE_TEST_CONTEXT: _, ...ours } = process.env // or a test runner below us runs nothing
  const child = spawn(process.execPath, [join(project, 'bin', program), ...args], {
    cwd,
    detached,
    env: {
      ...ours,
      npm_execpath: join(project, 'npm', 'npm-cli.js'),
      npm_node_execpath: process.execPath,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
  })
  const ready = Promise.withResolvers<void>()
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    if (stdout.includes('ready')) ready.resolve()
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  return { child, ended, ready: Promise.race([ready.promise, ended.then(() => {})]) }
}

const run = (project: string, args: readonly string[], how: How = {}): Promise<Ended> => start(project, args, how).ended

const installs = (project: string): number =>
  existsSync(join(project, 'installs')) ? readFileSync(join(project, 'installs'), 'utf8').length : 0

test('the first start installs and says so on standard error, the second only runs', async () => {
  const project = makeProject()
  const first = await run(project, ['sql', 'a b', '--json'], { cwd: tmpdir() })
  assert.equal(first.code, 0, first.stderr)
  assert.deepEqual(JSON.parse(first.stdout).args, ['sql', 'a b', '--json'])
  assert.match(first.stderr, /Installing dependencies/)
  const second = await run(project, ['exit', '3'])
  assert.deepEqual([second.code, second.stderr, installs(project)], [3, '', 1])
})

test('the command runs in the folder from which it was called', async () => {
  const project = makeProject()
  const elsewhere = mkdtempSync(join(tmpdir(), 'tidewater-start-'))
  folders.push(elsewhere)
  const { stdout } = await run(project, [], { cwd: elsewhere })
  assert.equal(JSON.parse(stdout).cwd, elsewhere)
})

test('starts at the same moment install once and all run', async () => {
  const project = makeProject()
  const all = await Promise.all(
    [1, 2, 3].map((code) => run(project, ['exit', String(code)], { env: { NPM_TAKES_MS: '700' } })),
  )
  assert.deepEqual(
    all.map((each) => each.code),
    [1, 2, 3],
  )
  assert.equal(installs(project), 1)
  assert.match(all.map((each) => each.stderr).join(''), /Another process is installing/)
})

test('an install that takes its time says now and then that it goes on', async () => {
  const project = makeProject()
  const setup = join(project, 'bin', 'setup.mjs')
  const text = readFileSync(setup, 'utf8')
  const hasty = text.replace('signOfLifeMs = 15_000', 'signOfLifeMs = 100')
  assert.notEqual(hasty, text)
  writeFileSync(setup, hasty)
  const { code, stdout, stderr } = await run(project, ['exit', '5'], { env: { NPM_TAKES_MS: '1500' } })
  assert.deepEqual([code, stdout], [5, ''])
  assert.match(stderr, /Installing dependencies[\s\S]*npm is still installing, 1 s by now…\n/)
})

test('a lock that changed is installed again', async () => {
  const project = makeProject()
  await run(project, [])
  writeFileSync(join(project, 'package-lock.json'), lockOf('2.0.0'))
  const { code } = await run(project, [])
  assert.deepEqual([code, installs(project)], [0, 2])
})

test('what npm was asked for by hand is taken as it is', async () => {
  const project = makeProject()
  await run(project, [])
  rmSync(join(project, 'node_modules', '.tidewater-install'))
  // npm's record has no optional packages of other platforms.
  writeFileSync(
    join(project, 'node_modules', '.package-lock.json'),
    JSON.stringify({ packages: { 'node_modules/a': { version: '1.0.0' } } }),
  )
  const { code, stderr } = await run(project, [])
  assert.deepEqual([code, stderr, installs(project)], [0, '', 1])
})

test('an install that fails says what to do, and the next start tries again', async () => {
  const project = makeProject()
  const failed = await run(project, [], { env: { NPM_FAILS: '1' } })
  assert.equal(failed.code, 1)
  assert.equal(failed.stdout, '')
  assert.match(failed.stderr, /no network[\s\S]*npm ci failed \(exit code 1\)[\s\S]*run the same command again/)
  assert.equal((await run(project, [])).code, 0)
})

test('an npm that cannot be found is named', async () => {
  const project = makeProject()
  const { code, stderr } = await run(project, [], { env: { npm_execpath: '', PATH: '/nowhere' } })
  assert.equal(code, 1)
  assert.match(stderr, /npm was not found/)
})

test('an install that left no Node behind tells how to get it', async () => {
  const project = makeProject()
  const { code, stderr } = await run(project, [], { env: { NPM_LEAVES_NO_NODE: '1' } })
  assert.equal(code, 1)
  assert.match(stderr, /expected v24 from .*, got ENOENT[\s\S]*npm rebuild node/)
})

test('the lock of an install that was killed does not stop the next', async () => {
  const project = makeProject()
  mkdirSync(join(project, '.cache'))
  const dead = spawn(process.execPath, ['--version'])
  await new Promise((resolve) => dead.on('close', resolve))
  writeFileSync(join(project, '.cache', 'install.lock'), String(dead.pid))
  assert.equal((await run(project, [])).code, 0)
  assert.equal(existsSync(join(project, '.cache', 'install.lock')), false)
})

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`${signal} reaches the command once, and its exit code is kept`, async () => {
    const project = makeProject()
    const { child, ready, ended } = start(project, ['wait'], { detached: true })
    await ready
    child.kill(signal)
    child.kill(signal)
    const { code, stdout } = await ended
    assert.deepEqual([code, stdout], [7, `ready\n${signal} 1\n`])
  })
}

test('a command that dies by a signal takes its starter along by the same signal', async () => {
  const project = makeProject()
  const { child, ready, ended } = start(project, ['hang'])
  await ready
  child.kill('SIGTERM')
  assert.equal((await ended).signal, 'SIGTERM')
})

const python = ['/usr/bin/python3', '/usr/local/bin/python3'].find(existsSync)
const terminal = `
import os, pty, sys
pid, fd = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
out = b""
while b"SIGINT" not in out:
    try: data = os.read(fd, 4096)
    except OSError: break
    out += data
    if b"ready" in data: os.write(fd, b"\\x03")
print(out.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`

test('Ctrl-C in a terminal reaches the command once', {
  skip: python ? false : 'a terminal is made with Python, which is not there',
}, async () => {
  const project = makeProject()
  await run(project, [])
  const script = join(project, 'terminal.py')
  writeFileSync(script, terminal)
  chmodSync(script, 0o755)
  const child = spawn(python ?? '', [script, process.execPath, join(project, 'bin', 'tidewater.mjs'), 'wait'], {
    timeout: 30_000,
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  await new Promise((resolve) => child.on('close', resolve))
  assert.match(output, /ready[\s\S]*SIGINT 1\b[\s\S]* 7\s*$/)
})

test('npm test runs no test and fails when the checks fail', async () => {
  const project = makeProject()
  mkdirSync(join(project, 'test'))
  writeFileSync(
    join(project, 'src', 'a.test.ts'),
    "import { test } from 'node:test'\ntest('passes and says so', () => {})\n",
  )
  // Nothing is installed that could check types.
  const { code, stdout } = await run(project, [], { program: 'test.mjs' })
  assert.equal(code, 1)
  assert.match(stdout, /✖ types/)
  assert.doesNotMatch(stdout, /passed/)
})

test('npm test with a filter runs those files, tells the sum last, and fails with them', async () => {
  const project = makeProject()
  mkdirSync(join(project, 'test', 'simulate'), { recursive: true })
  const write = (path: string, body: string): void =>
    writeFileSync(
      join(project, path),
      `import { test } from 'node:test'\ntest('a test of ${path}', () => { ${body} })\n`,
    )
  write('src/good.test.ts', '')
  write('src/bad.test.ts', 'throw new Error("bad")')
  write('test/simulate/long.test.ts', 'setInterval(() => {}, 1000)')
  const of = async (filter: string): Promise<unknown[]> => {
    const { code, stdout, stderr } = await run(project, [filter], { program: 'test.mjs' })
    return [code, stdout.trim().split('\n').at(-1) || stderr.split('\n').at(-2)]
  }
  assert.deepEqual(await of('good'), [0, '1 passed, 0 failed'])
  assert.deepEqual(await of('src/'), [1, '1 passed, 1 failed'])
  assert.deepEqual(await of('simulate/'), [0, '1 passed, 0 failed'])
  const nothing = await of('nothing')
  assert.equal(nothing[0], 1)
  assert.match(String(nothing[1]), /No test file has "nothing" in its path/)
})
