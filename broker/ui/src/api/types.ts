// What the broker's API answers, as far as these pages read it.

import type { Detail } from '../history'

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export type Table = Record<string, Json>

export interface Page<T> {
  items: T[]
  page: number
  page_count: number
  page_size: number
  total_count: number
  filtered_count?: number
}

export interface MessageStats {
  publish: number
  confirm: number
  return_unroutable: number
  drop_unroutable: number
  deliver: number
  deliver_no_ack: number
  get: number
  get_no_ack: number
  get_empty: number
  deliver_get: number
  redeliver: number
  ack: number
  publish_details: Detail
  deliver_get_details: Detail
}

export interface MessageCounts {
  messages: number
  messages_ready: number
  messages_unacknowledged: number
}

export interface ExchangeType {
  name: string
  description: string
  enabled: boolean
}

export interface Overview {
  product_version: string
  cluster_name: string
  node: string
  durability: string
  exchange_types: ExchangeType[]
  listeners: { protocol: string; ip_address: string; port: number }[]
  message_stats: MessageStats
  queue_totals: MessageCounts
  object_totals: Record<'connections' | 'channels' | 'consumers' | 'exchanges' | 'queues', number>
}

export interface Node {
  name: string
  uptime: number
  processors: number
  mem_used: number
  mem_limit: number
  mem_alarm: boolean
  disk_free: number
  disk_free_limit: number
  disk_free_alarm: boolean
  fd_used: number | null
  fd_total: number | null
}

export interface Whoami {
  name: string
  tags: string[]
}

export interface Connection {
  name: string
  user_provided_name: string | null
  user: string
  vhost: string
  state: string
  peer_host: string
  peer_port: number
  host: string
  port: number
  protocol: string
  auth_mechanism: string
  ssl: boolean
  ssl_protocol: string | null
  ssl_cipher: string | null
  peer_cert_subject: string | null
  channels: number
  channel_max: number
  frame_max: number
  timeout: number
  client_properties: Table
  connected_at: number
  recv_oct: number
  send_oct: number
  send_pend: number
}

export interface Channel {
  name: string
  number: number
  connection_details: { name: string; peer_host: string; peer_port: number }
  user: string
  vhost: string
  transactional: boolean
  confirm: boolean
  consumer_count: number
  messages_unacknowledged: number
  messages_unconfirmed: number
  messages_uncommitted: number
  acks_uncommitted: number
  prefetch_count: number
  global_prefetch_count: number
  message_stats: MessageStats
  consumer_details?: Consumer[]
}

export interface Consumer {
  queue: { name: string; vhost: string }
  consumer_tag: string
  ack_required: boolean
  exclusive: boolean
  active: boolean
  prefetch_count: number
  arguments: Table
  channel_details: { name: string; connection_name: string; user: string }
}

interface Governed {
  policy: string | null
  operator_policy: string | null
  effective_policy_definition: Table
}

export interface Exchange extends Governed {
  vhost: string
  user_who_performed_action: string
  name: string
  type: string
  durable: boolean
  auto_delete: boolean
  internal: boolean
  arguments: Table
  messages_delayed: number
  messages_deduplicated: number
  message_stats: {
    publish_in: number
    publish_in_details: Detail
    publish_out: number
    publish_out_details: Detail
  }
}

export interface Queue extends Governed, MessageCounts {
  vhost: string
  name: string
  type: string
  state: string
  durable: boolean
  auto_delete: boolean
  exclusive: boolean
  arguments: Table
  consumers: number
  idle_since: string | null
  memory: number
  messages_ram: number
  messages_delayed: number
  messages_dying: number
  messages_persistent: number
  messages_deduplicated: number
  message_bytes: number
  message_stats: MessageStats
  deaths: Record<string, number>
  consumer_details?: Consumer[]
  single_active_consumer_tag: string | null
}

export interface Binding {
  vhost: string
  source: string
  destination: string
  destination_type: 'queue' | 'exchange'
  routing_key: string
  arguments: Table
  properties_key: string
}

export interface Unacked {
  position: number
  delivery_tag: number
  consumer_tag: string
  channel_name: string
  unacked_for_seconds: number
}

/** Where a consumer of a stream goes on. */
export interface Offset {
  consumer_tag: string
  next_offset: number
}

export interface Message {
  position: number
  /** Milliseconds since 1970; known in streams. */
  published_at: number | null
  redelivered: boolean
  exchange: string
  routing_key: string
  properties: { headers?: Table } & Table
  payload: string
  payload_bytes: number
  payload_encoding: 'string' | 'base64'
}

/** An entry of the header `x-death`. */
export interface Death {
  queue: string
  reason: string
  exchange: string
  'routing-keys': string[]
  count: number
  time: number
}

export interface DelayedMessage {
  id: string
  due: number
  exchange: string
  routing_key: string
  properties: Table
  payload: string
  payload_bytes: number
  payload_encoding: string
}

export interface Policy {
  vhost: string
  name: string
  pattern: string
  'apply-to': string
  definition: Table
  priority: number
}

export interface User {
  name: string
  tags: string[]
  limits: Table
  password_hash: string
}

export interface Permission {
  user: string
  vhost: string
  configure: string
  write: string
  read: string
}

export interface TopicPermission {
  user: string
  vhost: string
  exchange: string
  write: string
  read: string
}

export interface Vhost extends MessageCounts {
  name: string
  description: string
  tags: string[]
  default_queue_type: string
  protected_from_deletion: boolean
  tracing: boolean
}

export interface Limits {
  vhost?: string
  user?: string
  value: Record<string, number>
}

export interface Histogram {
  mean: number | null
  histogram: { at_most: number | null; count: number }[]
}

export interface PluginVersion {
  version: string
  hash: string
  size: number
  loaded_at: number
}

export interface Plugin {
  name: string
  kind: 'exchange' | 'transform'
  path: string | null
  exchange_type: string | null
  grants: string[]
  deadline_ms: number
  memory_max: number
  kv_max: number
  on_error: string
  dead_letter_exchange: string | null
  config?: Json
  source: string
  state: 'loaded' | 'quarantined' | 'failed' | 'not_loaded'
  quarantine_left_ms: number | null
  version: string | null
  hash: string | null
  size: number | null
  loaded_at: number | null
  described_name: string | null
  needs: { parts: string[]; headers: string | string[]; body: string | number; pure: boolean } | null
  previous: PluginVersion | null
  last_error: { text: string; at: number } | null
  instances: number
  memory: number
  exchanges: number
  calls: number
  messages: number
  batch_size: Histogram
  ns_per_message: Histogram
  cache_hits: number
  errors: Record<string, number>
  timeouts: number
  failed_messages: number
  quarantines: number
  kv_entries: number
  kv_bytes: number
  metrics: Record<string, number>
}

export interface LogLine {
  at: number
  level: string
  text: string
  target?: string
  number?: number
}
