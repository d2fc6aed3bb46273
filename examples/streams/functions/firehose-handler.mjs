/**
 * A function as it is written for a delivery stream with an Iceberg destination: it is called with many records, whose data is in
 * base64, and answers with one result for each. It runs here as it is.
 */
const REQUIRED = ['user_id', 'session_id', 'event', 'ip', 'hostname', 'timestamp', 'uri']
const OPTIONAL = ['referrer', 'user_agent', 'os']
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/

const { DATABASE_NAME, TABLE_NAME, UNIQUE_KEYS = '' } = process.env

export async function handler(event) {
  const records = event.records.map(({ recordId, data }) => {
    const record = parse(data)
    if (record === null || !isValid(record)) return { recordId, result: 'ProcessingFailed', data }
    return {
      recordId,
      result: 'Ok',
      data: Buffer.from(`${JSON.stringify(record)}\n`).toString('base64'),
      metadata: {
        otfMetadata: {
          destinationDatabaseName: DATABASE_NAME,
          destinationTableName: TABLE_NAME,
          operation: UNIQUE_KEYS === '' ? 'insert' : 'update',
        },
      },
    }
  })
  return { records }
}

/** One record that is no JSON must not fail the others. */
function parse(data) {
  try {
    const value = JSON.parse(Buffer.from(data, 'base64').toString())
    return typeof value === 'object' ? value : null
  } catch {
    return null
  }
}

function isValid(record) {
  const isText = (name) => typeof record[name] === 'string'
  return (
    REQUIRED.every(isText) &&
    OPTIONAL.every((name) => record[name] === undefined || record[name] === null || isText(name)) &&
    TIMESTAMP.test(record.timestamp) &&
    !Number.isNaN(Date.parse(record.timestamp))
  )
}
