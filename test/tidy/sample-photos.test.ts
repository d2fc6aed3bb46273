import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ExifReader from 'exifreader'
import sharp from 'sharp'
import { openExtractPool } from '../../src/extract/pool.ts'

const folder = fileURLToPath(new URL('../../examples/photos', import.meta.url))
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .map((name) => join(folder, name))
  .filter((path) => statSync(path).isFile())
const whole = files.filter((path) => path.endsWith('.jpg') && !/(?:cut off|copy interrupted)\.jpg$/.test(path))

function exifOf(path: string) {
  return ExifReader.load(readFileSync(path), { expanded: true })
}

test('the sample photos are few and small', () => {
  const sizeBytes = files.reduce((sum, path) => sum + statSync(path).size, 0)
  assert.equal(files.length, 28)
  assert.ok(sizeBytes < 600 * 1024, `${sizeBytes} bytes`)
})

test('they come from all four quarters of the globe, one from below the sea and one from nowhere', () => {
  const places = whole.map((path) => exifOf(path).gps)
  const quarters = places.flatMap((gps) =>
    gps?.Latitude === undefined || gps.Longitude === undefined
      ? []
      : [`${gps.Latitude < 0 ? 'S' : 'N'}${gps.Longitude < 0 ? 'W' : 'E'}`],
  )
  assert.deepEqual([...new Set(quarters)].sort(), ['NE', 'NW', 'SE', 'SW'])
  assert.equal(quarters.length, whole.length - 1)
  assert.ok(places.some((gps) => gps?.Altitude === -85.5))
})

test('they have every orientation that cameras give, times with and without an offset, and several cameras', () => {
  const tags = whole.map((path) => exifOf(path).exif!)
  assert.deepEqual([...new Set(tags.map((exif) => exif.Orientation!.value))].sort(), [1, 3, 6, 8])
  assert.equal(tags.filter((exif) => exif.OffsetTimeOriginal === undefined).length, 2)
  assert.ok(tags.every((exif) => /^\d{4}(:\d\d){2} \d\d(:\d\d){2}$/.test(exif.DateTimeOriginal!.description)))
  assert.ok(new Set(tags.map((exif) => exif.Model!.description)).size >= 5)
})

test('every picture decodes but the two that are cut off, and two files are no pictures', async () => {
  const broken: string[] = []
  for (const path of files) {
    await sharp(path, { failOn: 'error' })
      .stats()
      .catch(() => broken.push(path.slice(folder.length + 1).replaceAll('\\', '/')))
  }
  assert.deepEqual(broken.sort(), [
    '2024/expenses.csv',
    '2024/iceland/copy interrupted.jpg',
    '2024/iceland/cut off.jpg',
    '2024/iceland/notes.txt',
  ])
})

test('of the two, one still tells its size, the other not', async () => {
  const extractPool = await openExtractPool({ workers: 1 })
  try {
    const outcomes = await Promise.all(
      ['cut off', 'copy interrupted'].map((name) => {
        const path = join(folder, `2024/iceland/${name}.jpg`)
        const key = `2024/iceland/${name}.jpg`
        return extractPool.extract({
          bucket: 'b',
          key,
          versionId: 'null',
          sizeBytes: statSync(path).size,
          file: { path },
        })
      }),
    )
    assert.deepEqual(
      outcomes.map(({ faults, metadata }) => [faults.map(({ kind }) => kind), 'image' in metadata]),
      [
        [[], true],
        [['truncated'], false],
      ],
    )
  } finally {
    await extractPool.close()
  }
})
