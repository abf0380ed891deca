// What a Parquet file says of its geometries, checked by the rules of GeoParquet 1.1.0 (its text, and format-specs/schema.json):
// node geo.mjs MODULES FILE. Prints a JSON object: faults (an array of words), geo (the value of the key, or null), and schema (types of the columns).
import { pathToFileURL } from 'node:url'

const [modules, path] = process.argv.slice(2)
const { asyncBufferFromFile, parquetMetadataAsync } = await import(pathToFileURL(`${modules}/hyparquet/src/node.js`))
const metadata = await parquetMetadataAsync(await asyncBufferFromFile(path), { geoparquet: false })
const [root, ...elements] = metadata.schema
const schema = Object.fromEntries(elements.map(e => [e.name, [e.type, e.repetition_type, e.logical_type?.type ?? e.converted_type].filter(Boolean).join(' ')]))
const faults = []
const check = (holds, words) => { if (!holds) faults.push(words) }
const isObject = v => v !== null && typeof v === 'object' && !Array.isArray(v)
const keys = metadata.key_value_metadata?.filter(({ key }) => key === 'geo') ?? []
check(keys.length <= 1, 'two keys "geo"')
let geo = null
try {
  geo = keys.length ? JSON.parse(keys[0].value) : null
} catch (error) {
  faults.push(`no JSON: ${error.message}`)
}

function checkCrs(crs, name) {
  if (crs === undefined || crs === null) return
  check(isObject(crs) && /^https:\/\/proj\.org\/schemas\/v0\.\d\/projjson\.schema\.json$/.test(crs.$schema), `${name}: a coordinate system that is no PROJJSON`)
  check(/CRS$/.test(crs.type) && typeof crs.name === 'string', `${name}: a coordinate system without type and name`)
}

function checkColumn(name, column) {
  const known = ['encoding', 'geometry_types', 'crs', 'edges', 'orientation', 'bbox', 'epoch', 'covering']
  for (const key of Object.keys(column)) check(known.includes(key), `${name}: key "${key}"`)
  check(column.encoding === 'WKB', `${name}: encoding`)
  const types = column.geometry_types
  check(Array.isArray(types) && new Set(types).size === types.length, `${name}: types that are no set`)
  for (const t of types ?? []) check(/^(GeometryCollection|(Multi)?(Point|LineString|Polygon))( Z)?$/.test(t), `${name}: type "${t}"`)
  checkCrs(column.crs, name)
  check(column.edges === undefined || ['planar', 'spherical'].includes(column.edges), `${name}: edges`)
  const box = column.bbox
  check(box === undefined || (Array.isArray(box) && [4, 6].includes(box.length) && box.every(Number.isFinite)), `${name}: box`)
  if (box) check((box.length === 6) === types.some(t => t.endsWith(' Z')), `${name}: a box of other dimensions`)
  const at = elements.find(e => e.name === name)
  check(at?.type === 'BYTE_ARRAY' && ['REQUIRED', 'OPTIONAL'].includes(at.repetition_type), `${name}: no byte array in the root of the schema`)
  check(!at?.logical_type && !at?.converted_type, `${name}: a logical type`)
}

if (geo) {
  check(root.num_children === elements.length, 'columns that are not in the root')
  for (const key of Object.keys(geo)) check(['version', 'primary_column', 'columns'].includes(key), `key "${key}"`)
  check(geo.version === '1.1.0', 'version')
  check(isObject(geo.columns) && Object.keys(geo.columns).length > 0, 'no columns')
  check(geo.columns?.[geo.primary_column] !== undefined, 'no primary column')
  for (const [name, column] of Object.entries(geo.columns ?? {})) checkColumn(name, column)
}
console.log(JSON.stringify({ faults, geo, schema }))
