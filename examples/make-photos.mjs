/**
 * Makes the sample photos in `examples/photos`: run `node examples/make-photos.mjs`. Places, people and cameras are
 * made up or generic; pictures, texts and this program are under the project's own licence.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'
import { exifBlock, withExif } from './exif-block.mjs'
import { paint } from './photo-scenes.mjs'

const folder = fileURLToPath(new URL('photos', import.meta.url))

const cameras = {
  nord: {
    Make: 'Halden',
    Model: 'Halden Nord 5',
    LensMake: 'Halden',
    LensModel: 'Halden 24-70mm f/2.8',
    Software: 'Nord 2.11',
  },
  prime: {
    Make: 'Halden',
    Model: 'Halden Nord 5',
    LensMake: 'Halden',
    LensModel: 'Halden 35mm f/1.8',
    Software: 'Nord 2.11',
  },
  compact: {
    Make: 'Kestrel Optical',
    Model: 'Kestrel C20',
    LensModel: 'Kestrel 8.8-25.7mm f/1.8-4.9',
    Software: 'C20 v1.04',
  },
  phone: {
    Make: 'Lumio',
    Model: 'Lumio Phone 12',
    LensModel: 'Lumio Phone 12 main camera 5.6mm f/1.6',
    Software: 'LumioOS 9.2',
  },
  drone: { Make: 'Brightwater', Model: 'BW-Air 3', LensModel: '24.0 mm f/2.8', Software: '10.03.18.52' },
  film: { Make: 'Ødegård', Model: 'Scan 4 Pro', Software: 'Ødegård Scan 3.0' },
}

const palettes = {
  dawn: ['#3b4a7a', '#b76d8c', '#f6b38a', '#fde3b4'],
  day: ['#3f8fd2', '#8cc4ec', '#dff1fb'],
  dusk: ['#2a2350', '#7a3b69', '#e06c57', '#f9c46b'],
  night: ['#060b22', '#0f1e45', '#24436b'],
  storm: ['#4b5a67', '#8595a0', '#c9d1d3'],
  savanna: ['#f08a4b', '#f7b267', '#fde2a7'],
}

/**
 * One photo: `at` is latitude, longitude, altitude in metres; `taken` local time, with an offset or without; `turn` the
 * EXIF orientation; `shot` exposure (1/x s, or [s, 1]), f-number × 10, ISO, focal length in mm.
 */
