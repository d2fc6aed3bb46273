/** Bodies as bytes: unpacked when they are gzip, within the bound of a request. */
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { Fault, messageOf, systemCode } from '../base/fault.ts'
import { limits } from '../base/limits.ts'

const unpack = promisify(gunzip)

/** @throws Fault `limit`, `invalid`, `unsupported` (another encoding) */
export async function unpackBody(body: Buffer, encoding: string | undefined): Promise<Buffer> {
  switch (encoding?.toLowerCase()) {
    case undefined:
    case '':
    case 'identity':
      return body
    case 'gzip':
    case 'x-gzip':
      try {
        return await unpack(body, { maxOutputLength: limits.streamRequestBytesMax })
      } catch (error) {
        if (systemCode(error) === 'ERR_BUFFER_TOO_LARGE')
          throw new Fault(
            'limit',
            `a body has at most ${limits.streamRequestBytesMax} bytes when it is unpacked; send it in parts`,
          )
        throw new Fault('invalid', `Content-Encoding is gzip, but the body cannot be unpacked: ${messageOf(error)}`)
      }
    default:
      throw new Fault('unsupported', `Content-Encoding: expected gzip or none, got "${String(encoding).slice(0, 40)}"`)
  }
}
