// What the producer and the consumer agree on.

export const URL = process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672/%2F';
export const EXCHANGE = 'image_processing_exchange';
export const QUEUE = 'image_queue';
export const ROUTING_KEY = 'image.process';

// Declaring what exists already changes nothing, so either side may start first.
export async function declare(channel) {
  await channel.assertExchange(EXCHANGE, 'topic', { durable: true });
  await channel.assertQueue(QUEUE, { durable: true });
  await channel.bindQueue(QUEUE, EXCHANGE, ROUTING_KEY);
}
