// A field for arguments, headers and policies: names, values, and what type each has.

import { Plus, X } from 'lucide-preact'
import { useId, useState } from 'preact/hooks'

import type { Json, Table } from '../api/types'

const TYPES = ['string', 'number', 'boolean', 'JSON'] as const
type Type = (typeof TYPES)[number]

interface Row {
  id: number
  name: string
  type: Type
  text: string
}

interface Props {
  label: string
  hint?: string | undefined
  suggestions: readonly string[]
  value: Table
  onChange: (table: Table) => void
}

/** Names whose values are numbers, or true or false, when they are chosen. */
const NUMBERS = /(ttl|expires|length|bytes|limit|priority|delay|age|timeout|count|size|attempts|max)/
const FLAGS = /(single-active|deduplication$|delayed-exchange)/

let nextId = 0

export function ArgumentsField({ label, hint, suggestions, value, onChange }: Props) {
  const [rows, setRows] = useState<Row[]>(() =>
    Object.entries(value).map(([name, entry]) => row(name, entry)),
  )
  const id = useId()
  const change = (next: Row[]) => {
    setRows(next)
    onChange(
      Object.fromEntries(next.filter(({ name }) => name !== '').map((each) => [each.name, parse(each)])),
    )
  }
  const edit = (edited: Row) => change(rows.map((each) => (each.id === edited.id ? edited : each)))
  const rename = (each: Row, name: string) => {
    const known = suggestions.includes(name) && each.text === ''
    const type: Type = FLAGS.test(name) ? 'boolean' : NUMBERS.test(name) ? 'number' : 'string'
    edit({ ...each, name, ...(known ? { type, text: type === 'boolean' ? 'true' : '' } : {}) })
  }
  return (
    <fieldset class="field arguments-field">
      <legend>{label}</legend>
      {hint !== undefined && <span class="hint">{hint}</span>}
      <datalist id={id}>
        {suggestions.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      {rows.map((each) => (
        <div key={each.id} class="arguments-row">
          <input
            aria-label="Name"
            placeholder="name"
            list={id}
            value={each.name}
            spellcheck={false}
            onInput={(event) => rename(each, event.currentTarget.value)}
          />
          <input
            aria-label="Value"
            placeholder="value"
            value={each.text}
            spellcheck={false}
            inputMode={each.type === 'number' ? 'numeric' : 'text'}
            onInput={(event) => edit({ ...each, text: event.currentTarget.value })}
          />
          <select
            aria-label="Type"
            value={each.type}
            onChange={(event) => edit({ ...each, type: event.currentTarget.value as Type })}
          >
            {TYPES.map((type) => (
              <option key={type}>{type}</option>
            ))}
          </select>
          <button
            type="button"
            class="icon-button"
            aria-label={`Remove ${each.name || 'row'}`}
            onClick={() => change(rows.filter(({ id }) => id !== each.id))}
          >
            <X aria-hidden="true" />
          </button>
        </div>
      ))}
      <button
        type="button"
        class="small"
        onClick={() => setRows([...rows, { id: nextId++, name: '', type: 'string', text: '' }])}
      >
        <Plus aria-hidden="true" /> Add
      </button>
    </fieldset>
  )
}

function row(name: string, value: Json): Row {
  const id = nextId++
  switch (typeof value) {
    case 'string':
      return { id, name, type: 'string', text: value }
    case 'number':
      return { id, name, type: 'number', text: String(value) }
    case 'boolean':
      return { id, name, type: 'boolean', text: String(value) }
    default:
      return { id, name, type: 'JSON', text: JSON.stringify(value) }
  }
}

/** What cannot be read goes to the broker as it is, which says what is wrong with it. */
function parse({ type, text }: Row): Json {
  if (type === 'number') {
    const number = Number(text)
    return text.trim() === '' || Number.isNaN(number) ? text : number
  }
  if (type === 'boolean') {
    return text === 'true' ? true : text === 'false' ? false : text
  }
  if (type === 'JSON') {
    try {
      return JSON.parse(text) as Json
    } catch {
      return text
    }
  }
  return text
}
