/** The name of a colour profile (ICC.1:2022, 7.3 and 10.15). Profiles are never applied here, only named. */
import { latin1, tag4, trimBlanks, untilNul, utf16 } from './text.ts'

/** The profile's description, or null when the bytes are no profile or have none. */
export function profileDescription(profile: Uint8Array | null): string | null {
  if (profile === null || profile.length < 132 || tag4(profile, 36) !== 'acsp') return null
  const view = new DataView(profile.buffer, profile.byteOffset, profile.byteLength)
  const count = Math.min(view.getUint32(128), 100)
  for (let i = 0; i < count; i++) {
    const at = 132 + i * 12
    if (at + 12 > profile.length) return null
    if (tag4(profile, at) !== 'desc') continue
    const offset = view.getUint32(at + 4)
    const end = Math.min(offset + view.getUint32(at + 8), profile.length)
    return offset + 12 > end ? null : descriptionIn(profile.subarray(offset, end))
  }
  return null
}

function descriptionIn(bytes: Uint8Array): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let text = ''
  if (tag4(bytes, 0) === 'desc') text = latin1(bytes.subarray(12, 12 + Math.min(view.getUint32(8), 256)))
  else if (tag4(bytes, 0) === 'mluc' && bytes.length >= 28) {
    // The first language is the profile's own choice.
    const length = Math.min(view.getUint32(20), 512)
    const offset = view.getUint32(24)
    text = utf16(bytes.subarray(offset, offset + length), true)
  }
  const name = trimBlanks(untilNul(text))
  return name === '' ? null : name
}