const photos = [
  {
    path: '2023/norway/Lofoten harbour.jpg',
    camera: 'nord',
    title: 'Fishing harbour',
    taken: '2023-02-14T10:41:07+01:00',
    at: [68.2342, 14.5636, 4],
    shot: [320, 80, 200, 38],
    scene: {
      sky: palettes.day,
      land: ['#8fa9c4', '#4f6d8c', '#33475b'],
      water: ['#5b8bb0', '#24506e'],
      horizon: 0.55,
      rise: 0.42,
      subject: 'boat',
      dark: '#7c2d26',
      clouds: 3,
    },
  },
  {
    path: '2023/norway/aurora.jpg',
    camera: 'prime',
    title: 'Northern lights',
    taken: '2023-02-15T22:13:50+01:00',
    at: [68.1003, 13.9912, 12],
    shot: [[8, 1], 18, 1600, 35],
    scene: { sky: palettes.night, land: ['#12233b', '#0a1424'], stars: 160, subject: 'aurora', horizon: 0.74 },
  },
  {
    path: '2023/norway/firs in snow.jpg',
    camera: 'nord',
    title: 'Firs',
    taken: '2023-02-17T12:02:31+01:00',
    at: [61.1153, 10.4662, 420],
    shot: [500, 56, 100, 70],
    turn: 8,
    portrait: true,
    scene: {
      sky: palettes.storm,
      land: ['#dfe7ec', '#f4f7f9'],
      subject: 'firs',
      dark: '#27413a',
      horizon: 0.6,
      rise: 0.12,
    },
  },
  {
    path: '2023/patagonia/torres.jpg',
    camera: 'nord',
    title: 'Three towers',
    taken: '2023-11-30T06:12:09-03:00',
    at: [-50.9423, -72.9866, 870],
    shot: [60, 110, 64, 24],
    scene: {
      sky: palettes.dawn,
      sun: { x: 0.2, y: 0.5, radius: 0.05, colour: '#fff0c9' },
      land: ['#a2677c', '#6e4b66', '#3d3048'],
      peaks: 6,
      rise: 0.55,
    },
  },
  {
    path: '2023/patagonia/glacier lake.jpg',
    camera: 'drone',
    title: 'Meltwater',
    taken: '2023-12-02T15:44:58-03:00',
    at: [-50.4967, -73.1377, 310],
    shot: [800, 28, 100, 24],
    scene: {
      sky: palettes.day,
      land: ['#dfeaf3', '#8aa0b3', '#5a6f7d'],
      water: ['#69c3cf', '#1f7f95'],
      peaks: 5,
      rise: 0.4,
      horizon: 0.52,
      clouds: 2,
    },
  },
  {
    path: '2023/patagonia/gaucho country.jpg',
    camera: 'compact',
    title: 'Steppe',
    taken: '2023-12-05T18:20:00',
    at: [-46.5436, -70.9289, 615],
    shot: [400, 40, 125, 9],
    scene: {
      sky: palettes.savanna,
      sun: { x: 0.75, y: 0.45, radius: 0.07, colour: '#fff3d0' },
      land: ['#c08a4e', '#8a5a36', '#5c3b26'],
      peaks: 2,
      rise: 0.15,
    },
  },
  {
    path: '2024/iceland/fjord at dawn.jpg',
    camera: 'nord',
    title: 'Fjord at dawn',
    taken: '2024-06-21T03:58:12+00:00',
    at: [65.0791, -13.9893, 25],
    shot: [125, 80, 100, 31],
    scene: {
      sky: palettes.dawn,
      sun: { x: 0.62, y: 0.52, radius: 0.06, colour: '#fff2cf' },
      land: ['#7d6b8e', '#4d4870', '#2b2c4d'],
      water: ['#b98a94', '#3f4468'],
      horizon: 0.58,
      rise: 0.4,
    },
  },
  {
    path: '2024/iceland/Kirkjuvík lighthouse.jpg',
    camera: 'prime',
    title: 'Lighthouse',
    taken: '2024-06-22T11:30:45+00:00',
    at: [63.9017, -22.7291, 18],
    shot: [640, 56, 100, 35],
    scene: {
      sky: palettes.day,
      land: [],
      water: ['#4d93b8', '#1d5878'],
      horizon: 0.66,
      subject: 'lighthouse',
      dark: '#3d4a36',
      clouds: 4,
    },
  },
  {
    path: '2024/iceland/black sand.jpg',
    camera: 'phone',
    title: 'Black sand',
    taken: '2024-06-23T20:15:02+00:00',
    at: [63.4044, -19.0451, 2],
    shot: [90, 16, 80, 6],
    turn: 6,
    portrait: true,
    scene: {
      sky: palettes.storm,
      land: ['#5d6770', '#1f2224'],
      water: ['#7f8f99', '#3f4a52'],
      peaks: 5,
      rise: 0.35,
      horizon: 0.5,
    },
  },
  {
    path: '2024/iceland/midnight sun.jpg',
    camera: 'phone',
    title: 'Midnight sun',
    taken: '2024-06-24T00:02:37+00:00',
    at: [66.1368, -18.9105, 31],
    shot: [180, 16, 50, 6],
    scene: {
      sky: palettes.dusk,
      sun: { x: 0.5, y: 0.56, radius: 0.09, colour: '#ffe9a8' },
      land: [],
      water: ['#c96a55', '#37264f'],
      horizon: 0.6,
    },
  },
  {
    path: '2024/kenya/acacia.jpg',
    camera: 'nord',
    title: 'Acacias',
    taken: '2024-08-11T18:31:26+03:00',
    at: [-1.4061, 35.0167, 1512],
    shot: [250, 71, 200, 68],
    scene: {
      sky: palettes.savanna,
      sun: { x: 0.55, y: 0.62, radius: 0.11, colour: '#fff1c4' },
      land: ['#b5773f', '#3a2416'],
      horizon: 0.78,
      rise: 0.08,
      subject: 'acacia',
      dark: '#2a1a10',
    },
  },
  {
    path: '2024/kenya/balloons.jpg',
    camera: 'nord',
    title: 'Balloons over the plain',
    taken: '2024-08-12T06:44:19+03:00',
    at: [-1.4932, 35.1439, 1620],
    shot: [500, 56, 160, 50],
    scene: { sky: palettes.dawn, land: ['#d3a05f', '#8d6a3a'], horizon: 0.8, rise: 0.1, subject: 'balloons' },
  },
  {
    path: '2024/kenya/upside down.jpg',
    camera: 'phone',
    title: 'Held the wrong way',
    taken: '2024-08-12T13:05:00+03:00',
    at: [-1.2921, 36.8219, 1661],
    shot: [1000, 16, 50, 6],
    turn: 3,
    scene: { sky: palettes.day, land: ['#7fa05a', '#4c7038'], horizon: 0.66, rise: 0.2, clouds: 5 },
  },
  {
    path: '2024/lisboa/elétrico 28.jpg',
    camera: 'compact',
    title: 'City lights',
    taken: '2024-10-03T19:48:33+01:00',
    at: [38.7139, -9.1334, 77],
    shot: [30, 20, 800, 9],
    scene: { sky: palettes.dusk, subject: 'city', dark: '#241a33', stars: 10 },
  },
  {
    path: '2024/lisboa/100% sun + sea.jpg',
    camera: 'phone',
    title: 'All sun',
    taken: '2024-10-04T16:22:10+01:00',
    at: [38.6979, -9.4215, 6],
    shot: [1600, 16, 50, 6],
    scene: {
      sky: palettes.day,
      sun: { x: 0.7, y: 0.2, radius: 0.08, colour: '#fffbe0' },
      land: [],
      water: ['#49a6c9', '#0e5f86'],
      horizon: 0.5,
      subject: 'boat',
      dark: '#274060',
    },
  },
  {
    path: '2024/death valley/badwater.jpg',
    camera: 'compact',
    title: 'Below the sea',
    taken: '2024-11-20T14:10:55-08:00',
    at: [36.2297, -116.7672, -85.5],
    shot: [1000, 56, 125, 12],
    scene: { sky: palettes.day, land: ['#b08968', '#e6ddd0', '#f7f3ec'], horizon: 0.5, rise: 0.25, peaks: 4 },
  },
  {
    path: '2025/日本/富士山.jpg',
    camera: 'prime',
    title: '富士山',
    taken: '2025-04-05T05:36:48+09:00',
    at: [35.5013, 138.8047, 980],
    shot: [200, 80, 100, 35],
    scene: {
      sky: palettes.dawn,
      land: ['#5b6b7d', '#39506a'],
      water: ['#8ba6bf', '#38587a'],
      horizon: 0.72,
      rise: 0.1,
      subject: 'volcano',
      dark: '#5d6f92',
    },
  },
  {
    path: '2025/日本/tulip rows.jpg',
    camera: 'nord',
    title: 'Tulips',
    taken: '2025-04-18T09:12:00+09:00',
    at: [43.0821, 141.3345, 22],
    shot: [400, 90, 100, 28],
    scene: { sky: palettes.day, land: ['#7f9f7a'], horizon: 0.46, rise: 0.12, subject: 'rows', clouds: 3 },
  },
  {
    path: '2025/new zealand/natural arch.jpg',
    camera: 'nord',
    title: 'Arch',
    taken: '2025-07-19T16:40:21+12:00',
    at: [-36.8277, 175.7902, 3],
    shot: [160, 110, 100, 26],
    scene: {
      sky: palettes.dusk,
      sun: { x: 0.52, y: 0.55, radius: 0.07, colour: '#ffe9b0' },
      land: [],
      water: ['#d97b5c', '#3a2b52'],
      horizon: 0.62,
      subject: 'arch',
      dark: '#2b2238',
    },
  },
  {
    path: '2025/new zealand/no place.jpg',
    camera: 'film',
    title: 'A scanned slide',
    taken: '1987-01-08T00:00:00',
    shot: null,
    scene: { sky: palettes.storm, land: ['#9aa58c', '#6f7d62', '#4d5a45'], peaks: 4, rise: 0.35 },
  },
]

