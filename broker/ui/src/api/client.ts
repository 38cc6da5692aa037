// Requests to the broker. The session is a cookie that scripts cannot read; the header shows the broker that a page of its own asks.

/** A request that the broker refused, in its own words. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, reason: string) {
    super(reason)
    this.status = status
    this.code = code
  }

  /** Nobody is logged in, or no longer. A user who may not do something gets `not_authorised`. */
  get isLoggedOut(): boolean {
    return this.status === 401 && this.code === 'not_authorized'
  }
}

/** What is called when the broker does not know the session. */
let onLoggedOut = (): void => undefined

export function whenLoggedOut(callback: () => void): void {
  onLoggedOut = callback
}

/** A path whose values are encoded, each as one segment. */
export function path(parts: TemplateStringsArray, ...values: (string | number)[]): string {
  return parts.reduce(
    (whole, part, index) => whole + encodeURIComponent(String(values[index - 1] ?? '')) + part,
  )
}

/** The default exchange has no name, and a path no empty segment. */
export function exchangeName(name: string): string {
  return name === '' ? 'amq.default' : name
}

interface Options {
  method?: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** Sent as JSON. */
  body?: unknown
  /** Sent as it is. */
  raw?: Blob | URLSearchParams
  signal?: AbortSignal
}

/** Asks the broker. What it answers has the type that the caller expects of this path; an empty answer is `undefined`. */
export async function request<T>(resource: string, options: Options = {}): Promise<T> {
  const headers: Record<string, string> = { 'x-requested-with': 'amphora-ui', accept: 'application/json' }
  const init: RequestInit = { method: options.method ?? 'GET', headers, credentials: 'same-origin' }
  if (options.body !== undefined) {
    headers['content-type'] = 'application/json'
    init.body = JSON.stringify(options.body)
  } else if (options.raw !== undefined) {
    init.body = options.raw
  }
  if (options.signal) {
    init.signal = options.signal
  }
  const response = await fetch(`/api${resource}`, init)
  const text = await response.text()
  if (!response.ok) {
    const error = refusal(response.status, text)
    if (error.isLoggedOut && resource !== '/login') {
      onLoggedOut()
    }
    throw error
  }
  return (text === '' ? undefined : JSON.parse(text)) as T
}

export function put(resource: string, body: unknown = {}): Promise<undefined> {
  return request(resource, { method: 'PUT', body })
}

export function post<T>(resource: string, body: unknown = {}): Promise<T> {
  return request(resource, { method: 'POST', body })
}

export function remove(resource: string): Promise<undefined> {
  return request(resource, { method: 'DELETE' })
}

/** The text of whatever was thrown. */
export function reason(error: unknown): string {
  if (error instanceof TypeError) {
    return 'The broker does not answer.'
  }
  return error instanceof Error ? error.message : String(error)
}

function refusal(status: number, text: string): ApiError {
  try {
    const { error, reason } = JSON.parse(text) as { error?: string; reason?: string }
    return new ApiError(status, error ?? '', reason ?? error ?? `HTTP ${status}`)
  } catch {
    return new ApiError(status, '', text || `HTTP ${status}`)
  }
}
