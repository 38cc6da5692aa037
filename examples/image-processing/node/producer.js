// Sends jobs for images to be processed, and returns once the broker has them on disk.

import { parseArgs } from 'node:util';
import amqp from 'amqplib';
import { declare, EXCHANGE, ROUTING_KEY, URL } from './topology.js';

const { values } = parseArgs({ options: { count: { type: 'string', default: '10' } } });

const connection = await amqp.connect(URL);
const channel = await connection.createConfirmChannel();
await declare(channel);

for (let number = 1; number <= Number(values.count); number++) {
  const job = { image: `photo-${number}.jpg`, operation: 'thumbnail', width: 320 };
  // `persistent` is delivery_mode=2.
  channel.publish(EXCHANGE, ROUTING_KEY, Buffer.from(JSON.stringify(job)), {
    contentType: 'application/json',
    persistent: true,
    mandatory: true,
  });
  console.log(`sent ${job.image}`);
}

await channel.waitForConfirms();
await connection.close();
