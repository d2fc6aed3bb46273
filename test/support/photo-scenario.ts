/**
 * Twenty-two changes of a bucket of photos, run on a bucket: eighteen uploads with and without tags, and a soccer ball that is
 * uploaded with wrong tags, deleted, uploaded again and tagged.
 */
export interface ScenarioBucket {
  put(key: string, bytes: Uint8Array, extra: { tags: Record<string, string> }): Promise<unknown>
  delete(key: string): Promise<unknown>
  tag(key: string, tags: Record<string, string>): Promise<unknown>
}

export const AFRICA = ['baobab', 'dunes', 'elephant', 'giraffe', 'lion', 'market', 'savanna', 'zebra']
export const EUROPE = ['alps', 'bridge', 'cathedral', 'fjord', 'harbour', 'tulips', 'windmill']
export const UNTAGGED = ['boat', 'clouds', 'pebbles']
export const SOCCER_TAGS = { ObjectInfo: 'Soccer Ball', Project: 'Africa' }

/** Key → its tags in the end. */
export const FINAL_TAGS: ReadonlyMap<string, Record<string, string>> = new Map<string, Record<string, string>>([
  ...AFRICA.map((name): [string, Record<string, string>] => [`${name}.jpg`, { Project: 'Africa' }]),
  ...EUROPE.map((name): [string, Record<string, string>] => [`${name}.jpg`, { Project: 'Europe' }]),
  ...UNTAGGED.map((name): [string, Record<string, string>] => [`${name}.jpg`, {}]),
  ['soccer.jpg', SOCCER_TAGS],
])

/** @param picture the bytes of an upload; @param between called after each change */
export async function runScenario(
  bucket: ScenarioBucket,
  picture: (key: string, upload: number) => Uint8Array,
  between: () => Promise<unknown> | unknown = () => undefined,
): Promise<void> {
  let uploads = 0
  const put = async (key: string, tags: Record<string, string>) => {
    await bucket.put(key, picture(key, uploads++), { tags })
    await between()
  }
  for (const name of AFRICA) await put(`${name}.jpg`, { Project: 'Africa' })
  for (const name of EUROPE) await put(`${name}.jpg`, { Project: 'Europe' })
  for (const name of UNTAGGED) await put(`${name}.jpg`, {})
  await put('soccer.jpg', { Project: 'WrongProject' })
  await bucket.delete('soccer.jpg')
  await between()
  await put('soccer.jpg', { Project: 'Africa' })
  await bucket.tag('soccer.jpg', SOCCER_TAGS)
  await between()
}

/** The smallest GIF of that width: another object for each upload. */
export function gifOf(width: number): Uint8Array {
  const wide = Buffer.from([width & 0xff, width >> 8]).toString('hex')
  const hex = `474946383961 ${wide} 0100 800000 000000ffffff 2c 00000000 01000100 00 02 02 4c01 00 3b`
  return Buffer.from(hex.replaceAll(' ', ''), 'hex')
}
