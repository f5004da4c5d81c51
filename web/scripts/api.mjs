/**
 * Writes src/api/api.ts from docs/openapi.json: a type for each schema and a function for each call. With --check it only says whether the file
 * is current. Functions, not a class, so that a face carries the calls it makes and no others.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** @typedef {{$ref?: string, type?: string | string[], enum?: unknown[], oneOf?: Schema[], anyOf?: Schema[], allOf?: Schema[], items?: Schema, properties?: Record<string, Schema>, required?: string[], additionalProperties?: boolean | Schema, description?: string, contentEncoding?: string}} Schema */
/** @typedef {{name: string, in: string, required?: boolean, schema: Schema}} Param */
/** @typedef {{operationId: string, summary?: string, parameters?: Param[], requestBody?: {content: Record<string, {schema: Schema}>}, responses: Record<string, {content?: Record<string, {schema: Schema}>}>}} Operation */

const pascal = (/** @type {string} */ s) =>
  s
    .split(/[^A-Za-z0-9]+/)
    .map(w => w.charAt(0).toUpperCase() + w.slice(1))
    .join('')
const camel = (/** @type {string} */ s) => pascal(s).replace(/^./, c => c.toLowerCase())
const member = (/** @type {string} */ s) => (/^[A-Za-z_$][\w$]*$/.test(s) ? s : JSON.stringify(s))
const comment = (/** @type {string | undefined} */ s, indent = '') =>
  s ? `${indent}/** ${s.replaceAll('*/', '*∕').replaceAll('\n', ' ')} */\n` : ''

/** @type {(s: Schema, indent: string) => string} */
function type(s, indent = '') {
  if (s.$ref) return pascal(s.$ref.slice(s.$ref.lastIndexOf('/') + 1))
  if (s.enum) return s.enum.map(v => JSON.stringify(v)).join(' | ')
  const several = s.oneOf ?? s.anyOf
  if (several) return several.map(x => type(x, indent)).join(' | ')
  if (s.allOf) return s.allOf.map(x => type(x, indent)).join(' & ')
  const kinds = Array.isArray(s.type) ? s.type : [s.type]
  return kinds.map(k => plain(k, s, indent)).join(' | ')
}

/** @type {(kind: string | undefined, s: Schema, indent: string) => string} */
function plain(kind, s, indent) {
  switch (kind) {
    case 'string':
    case 'boolean':
    case 'null':
      return kind
    case 'integer':
    case 'number':
      return 'number'
    case 'array': {
      const of = s.items ? type(s.items, indent) : 'unknown'
      return of.includes(' | ') ? `(${of})[]` : `${of}[]`
    }
    case 'object':
      if (s.properties) return object(s, indent)
      return `Record<string, ${typeof s.additionalProperties === 'object' ? type(s.additionalProperties, indent) : 'unknown'}>`
    default:
      return 'unknown'
  }
}

/** @type {(s: Schema, indent: string) => string} */
function object(s, indent) {
  const inner = `${indent}  `
  const lines = Object.entries(s.properties ?? {})
    .filter(([name]) => name !== '$schema')
    .map(
      ([name, p]) => `${comment(p.description, inner)}${inner}${member(name)}${s.required?.includes(name) ? '' : '?'}: ${type(p, inner)}\n`,
    )
  if (s.additionalProperties === true) lines.push(`${inner}[more: string]: unknown\n`)
  return `{\n${lines.join('')}${indent}}`
}

/** Headers that callers give by another name; what is not here is the client's own business. @type {Record<string, string>} */
const headers = { 'Idempotency-Key': 'key', 'If-Match': 'ifMatch' }

