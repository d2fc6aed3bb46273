/** Positions, moments and numbers out of EXIF: what each spelling means, and what means nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Json } from '../base/json.ts'
import { positionOf } from './gps.ts'
import { numbersOf, toNumber } from './numbers.ts'
import { parseUtc, takenOf } from './taken.ts'

const rational = (numerator: number, denominator = 1): Json => ({
  type: 'IFDRational',
  numerator,
  denominator,
  imag: 0,
})
const place = (
  latitude: Json,
  latitudeRef: Json,
  longitude: Json,
  longitudeRef: Json,
  more: { [key: string]: Json } = {},
): Json => ({
  GPSLatitude: latitude,
  GPSLatitudeRef: latitudeRef,
  GPSLongitude: longitude,
  GPSLongitudeRef: longitudeRef,
  ...more,
})
const zero = [rational(0), rational(0), rational(0)]

test('a place needs both references, whole denominators and the globe', () => {
  const cases: [Json | undefined, { latitude: number; longitude: number } | null][] = [
    [place([rational(90)], 'n', [rational(180)], 'w '), { latitude: 90, longitude: -180 }],
    [place(zero, 'S', zero, 'W'), { latitude: 0, longitude: 0 }],
    [place([rational(91)], 'N', zero, 'E'), null],
    [place(zero, 'N', [rational(180), rational(1)], 'E'), null],
    [place(zero, 'X', zero, 'E'), null],
    [place(zero, 5, zero, 'E'), null],
    [place([rational(1, 0)], 'N', zero, 'E'), null],
    [place([], 'N', zero, 'E'), null],
    [place([rational(1), rational(2), rational(3), rational(4)], 'N', zero, 'E'), null],
    [place('35 N', 'N', zero, 'E'), null],
    [undefined, null],
    ['GPS', null],
  ]
  for (const [info, want] of cases) {
    assert.deepEqual(positionOf(info), want === null ? null : { ...want, altitude_m: null }, JSON.stringify(info))
  }
})

test('zero is never negative, and the moment of the fix is in UTC', () => {
  const more = {
    GPSAltitude: rational(0),
    GPSAltitudeRef: 1,
    GPSDateStamp: '2024:02:29',
    GPSTimeStamp: [rational(23), rational(59), rational(59_999, 1000)],
  }
  const position = positionOf(place(zero, 'S', zero, 'W', more))
  assert.ok(Object.is(position?.latitude, 0) && Object.is(position?.altitude_m, 0))
  assert.equal(position?.at, '2024-02-29T23:59:59.999Z')
  for (const time of [
    [rational(24), rational(0), rational(0)],
    [rational(1, 0), rational(0), rational(0)],
    [rational(1)],
    'noon',
  ]) {
    assert.equal(positionOf(place(zero, 'S', zero, 'W', { ...more, GPSTimeStamp: time }))?.at, undefined)
  }
})

test('degrees, minutes and seconds come back as the decimal degrees that they were made of', () => {
  fc.assert(
    fc.property(fc.integer({ min: -90 * 3_600_000, max: 90 * 3_600_000 }), (milliseconds) => {
      const size = Math.abs(milliseconds)
      const parts = [
        rational(Math.floor(size / 3_600_000)),
        rational(Math.floor(size / 60_000) % 60),
        rational(size % 60_000, 1000),
      ]
      const position = positionOf(place(parts, milliseconds < 0 ? 'S' : 'N', zero, 'E'))
      assert.ok(Math.abs((position?.latitude ?? Number.NaN) - milliseconds / 3_600_000) < 1e-7)
    }),
  )
})

test('a time is local unless an offset stands beside it', () => {
  const cases: [string, string | undefined, string | undefined, ReturnType<typeof takenOf>][] = [
    ['2024:05:06 07:08:09', undefined, undefined, { local: '2024-05-06T07:08:09', offset: null, utc: null }],
    [
      '2024:05:06 07:08:09',
      '12',
      '-03:00',
      { local: '2024-05-06T07:08:09.12', offset: '-03:00', utc: '2024-05-06T10:08:09.120Z' },
    ],
    [
      '2024:05:06 07:08:09',
      '123456',
      'Z',
      { local: '2024-05-06T07:08:09.123456', offset: '+00:00', utc: '2024-05-06T07:08:09.123Z' },
    ],
    ['2024:05:06 07:08:09', 'x', '+25:00', { local: '2024-05-06T07:08:09', offset: null, utc: null }],
    [
      '2024/12/31 23:59:59',
      undefined,
      '-00:30',
      { local: '2024-12-31T23:59:59', offset: '-00:30', utc: '2025-01-01T00:29:59.000Z' },
    ],
    ['9999:12:31 23:59:59', undefined, '-01:00', { local: '9999-12-31T23:59:59', offset: '-01:00', utc: null }],
    ['2023:02:29 00:00:00', undefined, undefined, null],
    ['2024:13:01 00:00:00', undefined, undefined, null],
    ['2024:01:01 24:00:00', undefined, undefined, null],
    ['2024:01:01 23:60:00', undefined, undefined, null],
    ['2024:01:01', undefined, undefined, null],
    ['', undefined, undefined, null],
  ]
  for (const [original, fraction, offset, want] of cases) {
    const exif = {
      DateTimeOriginal: original,
      ...(fraction === undefined ? {} : { SubsecTimeOriginal: fraction }),
      ...(offset === undefined ? {} : { OffsetTimeOriginal: offset }),
    }
    assert.deepEqual(takenOf(exif), want, original)
  }
  assert.equal(takenOf({ DateTimeOriginal: [2024, 5, 6] }), null)
})

test('every moment of the calendar is found, and no other', () => {
  fc.assert(
    fc.property(
      fc.date({ min: new Date('0001-01-02T00:00:00Z'), max: new Date('9999-12-30T00:00:00Z'), noInvalidDate: true }),
      (date) => {
        const iso = date.toISOString()
        const text = iso.slice(0, 10).replaceAll('-', ':')
        const [hours, minutes, seconds] = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()]
        assert.equal(parseUtc(text, hours, minutes, seconds), `${iso.slice(0, 19)}.000Z`)
      },
    ),
  )
  assert.equal(parseUtc('2024:04:31', 0, 0, 0), null)
})

test('rationals become numbers, and a denominator of 0 is null', () => {
  assert.deepEqual(
    numbersOf({
      ExposureTime: rational(1, 8000),
      Tiny: rational(1, 4_294_967_295),
      Big: rational(4_294_967_295),
      None: rational(0, 0),
      Zero: rational(0, -5),
      List: [rational(1, 3), rational(1, 0)],
      Mixed: [rational(1), 2],
      Text: '1/3',
      Count: 5,
    }),
    { ExposureTime: 0.000125, Tiny: 2.328306e-10, Big: 4_294_967_295, None: null, Zero: 0, List: [0.3333333, null] },
  )
  assert.equal(toNumber({ type: 'other', numerator: 1, denominator: 1 }), null)
})
