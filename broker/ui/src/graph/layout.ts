// Where the nodes and lines of a graph are, from left to right.

import { Graph as Dagre, layout as place } from '@dagrejs/dagre'

import type { Graph, GraphEdge, GraphNode } from './collect'
import { NODE_HEIGHT } from './shape'

export interface PlacedNode extends GraphNode {
  x: number
  y: number
  width: number
  text: string
}

export interface PlacedEdge extends GraphEdge {
  points: { x: number; y: number }[]
  label: { x: number; y: number; text: string } | undefined
}

export interface Layout {
  width: number
  height: number
  nodes: PlacedNode[]
  edges: PlacedEdge[]
}

const LETTER = 7.2
const NODE_LETTERS_MAX = 32
const LABEL_LETTERS_MAX = 26
const PADDING = 34
const MARGIN = 12

export function layout(graph: Graph): Layout {
  const dagre = new Dagre({ multigraph: false })
  dagre.setGraph({ rankdir: 'LR', nodesep: 16, ranksep: 48, edgesep: 12, marginx: MARGIN, marginy: MARGIN })
  dagre.setDefaultEdgeLabel(() => ({}))
  for (const node of graph.nodes) {
    const text = cut(node.name || 'default exchange', NODE_LETTERS_MAX)
    dagre.setNode(node.id, { width: text.length * LETTER + PADDING, height: NODE_HEIGHT })
  }
  for (const { from, to, labels } of graph.edges) {
    const text = labelText(labels)
    dagre.setEdge(from, to, { width: text.length * LETTER + 16, height: 18, labelpos: 'c', minlen: 1 })
  }
  place(dagre)
  const { width = 0, height = 0 } = dagre.graph() as { width?: number; height?: number }
  return {
    width: Math.max(0, width),
    height: Math.max(0, height),
    nodes: graph.nodes.map((node) => {
      const { x, y, width } = dagre.node(node.id) as { x: number; y: number; width: number }
      return { ...node, x, y, width, text: cut(node.name || 'default exchange', NODE_LETTERS_MAX) }
    }),
    edges: graph.edges.map((edge) => {
      const { points, x, y } = dagre.edge(edge.from, edge.to) as {
        points: { x: number; y: number }[]
        x?: number
        y?: number
      }
      const text = labelText(edge.labels)
      const label = x === undefined || y === undefined || text === '' ? undefined : { x, y, text }
      return { ...edge, points, label }
    }),
  }
}

function labelText(labels: string[]): string {
  const [first = ''] = labels
  return labels.length > 1
    ? `${cut(first || 'no key', LABEL_LETTERS_MAX)} +${labels.length - 1}`
    : cut(first, LABEL_LETTERS_MAX)
}

function cut(text: string, letters: number): string {
  return text.length > letters ? `${text.slice(0, letters - 1)}…` : text
}
