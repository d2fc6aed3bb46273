/** `tidewater doctor`: what is installed, where state is, whether everything agrees; and mending it. */
import type { Command } from 'commander'
import { examine, type Finding } from '../app/doctor.ts'
import { lookAtWarehouse, lookOutside } from '../app/reach.ts'
import { repair } from '../app/repair.ts'
import { type HomeOptions, homeOption, type Setting, settingOf } from './common.ts'
import { EXIT } from './exit.ts'
import { type OutputOptions, printItems } from './output.ts'

const MARKS = { ok: 'ok     ', note: 'note   ', mended: 'mended ', problem: 'PROBLEM' } as const

export function addDoctor(program: Command): void {
  homeOption(program.command('doctor'))
    .description(
      'check what is installed and can be reached, where state is, and whether tables, indexes and logs agree',
    )
    .option('--repair', 'mend what can be mended, then check; damaged files are renamed, never removed')
    .option('--json', 'print JSON, one document per finding')
    .addHelpText(
      'after',
      `
Every bucket, queue and topic that the configuration names, and a warehouse on S3, is looked at too: reading only, a few seconds at most.

Exit code 0 when nothing is wrong, 5 when something disagrees, is damaged or cannot be reached.

Examples:
  tidewater doctor --home /var/lib/tidewater
  tidewater doctor --repair`,
    )
    .action(async (options: HomeOptions & OutputOptions & { repair?: boolean }) => {
      const setting = await settingOf(options)
      const { home, config, configDir } = setting
      const mended = options.repair === true ? await repair(home, config, configDir) : []
      const findings = [...mended, ...(await found(setting))]
      printItems(findings, options, ({ level, subject, message }) => `${MARKS[level]}  ${subject}: ${message}`)
      if (findings.some((finding) => finding.level === 'problem')) process.exitCode = EXIT.damaged
    })
}

/** What lies outside, and then what is here; tables in a warehouse that cannot be reached are not waited for. */
async function found(setting: Setting): Promise<Finding[]> {
  const warehouse = await lookAtWarehouse(setting)
  const outside: Finding[] = []
  await lookOutside(setting, (each) => outside.push(each))
  outside.sort((a, b) => (a.subject < b.subject ? -1 : a.subject > b.subject ? 1 : 0))
  const isReached = warehouse.every(({ level }) => level !== 'problem')
  const message = 'were not looked at, since their warehouse cannot be used; run tidewater doctor again when it can'
  const here = isReached
    ? await examine(setting.home, setting.config)
    : [{ subject: 'tables', level: 'note', message } as const]
  return [...warehouse, ...outside, ...here]
}
