/**
 * Scenes for the sample photos, painted as SVG: sky, light, land, and one thing to look at. The same seed paints the
 * same scene.
 */

/** Numbers in [0, 1) that are the same for the same seed. */
function numbers(seed) {
  let state = seed * 2654435761
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const round = (value) => Math.round(value * 10) / 10

/** A vertical gradient over the whole picture, as a definition. */
function gradient(id, colours) {
  const stops = colours.map((colour, i) => `<stop offset="${i / (colours.length - 1)}" stop-color="${colour}"/>`)
  return `<linearGradient id="${id}" x1="0" y1="0" x2="0" y2="1">${stops.join('')}</linearGradient>`
}

function glow(x, y, radius, colour) {
  const fade = `<radialGradient id="glow"><stop offset="0" stop-color="${colour}" stop-opacity=".9"/><stop offset=".25" stop-color="${colour}" stop-opacity=".4"/><stop offset="1" stop-color="${colour}" stop-opacity="0"/></radialGradient>`
  return `<defs>${fade}</defs><circle cx="${x}" cy="${y}" r="${radius * 5}" fill="url(#glow)"/><circle cx="${x}" cy="${y}" r="${radius}" fill="${colour}"/>`
}

/** The outline of hills: a few waves on each other, sharper with more `peaks`. */
function ridge(random, width, height, baseY, rise, peaks, fill) {
  const waves = Array.from({ length: 4 }, (_, i) => ({
    length: (width / peaks) * (1 / (i + 0.7)),
    shift: random() * 10,
    part: 1 / (i * 1.4 + 1),
  }))
  const points = []
  for (let x = 0; x <= width; x += 4) {
    const up = waves.reduce((sum, wave) => sum + Math.abs(Math.sin(x / wave.length + wave.shift)) * wave.part, 0)
    points.push(`${x},${round(baseY - (up / 2) * rise)}`)
  }
  return `<polygon points="0,${height} ${points.join(' ')} ${width},${height}" fill="${fill}"/>`
}

function stars(random, width, height, count) {
  return Array.from({ length: count }, () => {
    const [x, y, r] = [random() * width, random() * height, 0.4 + random() * 1.1]
    return `<circle cx="${round(x)}" cy="${round(y)}" r="${round(r)}" fill="#fff" opacity="${round(0.4 + random() * 0.6)}"/>`
  }).join('')
}

function cloud(x, y, size, opacity) {
  const puffs = [
    [0, 0, 1],
    [0.9, -0.35, 0.85],
    [1.7, 0.05, 0.75],
    [0.8, 0.2, 0.9],
  ]
  const drawn = puffs.map(
    ([dx, dy, r]) => `<circle cx="${round(x + dx * size)}" cy="${round(y + dy * size)}" r="${round(r * size * 0.6)}"/>`,
  )
  return `<g fill="#fff" opacity="${opacity}">${drawn.join('')}</g>`
}

function fir(x, y, size, fill) {
  const layer = (top, half, bottom) =>
    `M${round(x)},${round(y - size * top)} l${round(size * half)},${round(size * (top - bottom))} h${round(-2 * size * half)} z`
  return `<path d="${layer(1, 0.18, 0.62)} ${layer(0.75, 0.25, 0.34)} ${layer(0.5, 0.32, 0.05)}" fill="${fill}"/>`
}

/** What stands on the land. Each gets the picture's size, its horizon and its darkest colour. */
const subjects = {
  none: () => '',
  firs: ({ random, width, height }) =>
    Array.from({ length: 15 }, (_, i) => {
      const depth = i / 14
      const fill = ['#6f8d86', '#4c6f66', '#35574d', '#243f37'][Math.floor(depth * 3.9)]
      const x = (((i * 7) % 15) + 0.2 + random() * 0.6) / 15
      return fir(x * width, height * (0.68 + depth * 0.3), height * (0.13 + depth * 0.13 + random() * 0.06), fill)
    }).join(''),
  acacia: ({ width, height, dark }) => {
    const tree = (x, y, s) =>
      `<path d="M${x - s * 0.03},${y} Q${x},${y - s * 0.4} ${x - s * 0.22},${y - s * 0.72} M${x},${y} Q${x + s * 0.04},${y - s * 0.45} ${x + s * 0.26},${y - s * 0.74}" stroke="${dark}" stroke-width="${s * 0.05}" fill="none"/><ellipse cx="${x}" cy="${y - s * 0.78}" rx="${s * 0.62}" ry="${s * 0.13}" fill="${dark}"/><ellipse cx="${x - s * 0.2}" cy="${y - s * 0.86}" rx="${s * 0.34}" ry="${s * 0.1}" fill="${dark}"/>`
    return tree(width * 0.3, height * 0.86, height * 0.5) + tree(width * 0.82, height * 0.8, height * 0.24)
  },
  boat: ({ width, height, dark }) => {
    const [x, y, s] = [width * 0.64, height * 0.7, height * 0.26]
    return `<path d="M${x - s * 0.45},${y} h${s * 0.9} l${-s * 0.16},${s * 0.16} h${-s * 0.58} z" fill="${dark}"/><path d="M${x},${y - s * 0.04} V${y - s} L${x + s * 0.42},${y - s * 0.08} z" fill="#fff" opacity=".92"/><path d="M${x - s * 0.05},${y - s * 0.06} V${y - s * 0.8} L${x - s * 0.34},${y - s * 0.06} z" fill="#f4e9d8" opacity=".9"/>`
  },
  lighthouse: ({ width, height, dark }) => {
    const [x, y, s] = [width * 0.24, height * 0.8, height * 0.56]
    const bands = [0.16, 0.46, 0.76].map(
      (at) =>
        `<rect x="${x - s * 0.1}" y="${y - s * (at + 0.14)}" width="${s * 0.2}" height="${s * 0.14}" fill="#c8453b"/>`,
    )
    return `<ellipse cx="${x}" cy="${y + s * 0.06}" rx="${s * 0.62}" ry="${s * 0.16}" fill="${dark}"/><clipPath id="tower"><path d="M${x - s * 0.1},${y} L${x - s * 0.06},${y - s} h${s * 0.12} L${x + s * 0.1},${y} z"/></clipPath><g clip-path="url(#tower)"><rect x="${x - s}" y="${y - s}" width="${s * 2}" height="${s}" fill="#f6f1e7"/>${bands.join('')}</g><rect x="${x - s * 0.08}" y="${y - s * 1.1}" width="${s * 0.16}" height="${s * 0.11}" fill="#ffe59a"/><path d="M${x - s * 0.1},${y - s * 1.1} L${x},${y - s * 1.2} L${x + s * 0.1},${y - s * 1.1} z" fill="#8e2f29"/>`
  },
  balloons: ({ random, width, height }) =>
    ['#e4572e', '#f3a712', '#669bbc', '#a23b72']
      .map((colour, i) => {
        const [x, y, s] = [
          width * (0.16 + i * 0.23),
          height * (0.2 + random() * 0.3),
          height * (0.09 + random() * 0.08),
        ]
        return `<path d="M${x},${y + s * 1.5} C${x - s * 1.5},${y + s * 0.2} ${x - s},${y - s} ${x},${y - s} C${x + s},${y - s} ${x + s * 1.5},${y + s * 0.2} ${x},${y + s * 1.5} z" fill="${colour}"/><path d="M${x},${y + s * 1.5} C${x - s * 0.5},${y + s * 0.2} ${x - s * 0.3},${y - s} ${x},${y - s} C${x + s * 0.3},${y - s} ${x + s * 0.5},${y + s * 0.2} ${x},${y + s * 1.5} z" fill="#fff" opacity=".35"/><rect x="${x - s * 0.14}" y="${y + s * 1.7}" width="${s * 0.28}" height="${s * 0.24}" fill="#5b3a21"/>`
      })
      .join(''),
  city: ({ random, width, height, dark }) => {
    let drawn = ''
    for (let x = 0; x < width; x += 26) {
      const top = height * (0.34 + random() * 0.34)
      drawn += `<rect x="${x}" y="${round(top)}" width="24" height="${height}" fill="${dark}"/>`
      for (let y = top + 8; y < height - 10; y += 13) {
        for (const dx of [4, 13])
          if (random() < 0.45) drawn += `<rect x="${x + dx}" y="${round(y)}" width="5" height="6" fill="#ffd98a"/>`
      }
    }
    return drawn
  },
  rows: ({ width, height, horizon }) => {
    const colours = ['#d1495b', '#edae49', '#f4d35e', '#8e5572', '#e07a5f', '#4f772d']
    const middle = width / 2
    return Array.from({ length: 24 }, (_, i) => {
      const [a, b] = [i - 12, i - 11]
      return `<polygon points="${middle + a * 6},${horizon} ${middle + b * 6},${horizon} ${middle + b * 90},${height} ${middle + a * 90},${height}" fill="${colours[i % colours.length]}"/>`
    }).join('')
  },
  aurora: ({ random, width, height }) =>
    Array.from({ length: 5 }, (_, i) => {
      const y = height * (0.14 + i * 0.08)
      const bend = () => round((random() - 0.5) * height * 0.3)
      return `<path d="M-10,${round(y)} C${width * 0.3},${y + bend()} ${width * 0.6},${y + bend()} ${width + 10},${round(y + bend())}" stroke="${['#6df0c2', '#4fd1a5', '#9be7ff', '#b18cff', '#6df0c2'][i]}" stroke-width="${height * 0.09}" fill="none" opacity=".28"/>`
    }).join(''),
  volcano: ({ width, height, dark }) => {
    const [x, foot, top] = [width * 0.5, height * 0.74, height * 0.24]
    return `<path d="M${x - width * 0.42},${foot} Q${x - width * 0.16},${height * 0.56} ${x - width * 0.06},${top} h${width * 0.12} Q${x + width * 0.16},${height * 0.56} ${x + width * 0.42},${foot} z" fill="${dark}"/><path d="M${x - width * 0.115},${height * 0.37} L${x - width * 0.06},${top} h${width * 0.12} L${x + width * 0.115},${height * 0.37} l${-width * 0.04},${-height * 0.03} l${-width * 0.035},${height * 0.05} l${-width * 0.04},${-height * 0.05} l${-width * 0.045},${height * 0.06} l${-width * 0.035},${-height * 0.06} z" fill="#fdfdfd"/>`
  },
  arch: ({ width, height, dark }) => {
    const [x, y, s] = [width * 0.5, height * 0.86, height * 0.6]
    return `<path fill-rule="evenodd" d="M${x - s * 0.75},${y} C${x - s * 0.7},${y - s * 0.9} ${x - s * 0.3},${y - s * 1.05} ${x},${y - s} C${x + s * 0.4},${y - s * 0.95} ${x + s * 0.72},${y - s * 0.7} ${x + s * 0.7},${y} h${-s * 0.3} C${x + s * 0.36},${y - s * 0.5} ${x + s * 0.2},${y - s * 0.7} ${x},${y - s * 0.7} C${x - s * 0.24},${y - s * 0.7} ${x - s * 0.4},${y - s * 0.5} ${x - s * 0.4},${y} z" fill="${dark}"/>`
  },
}

/** Ripples of light, wider towards the front. */
function water(random, width, height, horizon, colours, light) {
  let drawn = `<defs>${gradient('water', colours)}</defs><rect y="${horizon}" width="${width}" height="${height - horizon}" fill="url(#water)"/>`
  for (let i = 0; i < 26; i++) {
    const depth = i / 26
    const y = horizon + depth ** 1.5 * (height - horizon)
    const half = 8 + depth * 70 * random()
    const x = light + (random() - 0.5) * (20 + depth * 150)
    drawn += `<rect x="${round(x - half)}" y="${round(y)}" width="${round(half * 2)}" height="${round(1 + depth * 3)}" rx="1.5" fill="#fff" opacity="${round(0.5 - depth * 0.3)}"/>`
  }
  return drawn
}

/**
 * @param scene `width`, `height`, `seed`; `sky` colours from top to horizon; `sun` as x, y, radius (parts of the
 *   picture) and colour; `land` colours from far to near with `peaks`; `water` colours; `clouds`, `stars` counts;
 *   `subject`; `horizon` as part of the height
 * @returns the picture as SVG
 */
export function paint(scene) {
  const { width, height, sky, sun, land = [], peaks = 3, rise = 0.3, subject = 'none' } = scene
  const random = numbers(scene.seed)
  const horizon = Math.round(height * (scene.horizon ?? 0.62))
  const dark = scene.dark ?? land.at(-1) ?? '#222'
  const parts = [`<defs>${gradient('sky', sky)}</defs><rect width="${width}" height="${height}" fill="url(#sky)"/>`]
  if (scene.stars) parts.push(stars(random, width, horizon, scene.stars))
  if (sun) parts.push(glow(sun.x * width, sun.y * height, sun.radius * height, sun.colour))
  for (let i = 0; i < (scene.clouds ?? 0); i++) {
    parts.push(cloud(random() * width, height * (0.08 + random() * 0.25), height * (0.05 + random() * 0.06), 0.75))
  }
  const look = { random, width, height, horizon, dark }
  const behind = subject === 'aurora' || subject === 'volcano' || subject === 'balloons' || subject === 'rows'
  if (behind && subject !== 'rows') parts.push(subjects[subject](look))
  for (const [i, colour] of land.entries()) {
    const nearness = land.length === 1 ? 0 : i / (land.length - 1)
    const baseY = horizon + nearness * (height - horizon) * 0.75
    parts.push(ridge(random, width, height, baseY, height * rise * (1 - nearness * 0.6), peaks, colour))
  }
  if (scene.water) parts.push(water(random, width, height, horizon, scene.water, (sun?.x ?? 0.5) * width))
  if (!behind || subject === 'rows') parts.push(subjects[subject](look))
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">${parts.join('')}</svg>`
}
