// The routes from an exchange, drawn: exchanges, the bindings between them, and queues.

import { useEffect, useState } from 'preact/hooks'

import { exchangeName, reason } from '../api/client'
import { Empty, ErrorNote } from '../components/bits'
import { go, to } from '../router'
import { collect, EDGES_MAX, type Graph } from './collect'
import type { Layout } from './layout'
import { curve, NODE_HEIGHT } from './shape'

interface Props {
  vhost: string
  exchange: string
  /** The graph is made anew when this changes. */
  version: unknown
}

export function RouteGraph({ vhost, exchange, version }: Props) {
  const [graph, setGraph] = useState<Graph>()
  const [error, setError] = useState('')
  const wanted = JSON.stringify(version)
  useEffect(() => {
    const abort = new AbortController()
    collect(vhost, exchange, abort.signal).then(
      (found) => {
        setGraph(found)
        setError('')
      },
      (failure: unknown) => {
        if (!abort.signal.aborted) {
          setError(reason(failure))
        }
      },
    )
    return () => abort.abort()
  }, [vhost, exchange, wanted])
  return (
    <>
      <ErrorNote text={error} />
      {graph && <Drawing graph={graph} vhost={vhost} />}
    </>
  )
}

interface DrawingProps {
  graph: Graph
  vhost: string
  /** What a message takes, if it is about one. */
  taken?: { nodes: ReadonlySet<string>; edges: ReadonlySet<string> }
}

export function Drawing({ graph, vhost, taken }: DrawingProps) {
  const [placed, setPlaced] = useState<Layout>()
  useEffect(() => {
    let isWanted = true
    // Its layout is a library of its own, which only this needs.
    void import('./layout').then(({ layout }) => {
      if (isWanted) {
        setPlaced(layout(graph))
      }
    })
    return () => {
      isWanted = false
    }
  }, [graph])
  if (graph.edges.length === 0) {
    return <Empty>Nothing is bound here.</Empty>
  }
  if (!placed) {
    return null
  }
  const classOf = (base: string, isTaken: boolean) => (taken && !isTaken ? `${base} faint` : base)
  return (
    <>
      {graph.isCut && <p class="quiet">Only {EDGES_MAX} connections are drawn; the table has all.</p>}
      <div class="graph" role="region" aria-label="Drawing of the routes" tabIndex={0}>
        <svg width={placed.width} height={placed.height} viewBox={`0 0 ${placed.width} ${placed.height}`}>
          <title>
            {graph.nodes.length} exchanges and queues, and {graph.edges.length} connections between them
          </title>
          <defs>
            <marker
              id="arrow"
              viewBox="0 0 8 8"
              refX="7"
              refY="4"
              markerWidth="8"
              markerHeight="8"
              orient="auto"
            >
              <path d="M0 0 L8 4 L0 8 z" />
            </marker>
          </defs>
          {placed.edges.map(({ from, to: end, points, label, labels }) => (
            <g key={`${from}\n${end}`} class={classOf('edge', taken?.edges.has(`${from}\n${end}`) ?? false)}>
              <title>{labels.map((each) => each || 'no key').join('\n')}</title>
              <path d={curve(points)} marker-end="url(#arrow)" />
              {label && (
                <>
                  <rect
                    x={label.x - label.text.length * 3.4 - 5}
                    y={label.y - 9}
                    width={label.text.length * 6.8 + 10}
                    height={18}
                    rx={9}
                  />
                  <text x={label.x} y={label.y}>
                    {label.text}
                  </text>
                </>
              )}
            </g>
          ))}
          {placed.nodes.map(({ id, kind, name, text, x, y, width }) => (
            <a
              key={id}
              href={kind === 'queue' ? to('queues', vhost, name) : to('exchanges', vhost, exchangeName(name))}
              onClick={(event) => {
                event.preventDefault()
                go(
                  kind === 'queue' ? 'queues' : 'exchanges',
                  vhost,
                  kind === 'queue' ? name : exchangeName(name),
                )
              }}
              class={classOf(`node node-${kind}`, taken?.nodes.has(id) ?? false)}
              aria-label={`${kind} ${name || 'default exchange'}`}
            >
              <rect
                x={x - width / 2}
                y={y - NODE_HEIGHT / 2}
                width={width}
                height={NODE_HEIGHT}
                rx={kind === 'exchange' ? NODE_HEIGHT / 2 : 6}
              />
              <text x={x} y={y}>
                {text}
              </text>
            </a>
          ))}
        </svg>
      </div>
      <p class="quiet graph-legend">
        <svg viewBox="0 0 20 12" aria-hidden="true">
          <rect class="legend-exchange" x="1" y="1" width="18" height="10" rx="5" />
        </svg>
        exchange
        <svg viewBox="0 0 20 12" aria-hidden="true">
          <rect class="legend-queue" x="1" y="1" width="18" height="10" rx="2" />
        </svg>
        queue
      </p>
    </>
  )
}
