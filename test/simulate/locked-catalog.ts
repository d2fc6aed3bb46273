/** A catalog file that another process holds. */
import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'

/** A child that holds the catalog file for a while. */
export async function lockCatalog(home: string, forMs: number): Promise<ChildProcess> {
  const script = `const { DatabaseSync } = require('node:sqlite')
    const database = new DatabaseSync(${JSON.stringify(path.join(home, 'catalog.db'))}, { timeout: 5000 })
    database.exec('BEGIN EXCLUSIVE')
    console.log('locked')
    setTimeout(() => database.exec('ROLLBACK'), ${forMs})`
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((done) => child.stdout.once('data', done))
  return child
}
