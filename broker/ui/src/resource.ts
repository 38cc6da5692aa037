// What the broker answers, asked for again and again while somebody looks.

import { useCallback, useEffect, useRef, useState } from 'preact/hooks'

import { reason, request } from './api/client'

/** How often most pages ask. */
export const EVERY_MS = 5000

/** The longest pause while the broker does not answer. */
const RETRY_MS_MAX = 30_000

export interface Resource<T> {
  /** The last answer; stays when a later request fails. */
  data: T | undefined
  error: string
  /** Asks at once. */
  reload: () => void
}

/**
 * Asks for a path, and every `everyMs` milliseconds again (never if it is 0). Nothing is asked while the tab is hidden, or while the path is
 * `null`. `onData` sees each answer once.
 */
export function useResource<T>(
  path: string | null,
  everyMs = EVERY_MS,
  onData?: (data: T) => void,
): Resource<T> {
  const [answer, setAnswer] = useState<{ path: string | null; data?: T; error: string }>({ path, error: '' })
  const [turn, setTurn] = useState(0)
  const seen = useRef(onData)
  seen.current = onData

  useEffect(() => {
    if (path === null) {
      return
    }
    const abort = new AbortController()
    let timer = 0
    let failures = 0
    const ask = async () => {
      try {
        const data = await request<T>(path, { signal: abort.signal })
        failures = 0
        seen.current?.(data)
        setAnswer({ path, data, error: '' })
      } catch (error) {
        if (abort.signal.aborted) {
          return
        }
        failures += 1
        setAnswer((before) => ({ ...before, path, error: reason(error) }))
      }
      plan()
    }
    const plan = () => {
      if (everyMs > 0 && !document.hidden && !abort.signal.aborted) {
        const pause = Math.min(everyMs * 2 ** failures, Math.max(RETRY_MS_MAX, everyMs))
        timer = window.setTimeout(() => void ask(), failures === 0 ? everyMs : pause)
      }
    }
    const onVisibility = () => {
      window.clearTimeout(timer)
      if (!document.hidden) {
        void ask()
      }
    }
    document.addEventListener('visibilitychange', onVisibility)
    void ask()
    return () => {
      abort.abort()
      window.clearTimeout(timer)
      document.removeEventListener('visibilitychange', onVisibility)
    }
  }, [path, everyMs, turn])

  const reload = useCallback(() => setTurn((before) => before + 1), [])
  return { data: answer.data, error: answer.path === path ? answer.error : '', reload }
}
