/** `tidewater completion`: a completion script for bash, zsh or fish, made from the commands themselves. */
import type { Command } from 'commander'
import { Fault } from '../base/fault.ts'

const SHELLS = ['bash', 'zsh', 'fish'] as const

export function addCompletion(program: Command): void {
  program
    .command('completion <shell>')
    .description(`print a completion script (${SHELLS.join(', ')})`)
    .addHelpText(
      'after',
      '\nExamples:\n  source <(tidewater completion bash)\n  tidewater completion fish > ~/.config/fish/completions/tidewater.fish',
    )
    .action((shell: string) => {
      process.stdout.write(completionScript(program, shell))
    })
}

interface Words {
  /** Command path such as `table list`; '' for the program itself. */
  path: string
  words: string[]
}

/** @throws Fault `invalid` for an unknown shell */
export function completionScript(program: Command, shell: string): string {
  const words = wordsOf(program, '')
  switch (shell) {
    case 'bash':
      return bash(words)
    case 'zsh':
      return `autoload -U +X bashcompinit && bashcompinit\n${bash(words)}`
    case 'fish':
      return fish(words)
    default:
      throw new Fault('invalid', `expected a shell out of ${SHELLS.join(', ')}, got "${shell}"`)
  }
}

function wordsOf(command: Command, path: string): Words[] {
  const own = [
    ...command.commands.map((child) => child.name()),
    ...command.options.flatMap((option) => option.long ?? []),
  ]
  return [
    { path, words: [...own, '--help'] },
    ...command.commands.flatMap((child) => wordsOf(child, `${path} ${child.name()}`.trim())),
  ]
}

function bash(words: readonly Words[]): string {
  const cases = words.map(({ path, words: list }) => `    "${path}") words="${list.join(' ')}" ;;`)
  const known = words.flatMap(({ path }) => (path === '' ? [] : [`"${path}"`]))
  // Only words that make a command belong to the path; what is given to it comes after.
  return `_tidewater() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" next="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    next="\${path:+$path }\${COMP_WORDS[i]}"
    case "$next" in
      ${known.join('|')}) path="$next" ;;
      *) break ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -o filenames -F _tidewater tidewater
`
}

function fish(words: readonly Words[]): string {
  const lines = words.flatMap(({ path, words: list }) => {
    const parts = path === '' ? [] : path.split(' ')
    const condition =
      parts.length === 0
        ? '__fish_use_subcommand'
        : parts.map((part) => `__fish_seen_subcommand_from ${part}`).join('; and ')
    return list.map((word) =>
      word.startsWith('--')
        ? `complete -c tidewater -n '${condition}' -l ${word.slice(2)}`
        : `complete -c tidewater -f -n '${condition}' -a ${word}`,
    )
  })
  return `${lines.join('\n')}\n`
}