/** @type {(method: string, path: string, op: Operation) => string} */
function call(method, path, op) {
  const params = op.parameters ?? []
  const inPath = params.filter(p => p.in === 'path')
  const inQuery = params.filter(p => p.in === 'query')
  const inHeader = params.filter(p => p.in === 'header' && headers[p.name])
  const body = op.requestBody?.content['application/json']?.schema
  const answers = Object.entries(op.responses).filter(([status]) => status.startsWith('2'))
  const json = answers.map(([, r]) => r.content?.['application/json']?.schema).filter(s => s !== undefined)
  const url = `\`${path.replaceAll(/\{(\w+)\}/g, (_, name) => `\${enc(p.${name})}`)}\``.replace(/^`([^$]*)`$/, "'$1'")
  const needs = [
    ...inPath.map(p => `${p.name}: string`),
    ...inQuery.map(p => `${member(p.name)}${p.required ? '' : '?'}: ${type(p.schema, '')} | undefined`),
  ]
  const p = needs.length > 0
  if (json.length === 0 && answers.some(([, r]) => r.content)) {
    const query = inQuery.length > 0 ? ` + search({ ${inQuery.map(q => `${member(q.name)}: p.${q.name}`).join(', ')} })` : ''
    return `${comment(`Path of: ${op.summary ?? ''}`)}export const ${camel(op.operationId)}Path = (${p ? `p: { ${needs.join('; ')} }` : ''}): string => ${url}${query}\n`
  }
  needs.push(...inHeader.map(h => `${headers[h.name]}: string`))
  if (body) needs.push(`body: ${type(body, '')}`)
  const optional = needs.length > 0 && needs.every(n => n.includes('?:'))
  const arg = needs.length > 0 ? `, p: { ${needs.join('; ')} }${optional ? ' = {}' : ''}` : ''
  const parts = []
  if (inQuery.length > 0) parts.push(`query: { ${inQuery.map(q => `${member(q.name)}: p.${q.name}`).join(', ')} }`)
  for (const h of inHeader) parts.push(`${headers[h.name]}: p.${headers[h.name]}`)
  if (body) parts.push('body: p.body')
  const answer = json.length > 0 ? [...new Set(json.map(s => type(s, '')))].join(' | ') : 'undefined'
  const request = parts.length > 0 ? `{ ${parts.join(', ')} }` : '{}'
  return `${comment(op.summary)}export const ${camel(op.operationId)} = (c: Caller${arg}, o?: CallOptions): Promise<Result<${answer}>> =>\n  c.call('${method.toUpperCase()}', ${url}, ${request}, o)\n`
}

/** @type {(document: {paths: Record<string, Record<string, Operation>>, components: {schemas: Record<string, Schema>}}) => string} */
export function generate(document) {
  const out = []
  for (const [name, s] of Object.entries(document.components.schemas).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const of = type(s, '')
    out.push(
      comment(s.description) +
        (of.startsWith('{') && !of.includes('} | {')
          ? `export interface ${pascal(name)} ${of}\n`
          : `export type ${pascal(name)} = ${of}\n`),
    )
  }
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, op] of Object.entries(methods)) {
      const form = op.requestBody && !op.requestBody.content['application/json']
      if (!form) out.push(call(method, path, op)) // forms and raw bodies are for machines
    }
  }
  const text = out.join('\n')
  const names = ['type Caller', 'type CallOptions', 'enc', 'type Result', 'search'].filter(n => n !== 'search' || text.includes('search('))
  return [
    '// Written by scripts/api.mjs from docs/openapi.json. Do not edit: run npm run api.\n',
    `import { ${names.join(', ')} } from '../shared/http'\n`,
    text,
  ].join('\n')
}

export const source = resolve(import.meta.dirname, '../../docs/openapi.json')
export const target = resolve(import.meta.dirname, '../src/api/api.ts')

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = generate(JSON.parse(readFileSync(source, 'utf8')))
  if (!process.argv.includes('--check')) writeFileSync(target, text)
  else if (readFileSync(target, 'utf8') !== text) {
    console.error('src/api/api.ts is not what docs/openapi.json says: run npm run api')
    process.exit(1)
  }
}
