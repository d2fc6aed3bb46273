/**
 * Draws docs/benchmarks.svg from bench/results/latest.json: `node bench/chart.mjs [RESULTS]`. One bar per contender and work,
 * each group on a scale of its own, since only figures of one run and one work compare.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const file = process.argv[2] ?? join(root, 'bench', 'results', 'latest.json')
const { measures } = JSON.parse(readFileSync(file, 'utf8'))

/** Contender → colour that shows on white and on black. */
const colours = {
  tidewater: '#2a7fb8',
  duckdb: '#b8862a',
  pyiceberg: '#7a7a7a',
  pillow: '#7a7a7a',
  plain: '#b8862a',
  exifreader: '#a0a0a0',
}
const [width, left, bar, gap, text] = [860, 330, 14, 4, 12]

const groups = new Map()
for (const measure of measures) {
  if (!/(rows|photos|records|events)\/s/.test(measure.unit) || measure.contender.includes('upkeep')) continue
  const key = `${measure.bench}: ${measure.work}`
  const group = groups.get(key) ?? new Map()
  groups.set(key, group.set(measure.contender, measure))
}

const parts = []
let y = 30
for (const [title, group] of groups) {
  parts.push(`<text x="8" y="${y + text}" font-weight="bold">${escaped(title)}</text>`)
  y += bar + gap + 4
  const most = Math.max(...[...group.values()].map((measure) => measure.max))
  for (const measure of group.values()) {
    const scale = (value) => (value / most) * (width - left - 110)
    const colour = colours[measure.contender.split(/[ ,]/)[0]] ?? '#7a7a7a'
    parts.push(
      `<text x="${left - 8}" y="${y + text - 1}" text-anchor="end">${escaped(measure.contender)}</text>`,
      `<rect x="${left}" y="${y}" width="${scale(measure.median).toFixed(1)}" height="${bar}" fill="${colour}"/>`,
      `<path d="M${(left + scale(measure.min)).toFixed(1)} ${y + bar / 2}H${(left + scale(measure.max)).toFixed(1)}" stroke="#d04040"/>`,
      `<text x="${(left + scale(measure.max) + 6).toFixed(1)}" y="${y + text - 1}">${Math.round(measure.median).toLocaleString('en')} ${measure.unit}</text>`,
    )
    y += bar + gap
  }
  y += 8
}
const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" font-family="sans-serif" font-size="${text}" role="img" aria-label="Benchmarks: medians as bars, least and greatest as red lines">
<rect width="${width}" height="${y}" fill="#fff"/><text x="8" y="16">Medians as bars, least and greatest as red lines; compare within a group only.</text>
${parts.join('\n')}
</svg>
`
writeFileSync(join(root, 'docs', 'benchmarks.svg'), svg)
console.log(`docs/benchmarks.svg: ${groups.size} groups`)

function escaped(words) {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
