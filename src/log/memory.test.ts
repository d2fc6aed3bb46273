import { logContract } from '../../test/contract/log.ts'
import { openMemoryLog } from './memory.ts'

logContract('memory', async () => openMemoryLog({ name: 'numbers' }))
