// Dialogs: the browser's own, which keep the focus inside, close with Escape and give the focus back.

import { signal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'

import { reason } from '../api/client'
import { ErrorNote } from './bits'

interface DialogProps {
  title: string
  onClose: () => void
  children: ComponentChildren
  wide?: boolean
}

export function Dialog({ title, onClose, children, wide = false }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const dialog = element.current
    dialog?.showModal()
    return () => dialog?.close()
  }, [])
  return (
    <dialog ref={element} class={wide ? 'wide' : ''} aria-labelledby={id} onClose={onClose}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  )
}

interface Question {
  title: string
  text: string
  /** What the button says that does it. */
  verb: string
  /** May say how far it is, from 0 to 1, if it takes long. */
  action: (tell: (share: number) => void) => Promise<unknown>
}

const question = signal<Question | null>(null)

/** Asks before something is done that cannot be undone. */
export function ask(asked: Question): void {
  question.value = asked
}

/** Where questions appear. */
export function Questions() {
  const asked = question.value
  const [error, setError] = useState('')
  const [busy, setBusy] = useState(false)
  const [share, setShare] = useState<number | null>(null)
  if (!asked) {
    return null
  }
  const close = () => {
    setError('')
    question.value = null
  }
  const answer = async (event: Event) => {
    event.preventDefault()
    setBusy(true)
    try {
      await asked.action(setShare)
      // It may have led to another question.
      if (question.value === asked) {
        close()
      }
    } catch (failure) {
      setError(reason(failure))
    }
    setBusy(false)
    setShare(null)
  }
  return (
    <Dialog title={asked.title} onClose={close}>
      <form onSubmit={(event) => void answer(event)}>
        <p>{asked.text}</p>
        <ErrorNote text={error} />
        {share !== null && <progress value={share} aria-label={asked.title} />}
        <div class="actions">
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="danger" disabled={busy}>
            {asked.verb}
          </button>
        </div>
      </form>
    </Dialog>
  )
}
