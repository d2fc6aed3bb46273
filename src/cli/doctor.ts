/** `tidewater doctor`: what is installed, where state is, whether everything agrees. */
import type { Command } from 'commander'
import { examine } from '../app/doctor.ts'
import { type HomeOptions, homeOption, settingOf } from './common.ts'
import { EXIT } from './exit.ts'
import { type OutputOptions, printItems } from './output.ts'

const MARKS = { ok: 'ok     ', note: 'note   ', problem: 'PROBLEM' } as const

export function addDoctor(program: Command): void {
  homeOption(program.command('doctor'))
    .description('check what is installed, where state is, and whether tables, indexes and logs agree')
    .option('--json', 'print JSON, one document per finding')
    .addHelpText(
      'after',
      '\nExit code 0 when nothing is wrong, 5 when something disagrees or is damaged.\n\nExample:\n  tidewater doctor --home /var/lib/tidewater',
    )
    .action(async (options: HomeOptions & OutputOptions) => {
      const { home, config, configDir } = await settingOf(options)
      const findings = await examine(home, config, configDir)
      printItems(findings, options, ({ level, subject, message }) => `${MARKS[level]}  ${subject}: ${message}`)
      if (findings.some((finding) => finding.level === 'problem')) process.exitCode = EXIT.damaged
    })
}
