/**
 * Iceberg tables from Node, on their own: `node orders.ts FOLDER` in a project that has the package. In a clone, which has nothing built,
 * `node_modules/node/bin/node --conditions=tidewater-source examples/library/orders.ts FOLDER`.
 */
import { openLake } from 'tidewater/iceberg'

const folder = process.argv[2] ?? 'lake'
const lake = await openLake({ catalog: `${folder}/catalog.db`, warehouse: `${folder}/warehouse` })

const orders = await lake.createTable('shop.orders', {
  columns: {
    id: 'LONG NOT NULL',
    region: 'STRING',
    total: 'DECIMAL(9, 2)',
    at: 'TIMESTAMP',
    tags: 'MAP<STRING, STRING>',
  },
  key: ['id'],
  partitioning: 'region',
})

await orders.upsert([
  { id: 1, region: 'eu', total: '12.50', at: '2024-05-01 10:00:00', tags: { gift: 'yes' } },
  { id: 2, region: 'us', total: '7.00', at: '2024-05-01 11:30:00' },
])
const before = (await orders.snapshots()).at(-1)

// A key may move between partitions; the old row goes wherever it was.
await orders.upsert([{ id: 1, region: 'us', total: '13.00', at: '2024-05-02 09:00:00' }])
await orders.delete([{ id: 2 }])

for await (const row of orders.rows({ columns: ['id', 'region', 'total'], where: 'total > 10' }))
  console.log('now', row)
for await (const row of orders.rows({ columns: ['id', 'region', 'total'], snapshotId: before!.snapshotId }))
  console.log('then', row)
for await (const row of lake.sql('SELECT count(*) AS n FROM shop.orders.snapshots')) console.log('snapshots', row['n'])

await lake.close()
