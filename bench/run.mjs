/**
 * The benches: `npm run bench -- [FILTER…] [--quick] [--seed N] [--rounds N] [--memory MiB] [--keys N,…] [--commits N,…]`, or `node bench/run.mjs` with the same.
 *
 * A filter keeps the benches whose name contains it (`node bench/run.mjs upserts`). Results are printed as a table and kept in
 * `bench/results/`, from which `node bench/chart.mjs` draws the chart of docs/benchmarks.md.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { ensureInstalled, projectFolder } from '../bin/setup.mjs'

const child = spawn(await ensureInstalled(), [join('bench', 'main.ts'), ...process.argv.slice(2)], {
  cwd: projectFolder,
  stdio: 'inherit',
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
child.on('exit', (code) => {
  process.exitCode = code ?? 1
})
