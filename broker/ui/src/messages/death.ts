// What the header `x-death` says of a message's deaths.

import type { Death, Message } from '../api/types'

export interface Destination {
  exchange: string
  routing_key: string
}

/** The newest death first. */
export function deathsOf(message: Message): Death[] {
  const deaths = message.properties.headers?.['x-death']
  return Array.isArray(deaths) ? (deaths as unknown as Death[]) : []
}

/** Where it died last. */
export function queueOf(message: Message): Destination {
  return { exchange: '', routing_key: deathsOf(message)[0]?.queue ?? '' }
}

/** As it was published when it died for the first time. */
export function originOf(message: Message): Destination {
  const first = deathsOf(message).at(-1)
  return { exchange: first?.exchange ?? '', routing_key: first?.['routing-keys'][0] ?? '' }
}