/** How pixels are stored so that the orientation turns them upright. */
const storedTurn = { 1: 0, 3: 180, 6: 270, 8: 90 }

function degrees(value) {
  const hundredths = Math.round(Math.abs(value) * 3600 * 100)
  return [
    [Math.floor(hundredths / 360000), 1],
    [Math.floor((hundredths % 360000) / 6000), 1],
    [hundredths % 6000, 100],
  ]
}

function gpsOf(photo) {
  if (photo.at === undefined) return {}
  const [latitude, longitude, altitude] = photo.at
  const gps = {
    GPSLatitudeRef: latitude < 0 ? 'S' : 'N',
    GPSLatitude: degrees(latitude),
    GPSLongitudeRef: longitude < 0 ? 'W' : 'E',
    GPSLongitude: degrees(longitude),
    GPSAltitudeRef: altitude < 0 ? 1 : 0,
    GPSAltitude: [Math.round(Math.abs(altitude) * 10), 10],
  }
  if (photo.taken.length === 19) return gps
  const utc = new Date(photo.taken).toISOString()
  const [hours, minutes, seconds] = utc.slice(11, 19).split(':').map(Number)
  return {
    ...gps,
    GPSTimeStamp: [
      [hours, 1],
      [minutes, 1],
      [seconds, 1],
    ],
    GPSDateStamp: utc.slice(0, 10).replaceAll('-', ':'),
  }
}

