// Segments as another implementation of Parquet reads them: node read.mjs MODULES FILE... -- COLUMN:KIND...
// One line a row, columns separated by tabs, null as \N, as test/multinode/064_tier_types.pl has PostgreSQL write them: floats
// by their bits, strings and bytes by their MD5, days and microseconds since 1970, decimals with all their digits, geometries (which the
// file's GeoParquet metadata tells) as GeoJSON.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { pathToFileURL } from 'node:url'

const [modules, ...rest] = process.argv.slice(2)
const files = rest.slice(0, rest.indexOf('--'))
const columns = rest.slice(rest.indexOf('--') + 1).map(c => c.split(':'))
const load = name => import(pathToFileURL(`${modules}/${name}`))
const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } = await load('hyparquet/src/node.js')
const { compressors } = await load('hyparquet-compressors/src/index.js')

// Raw values: JavaScript's dates and strings cannot hold all of them.
const parsers = { stringFromBytes: b => b, dateFromDays: d => d, timestampFromMicroseconds: t => t }
const md5 = b => createHash('md5').update(b).digest('hex')
const bits = (value, size) => {
  const b = Buffer.alloc(size)
  if (size === 4) b.writeFloatBE(value)
  else b.writeDoubleBE(value)
  return b.toString('hex')
}
const infinite = (value, most) => value === most ? 'infinity' : value === -most ? '-infinity' : String(value)
const decimal = (value, scale) => {
  const all = BigInt(value), digits = String(all < 0n ? -all : all).padStart(scale + 1, '0')
  const point = digits.length - scale
  return (all < 0n ? '-' : '') + digits.slice(0, point) + (scale ? '.' + digits.slice(point) : '')
}
const text = {
  boolean: v => v ? 't' : 'f',
  integer: String,
  float4: v => bits(v, 4),
  float8: v => bits(v, 8),
  bytes: md5,
  date: v => infinite(v, 2147483647),
  timestamp: v => infinite(v, 9223372036854775807n),
  decimal,
  geojson: v => JSON.stringify(v),
}

for (const path of files) {
  const file = await asyncBufferFromFile(path)
  const metadata = await parquetMetadataAsync(file)
  const scales = {}
  for (const element of metadata.schema) {
    if (element.converted_type !== 'DECIMAL') continue
    scales[element.name] = element.scale ?? 0
    delete element.converted_type  // the reader would make floats of decimals
    delete element.logical_type
  }
  let rowStart = 0
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows)
    const rows = await parquetReadObjects({ file, metadata, columns: columns.map(c => c[0]), rowStart, rowEnd, compressors, parsers, utf8: false })
    let lines = ''
    for (const row of rows) {
      lines += columns.map(([name, kind]) => row[name] === null || row[name] === undefined ? '\\N' : text[kind](row[name], scales[name])).join('\t') + '\n'
    }
    if (!process.stdout.write(lines)) await once(process.stdout, 'drain')
    rowStart = rowEnd
  }
}
