// Short news at the edge of the page, read out by screen readers.

import { signal } from '@preact/signals'
import { X } from 'lucide-preact'

import { reason } from '../api/client'

interface Toast {
  id: number
  text: string
  isError: boolean
}

const SHOWN_MS = 6000

const toasts = signal<Toast[]>([])
let nextId = 0

export function tell(text: string): void {
  add(text, false)
}

export function tellError(error: unknown): void {
  add(reason(error), true)
}

/** Does something and says how it went. */
export async function attempt(action: () => Promise<unknown>, done: string): Promise<void> {
  try {
    await action()
    tell(done)
  } catch (error) {
    tellError(error)
  }
}

function add(text: string, isError: boolean): void {
  const id = nextId++
  toasts.value = [...toasts.value.slice(-3), { id, text, isError }]
  if (!isError) {
    setTimeout(() => dismiss(id), SHOWN_MS)
  }
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id)
}

export function Toasts() {
  return (
    <div class="toasts" role="status">
      {toasts.value.map(({ id, text, isError }) => (
        <div key={id} class={isError ? 'toast toast-error' : 'toast'}>
          <span>{text}</span>
          <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => dismiss(id)}>
            <X aria-hidden="true" />
          </button>
        </div>
      ))}
    </div>
  )
}
