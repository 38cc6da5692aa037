// Forms from a list of their fields, in a dialog or on a page.

import type { ComponentChildren } from 'preact'
import { useId, useState } from 'preact/hooks'

import { reason } from '../api/client'
import type { Table } from '../api/types'
import { ArgumentsField } from './arguments'
import { ErrorNote } from './bits'
import { Dialog } from './dialog'

export interface Field {
  name: string
  label: string
  type?: 'text' | 'number' | 'password' | 'select' | 'checkbox' | 'textarea' | 'file' | 'arguments'
  value?: string | boolean | Table
  options?: readonly (string | { value: string; label: string })[]
  /** Names to choose from, beside which others may be written. */
  suggestions?: readonly string[]
  required?: boolean
  hint?: string
  placeholder?: string
  autocomplete?: string
}

/** What the fields say. */
export class Values {
  readonly #values: Record<string, string | boolean | Table | File | undefined>

  constructor(values: Record<string, string | boolean | Table | File | undefined>) {
    this.#values = values
  }

  text(name: string): string {
    const value = this.#values[name]
    return typeof value === 'string' ? value : ''
  }

  flag(name: string): boolean {
    return this.#values[name] === true
  }

  table(name: string): Table {
    const value = this.#values[name]
    return typeof value === 'object' && !(value instanceof File) ? value : {}
  }

  file(name: string): File | undefined {
    const value = this.#values[name]
    return value instanceof File ? value : undefined
  }
}

interface FormProps {
  fields: readonly Field[]
  verb: string
  danger?: boolean
  submit: (values: Values) => Promise<unknown>
  onCancel?: () => void
  /** Forgets what was entered when it has been sent. */
  clears?: boolean
  children?: ComponentChildren
}

export function Form({
  fields,
  verb,
  danger = false,
  submit,
  onCancel,
  clears = false,
  children,
}: FormProps) {
  const initial = () => Object.fromEntries(fields.map(({ name, value }) => [name, value]))
  const [values, setValues] = useState<Record<string, string | boolean | Table | File | undefined>>(initial)
  const [error, setError] = useState('')
  const [busy, setBusy] = useState(false)
  const send = async (event: Event) => {
    event.preventDefault()
    setBusy(true)
    setError('')
    try {
      await submit(new Values(values))
      if (clears) {
        setValues(initial())
      }
    } catch (failure) {
      setError(reason(failure))
    }
    setBusy(false)
  }
  return (
    <form class="form" onSubmit={(event) => void send(event)}>
      {children}
      {fields.map((field) => (
        <FieldInput
          key={field.name}
          field={field}
          value={values[field.name]}
          onChange={(value) => setValues((before) => ({ ...before, [field.name]: value }))}
        />
      ))}
      <ErrorNote text={error} />
      <div class="actions">
        {onCancel && (
          <button type="button" onClick={onCancel}>
            Cancel
          </button>
        )}
        <button type="submit" class={danger ? 'danger' : 'primary'} disabled={busy}>
          {verb}
        </button>
      </div>
    </form>
  )
}

export function FormDialog({
  title,
  onClose,
  submit,
  ...form
}: FormProps & { title: string; onClose: () => void }) {
  const send = async (values: Values) => {
    await submit(values)
    onClose()
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <Form {...form} submit={send} onCancel={onClose} />
    </Dialog>
  )
}

interface InputProps {
  field: Field
  value: string | boolean | Table | File | undefined
  onChange: (value: string | boolean | Table | File | undefined) => void
}

function FieldInput({ field, value, onChange }: InputProps) {
  const id = useId()
  const hint =
    field.hint === undefined ? null : (
      <span class="hint" id={`${id}-hint`}>
        {field.hint}
      </span>
    )
  if (field.type === 'checkbox') {
    return (
      <div class="field field-check">
        <label>
          <input
            type="checkbox"
            checked={value === true}
            onChange={(event) => onChange(event.currentTarget.checked)}
          />
          {field.label}
        </label>
        {hint}
      </div>
    )
  }
  if (field.type === 'arguments') {
    return (
      <ArgumentsField
        label={field.label}
        hint={field.hint}
        suggestions={field.suggestions ?? []}
        value={typeof value === 'object' && !(value instanceof File) ? value : {}}
        onChange={onChange}
      />
    )
  }
  return (
    <div class="field">
      <label for={id}>
        {field.label}
        {field.required === true && <span class="quiet"> (required)</span>}
      </label>
      <Control id={id} field={field} value={value} onChange={onChange} />
      {hint}
    </div>
  )
}

function Control({ id, field, value, onChange }: InputProps & { id: string }) {
  const written = typeof value === 'string' ? value : ''
  const shared = {
    id,
    name: field.name,
    required: field.required ?? false,
    ...(field.hint === undefined ? {} : { 'aria-describedby': `${id}-hint` }),
    ...(field.placeholder === undefined ? {} : { placeholder: field.placeholder }),
  }
  switch (field.type) {
    case 'select':
      return (
        <select {...shared} value={written} onChange={(event) => onChange(event.currentTarget.value)}>
          {(field.options ?? []).map((option) => {
            const { value, label } = typeof option === 'string' ? { value: option, label: option } : option
            return (
              <option key={value} value={value}>
                {label}
              </option>
            )
          })}
        </select>
      )
    case 'textarea':
      return (
        <textarea
          {...shared}
          rows={5}
          spellcheck={false}
          value={written}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      )
    case 'file':
      return <input {...shared} type="file" onChange={(event) => onChange(event.currentTarget.files?.[0])} />
    default:
      return (
        <>
          <input
            {...shared}
            type={field.type ?? 'text'}
            value={written}
            autocomplete={field.autocomplete ?? 'off'}
            spellcheck={false}
            {...(field.suggestions ? { list: `${id}-list` } : {})}
            onInput={(event) => onChange(event.currentTarget.value)}
          />
          {field.suggestions && (
            <datalist id={`${id}-list`}>
              {field.suggestions.map((suggestion) => (
                <option key={suggestion} value={suggestion} />
              ))}
            </datalist>
          )}
        </>
      )
  }
}
