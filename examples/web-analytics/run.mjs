/**
 * Web analytics from nothing: starts a server with a home of its own, makes the table with Athena's statements, sends a day of events
 * of a web shop to a stream, and asks for sessions, the funnel and the top pages.
 *
 *     node examples/web-analytics/run.mjs [--home DIR]
 */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { badEvents, eventsOfTheDay } from './events.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const tidewater = resolve(here, '..', '..', 'bin', 'tidewater.mjs')
const BATCH = 500
/** How often it looks whether all is committed, at most. */
const LOOKS = 60

const { argv } = process
if (argv.length > 2 && (argv[2] !== '--home' || argv.length !== 4)) throw new Error('usage: run.mjs [--home DIR]')
const home = argv[3] === undefined ? mkdtempSync(join(tmpdir(), 'tidewater-web-analytics-')) : resolve(argv[3])
mkdirSync(home, { recursive: true })
// Settings of the shell and of the folder that this is started in are for other servers.
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('TIDEWATER_API') && name !== 'TIDEWATER_HOME'),
)
const options = { cwd: home, env }

const server = spawn(process.execPath, [tidewater, 'start', '--home', home, '--port', '0'], {
  ...options,
  stdio: ['ignore', 'pipe', 'pipe'],
})
const said = []
server.stderr.setEncoding('utf8').on('data', (text) => said.push(text))
const ended = new Promise((done) => server.on('exit', (code, signal) => done(code ?? signal)))
try {
  const url = await addressOf(server)
  print(`Server    ${url}, home ${home}`)
  print(
    `Table     ${await run(['sql', '--write', '-', '--csv'], readFileSync(join(here, 'tables.sql'), 'utf8')).then(lastLines)}`,
  )
  await run(['stream', 'create', 'web', join(here, 'stream.yaml'), '--api-url', url])
  const counts = await send(url, [...eventsOfTheDay(), ...badEvents()])
  print(
    `Events    ${counts.accepted} accepted, ${counts.deadLetters} to dead letters; requests sent twice and counted once: ${counts.repeated}`,
  )
  await untilCommitted(counts.accepted)
  const views = readFileSync(join(here, 'queries', 'views.sql'), 'utf8')
  for (const [title, name] of [
    ['Sessions: 30 minutes without an event end one', 'sessions'],
    ['Funnel: sessions that came so far', 'funnel'],
    ['Top pages', 'pages'],
  ]) {
    print(`\n${title}\n`)
    process.stdout.write(await run(['sql', '-'], views + readFileSync(join(here, 'queries', `${name}.sql`), 'utf8')))
  }
} catch (error) {
  process.stderr.write(said.join(''))
  throw error
} finally {
  server.kill('SIGTERM')
}
const code = await ended
if (code !== 0) throw new Error(`the server ended with ${code}:\n${said.join('')}`)
print(
  `\nGo on     npx tidewater sql "SELECT event, count(*) FROM demo_iceberg_db.demo_iceberg GROUP BY event" --home ${home}`,
)
print(`          npx tidewater start --home ${home}`)

/** The one line that the server prints when it takes requests. */
function addressOf(child) {
  return new Promise((done, fail) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const url = /http:\/\/\S+/.exec(line)?.[0]
      if (url !== undefined) done(url)
    })
    child.on('exit', () => fail(new Error('the server did not start')))
  })
}

/** Runs `tidewater …` on the home and gives what it prints. */
function run(args, input = '') {
  const of = args[0] === 'sql' ? [...args, '--home', home] : args
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [tidewater, ...of], { ...options, stdio: ['pipe', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text
    })
    child.on('error', fail)
    child.on('close', (exit) =>
      exit === 0 ? done(output) : fail(new Error(`tidewater ${args.join(' ')} ended with ${exit}`)),
    )
    child.stdin.end(input)
  })
}

/** Sends the events in requests with keys. Every fourth is sent again, as after an answer that was lost. */
async function send(url, events) {
  const counts = { accepted: 0, deadLetters: 0, repeated: 0 }
  for (let from = 0; from < events.length; from += BATCH) {
    const request = {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': `day-1-${from}` },
      body: events
        .slice(from, from + BATCH)
        .map((event) => `${JSON.stringify(event)}\n`)
        .join(''),
    }
    const times = (from / BATCH) % 4 === 3 ? 2 : 1
    for (let time = 1; time <= times; time++) {
      const reply = await fetch(`${url}/v1/streams/web/records`, request)
      const body = await reply.text()
      if (!reply.ok) throw new Error(`the server answered ${reply.status}: ${body}`)
      const results = JSON.parse(body).results
      const count = (status) => results.filter((result) => result.status === status).length
      if (time === 2) counts.repeated += 1
      else {
        counts.accepted += count('accepted')
        counts.deadLetters += count('dead-letter')
      }
    }
  }
  return counts
}

/** The stream commits every second; SQL sees a snapshot as soon as there is one. */
async function untilCommitted(rows) {
  for (let look = 0; look < LOOKS; look++) {
    const counted = await run(['sql', 'SELECT count(*) AS n FROM demo_iceberg_db.demo_iceberg', '--json'])
    if (JSON.parse(counted).n === rows) return
  }
  throw new Error(`not all of ${rows} events are in the table yet`)
}

function lastLines(csv) {
  return csv
    .trim()
    .split(/\r?\n/)
    .slice(1)
    .map((line) => line.replace(/^"|"$/g, ''))
    .join('\n          ')
}

function print(text) {
  process.stdout.write(`${text}\n`)
}
