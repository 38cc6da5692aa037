// Processes images, one at a time; a job is acknowledged only when it is done.

import { parseArgs } from 'node:util';
import amqp from 'amqplib';
import { declare, QUEUE, URL } from './topology.js';

const { values } = parseArgs({ options: { count: { type: 'string' } } });
const count = values.count === undefined ? Infinity : Number(values.count);

// Stands for the real work.
function processImage(job) {
  console.log(`${job.operation} of ${job.image}, ${job.width} pixels wide`);
}

const connection = await amqp.connect(URL);
const channel = await connection.createChannel();
await declare(channel);

// One job at a time: the others stay in the queue, for other consumers to take.
await channel.prefetch(1);

let done = 0;
await channel.consume(QUEUE, async (message) => {
  if (message === null || done === count) return;
  processImage(JSON.parse(message.content));
  channel.ack(message);
  done += 1;
  if (done === count) {
    // The channel first: its acknowledgements could be overtaken by the close of the connection.
    await channel.close();
    await connection.close();
  }
});
