// Where in the pages one is: the part of the address behind `#`, with the paths that RabbitMQ's own pages have.

import { signal } from '@preact/signals'

interface Place {
  /** Decoded segments: `#/queues/%2F/orders` is `['queues', '/', 'orders']`. */
  segments: string[]
  query: URLSearchParams
}

export const place = signal(read())

globalThis.addEventListener('hashchange', () => {
  place.value = read()
})

function read(): Place {
  const [route = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?', 2)
  return {
    segments: route.split('/').filter(Boolean).map(decode),
    query: new URLSearchParams(query),
  }
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** The address of a place. */
export function to(...segments: string[]): string {
  return `#/${segments.map(encodeURIComponent).join('/')}`
}

export function go(...segments: string[]): void {
  location.hash = to(...segments)
}

/** Sets a value of the query, or takes it away; the page stays the same, and so does the history. */
export function setQuery(values: Record<string, string | undefined>): void {
  const query = new URLSearchParams(place.value.query)
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || value === '') {
      query.delete(name)
    } else {
      query.set(name, value)
    }
  }
  const text = query.toString()
  history.replaceState(null, '', to(...place.value.segments) + (text ? `?${text}` : ''))
  place.value = read()
}
