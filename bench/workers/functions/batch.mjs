/** The same as a function of delivery streams: many records at a time, in base64. */
export function handler({ records }) {
  return {
    records: records.map(({ recordId, data }) => {
      const value = JSON.parse(Buffer.from(data, 'base64').toString())
      value.n += 1
      return { recordId, result: 'Ok', data: Buffer.from(JSON.stringify(value)).toString('base64') }
    }),
  }
}