function exifOf(photo, width, height) {
  const { LensMake, LensModel, ...camera } = cameras[photo.camera]
  const local = photo.taken.slice(0, 19).replaceAll('-', ':').replace('T', ' ')
  const image = {
    ImageDescription: photo.title,
    ...camera,
    Orientation: photo.turn ?? 1,
    XResolution: [72, 1],
    YResolution: [72, 1],
    ResolutionUnit: 2,
    DateTime: local,
    Artist: 'Åsa Lindqvist',
    Copyright: 'Tidewater contributors, Apache-2.0',
  }
  const exif = {
    DateTimeOriginal: local,
    DateTimeDigitized: local,
    ColorSpace: 1,
    PixelXDimension: width,
    PixelYDimension: height,
  }
  if (photo.taken.length > 19) exif.OffsetTimeOriginal = photo.taken.slice(19)
  if (photo.shot !== null) {
    const [exposure, fNumber, iso, focal] = photo.shot
    Object.assign(exif, {
      ExposureTime: Array.isArray(exposure) ? exposure : [1, exposure],
      FNumber: [fNumber, 10],
      ISOSpeedRatings: iso,
      FocalLength: [focal * 10, 10],
      ExposureProgram: 3,
      ExposureBiasValue: [-1, 3],
      MeteringMode: 5,
      Flash: 16,
      WhiteBalance: 0,
      SubSecTimeOriginal: '25',
      LensModel,
    })
    if (LensMake !== undefined) exif.LensMake = LensMake
  }
  return exifBlock({ image, exif, gps: gpsOf(photo) })
}

async function jpegOf(photo, seed) {
  const [width, height] = photo.portrait ? [320, 480] : seed % 3 === 0 ? [640, 400] : [512, 340]
  const upright = sharp(Buffer.from(paint({ width, height, seed, ...photo.scene })))
  const turned = upright.flatten({ background: '#fff' }).rotate(storedTurn[photo.turn ?? 1])
  const { data, info } = await turned
    .jpeg({ quality: 72, chromaSubsampling: '4:2:0' })
    .toBuffer({ resolveWithObject: true })
  return withExif(data, exifOf(photo, info.width, info.height))
}

/** Pictures in other formats, and files that are no pictures. */
async function others() {
  const svg = (seed, scene) => Buffer.from(paint({ width: 320, height: 220, seed, ...scene }))
  const plain = (seed, scene) => sharp(svg(seed, scene)).flatten({ background: '#fff' })
  const sea = { sky: palettes.day, land: [], water: ['#4d93b8', '#1d5878'], horizon: 0.55, clouds: 2 }
  const frames = await Promise.all(
    [0, 1, 2, 3].map((i) =>
      plain(90 + i, { ...sea, width: 160, height: 110, clouds: 0 })
        .png()
        .toBuffer(),
    ),
  )
  const taken = { DateTimeOriginal: '2025:05:01 12:00:00', OffsetTimeOriginal: '+02:00' }
  const broken = await jpegOf({ ...photos[6], title: 'Cut off', path: '' }, 77)
  return {
    'screens/map of the coast.png': await plain(81, {
      sky: ['#eef4f2', '#dbe9e4'],
      land: ['#c7d8a8', '#b3c98f'],
      horizon: 0.4,
      rise: 0.3,
    })
      .png({ palette: true, colours: 32 })
      .toBuffer(),
    '2025/web/harbour.webp': await plain(82, { sky: palettes.dusk, subject: 'city', dark: '#1d1a2b' })
      .withExif({ IFD0: { Make: 'Lumio', Model: 'Lumio Phone 12' }, IFD2: taken })
      .webp({ quality: 60 })
      .toBuffer(),
    '2025/web/waves.gif': await sharp(frames, { join: { animated: true } })
      .gif({ colours: 24, delay: 250, loop: 0 })
      .toBuffer(),
    'scans/old negative.tiff': await plain(83, {
      sky: palettes.storm,
      land: ['#8a8a8a', '#4a4a4a'],
      width: 240,
      height: 160,
    })
      .greyscale()
      .tiff({ compression: 'deflate', predictor: 'horizontal' })
      .toBuffer(),
    '2024/iceland/cut off.jpg': broken.subarray(0, Math.floor(broken.length * 0.6)),
    // So little that its size cannot be told: what is known of it is its camera.
    '2024/iceland/copy interrupted.jpg': broken.subarray(0, 512),
    '2024/iceland/notes.txt': Buffer.from('Lighthouse opens at ten. Bring the long lens, the seals are far out.\n'),
    '2024/expenses.csv': Buffer.from(
      'date,what,amount,currency\n2024-06-21,ferry,4200,ISK\n2024-06-22,soup,3150,ISK\n',
    ),
  }
}

rmSync(folder, { recursive: true, force: true })
let total = 0
function save(path, bytes) {
  const target = join(folder, path)
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, bytes)
  total += bytes.length
}
for (const [i, photo] of photos.entries()) save(photo.path, await jpegOf(photo, i + 1))
for (const [path, bytes] of Object.entries(await others())) save(path, bytes)
console.log(`${photos.length + 8} files, ${Math.round(total / 1024)} KiB in ${folder}`)
