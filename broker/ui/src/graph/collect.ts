// The bindings that lead on from an exchange, and those that lead to it.

import type { Binding } from '../api/types'
import { exchangeName, path, request } from '../api/client'

export interface Graph {
  nodes: GraphNode[]
  edges: GraphEdge[]
  /** There are more than are drawn. */
  isCut: boolean
}

export interface GraphNode {
  id: string
  kind: 'exchange' | 'queue'
  name: string
}

export interface GraphEdge {
  from: string
  to: string
  /** The keys of all bindings between the two. */
  labels: string[]
}

/** More would be drawn too small to read. */
export const EDGES_MAX = 60

export const idOf = (kind: GraphNode['kind'], name: string) => `${kind} ${name}`

/** What a binding asks for, in a few letters. */
export function labelOf({
  routing_key: key,
  arguments: given,
}: Pick<Binding, 'routing_key' | 'arguments'>): string {
  const conditions = Object.entries(given).map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
  return [key, ...conditions].filter(Boolean).join(', ')
}

/** Follows bindings from exchange to exchange, nearest first, and adds those that lead to the first. */
export async function collect(vhost: string, exchange: string, signal: AbortSignal): Promise<Graph> {
  const graph = new Builder()
  graph.node('exchange', exchange)
  const incoming = await ask(vhost, exchange, 'destination', signal)
  incoming.forEach((binding) => graph.add(binding))
  const waiting = [exchange]
  const seen = new Set(waiting)
  for (let next = waiting.shift(); next !== undefined && !graph.isFull; next = waiting.shift()) {
    for (const binding of await ask(vhost, next, 'source', signal)) {
      graph.add(binding)
      if (binding.destination_type === 'exchange' && !seen.has(binding.destination)) {
        seen.add(binding.destination)
        waiting.push(binding.destination)
      }
    }
  }
  return graph.done()
}

function ask(vhost: string, name: string, end: string, signal: AbortSignal): Promise<Binding[]> {
  return request(path`/exchanges/${vhost}/${exchangeName(name)}/bindings/${end}`, { signal })
}

class Builder {
  readonly #nodes = new Map<string, GraphNode>()
  readonly #edges = new Map<string, GraphEdge>()
  #isCut = false

  get isFull(): boolean {
    return this.#edges.size >= EDGES_MAX
  }

  node(kind: GraphNode['kind'], name: string): string {
    const id = idOf(kind, name)
    this.#nodes.set(id, { id, kind, name })
    return id
  }

  add(binding: Binding): void {
    const key = `${binding.source}\n${binding.destination_type}\n${binding.destination}`
    const known = this.#edges.get(key)
    if (known) {
      known.labels.push(labelOf(binding))
    } else if (this.isFull) {
      this.#isCut = true
    } else {
      const from = this.node('exchange', binding.source)
      const to = this.node(binding.destination_type, binding.destination)
      this.#edges.set(key, { from, to, labels: [labelOf(binding)] })
    }
  }

  done(): Graph {
    return { nodes: [...this.#nodes.values()], edges: [...this.#edges.values()], isCut: this.#isCut }
  }
}
