import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Command } from 'commander'
import { completionScript } from './completion.ts'
import { EXIT } from './exit.ts'
import { buildProgram } from './program.ts'

/** Every command with its path: `table list`. */
function commandsOf(command: Command, path: string[] = []): { path: string; command: Command }[] {
  return command.commands.flatMap((child) => {
    const childPath = [...path, child.name()]
    return [{ path: childPath.join(' '), command: child }, ...commandsOf(child, childPath)]
  })
}

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({ writeOut: (part) => (text += part) })
  command.outputHelp()
  return text
}

const page = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')
const commands = commandsOf(buildProgram())

describe('help', () => {
  it('is there for every command, with an example of that very command', () => {
    assert.ok(commands.length >= 14)
    for (const { path, command } of commands) {
      const help = helpOf(command)
      assert.match(help, /\nExamples?:\n/, path)
      assert.ok(help.includes(`tidewater ${path}`), `${path} is in its own examples`)
      assert.ok(command.description() !== '', path)
    }
  })

  it('examples name only options that the command has', () => {
    for (const { path, command } of commands) {
      const examples = helpOf(command).split(/\nExamples?:\n/)[1] ?? ''
      const known = new Set(commands.flatMap((each) => each.command.options.map((option) => option.long)))
      const ours = examples.match(/tidewater .*/g) ?? []
      for (const [option] of ours.join(' ').matchAll(/--[a-z-]+/g)) assert.ok(known.has(option), `${path}: ${option}`)
      assert.ok(command.options.every((option) => option.description !== ''))
    }
  })
})

describe('the page on the command line', () => {
  it('has every command, and no other', () => {
    const table = page.slice(page.indexOf('| command |'), page.indexOf('## State'))
    const told = new Set([...table.matchAll(/^\| `([a-z]+)/gm)].map(([, name]) => name))
    const there = new Set(commands.map(({ path }) => path.split(' ')[0]))
    assert.deepEqual([...told].sort(), [...there].sort())
  })

  it('has every subcommand', () => {
    for (const { path } of commands) {
      const [group, sub] = path.split(' ')
      if (sub === undefined) continue
      const row = new RegExp(`^\\| \`${group} ([a-z\\\\|-]+)`, 'm').exec(page)?.[1]?.split('\\|') ?? []
      assert.ok(row.includes(sub), `${path} stands in docs/cli.md`)
    }
  })

  it('has every exit code', () => {
    const told = [...page.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code))
    assert.deepEqual(told, Object.values(EXIT))
  })
})

describe('completion', () => {
  const program = buildProgram()

  for (const shell of ['bash', 'zsh', 'fish']) {
    const isThere = spawnSync(shell, ['--version']).status === 0
    it(`for ${shell} is a script that ${shell} accepts`, {
      skip: isThere ? false : `${shell} is not installed`,
    }, async () => {
      const dir = await mkdtemp(join(tmpdir(), 'tidewater-completion-'))
      try {
        // From a file: fish reads no script from its standard input to check it.
        const file = join(dir, 'script')
        await writeFile(file, completionScript(program, shell))
        const { status, stderr } = spawnSync(shell, ['-n', file], { encoding: 'utf8' })
        assert.equal(status, 0, stderr)
        await writeFile(file, 'if\n(')
        assert.notEqual(spawnSync(shell, ['-n', file]).status, 0, 'a broken script is refused')
      } finally {
        await rm(dir, { recursive: true, force: true })
      }
    })
  }

  it('for every shell has every command and option', () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const script = completionScript(program, shell)
      for (const { path, command } of commands) {
        assert.ok(script.includes(path.split(' ').at(-1) ?? ''), `${shell}: ${path}`)
        for (const option of command.options)
          assert.ok(script.includes((option.long ?? '').slice(2)), `${shell}: ${option.long}`)
      }
    }
  })

  const complete = (...words: string[]): string[] => {
    const ask = `COMP_WORDS=(${['tidewater', ...words].map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _tidewater; printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout, stderr } = spawnSync('bash', ['-c', `${completionScript(program, 'bash')}\n${ask}`], {
      encoding: 'utf8',
    })
    assert.equal(stderr, '')
    return stdout.split('\n').filter((line) => line !== '')
  }

  it('in bash completes commands, subcommands and options', () => {
    assert.deepEqual(complete('qui'), ['quickstart'])
    assert.deepEqual(complete('table', 'de'), ['describe'])
    assert.deepEqual(complete('table', 'rows', '--li'), ['--limit'])
    assert.deepEqual(complete('ingest', 'photos', '--ev'), ['--events'])
    assert.deepEqual(complete('deadletter', 'replay', '--stage', 'extract', '--dir'), ['--directory'])
  })
})
