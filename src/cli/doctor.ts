/** `tidewater doctor`: what is installed, where state is, whether everything agrees; and mending it. */
import type { Command } from 'commander'
import { examine } from '../app/doctor.ts'
import { repair } from '../app/repair.ts'
import { type HomeOptions, homeOption, settingOf } from './common.ts'
import { EXIT } from './exit.ts'
import { type OutputOptions, printItems } from './output.ts'

const MARKS = { ok: 'ok     ', note: 'note   ', mended: 'mended ', problem: 'PROBLEM' } as const

export function addDoctor(program: Command): void {
  homeOption(program.command('doctor'))
    .description('check what is installed, where state is, and whether tables, indexes and logs agree')
    .option('--repair', 'mend what can be mended, then check; damaged files are renamed, never removed')
    .option('--json', 'print JSON, one document per finding')
    .addHelpText(
      'after',
      `
Exit code 0 when nothing is wrong, 5 when something disagrees or is damaged.

Examples:
  tidewater doctor --home /var/lib/tidewater
  tidewater doctor --repair`,
    )
    .action(async (options: HomeOptions & OutputOptions & { repair?: boolean }) => {
      const { home, config, configDir } = await settingOf(options)
      const mended = options.repair === true ? await repair(home, config, configDir) : []
      const findings = [...mended, ...(await examine(home, config))]
      printItems(findings, options, ({ level, subject, message }) => `${MARKS[level]}  ${subject}: ${message}`)
      if (findings.some((finding) => finding.level === 'problem')) process.exitCode = EXIT.damaged
    })
}
