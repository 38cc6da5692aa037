// Publishes at full speed without losing track: at most WINDOW messages are unconfirmed at a time.
// A confirm for a persistent message in a durable queue means that it is on the broker's disk.

import { once } from 'node:events';
import { parseArgs } from 'node:util';
import amqp from 'amqplib';

const URL = process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672/%2F';
const QUEUE = 'confirmed';
const WINDOW = 100;

const { values } = parseArgs({ options: { count: { type: 'string', default: '1000' } } });
const count = Number(values.count);

const connection = await amqp.connect(URL);
const channel = await connection.createConfirmChannel();
await channel.assertQueue(QUEUE, { durable: true });

// What no queue takes comes back, and only then is confirmed: the broker is done with it.
let returned = 0;
channel.on('return', (message) => {
  returned += 1;
  console.log(`returned: ${message.fields.replyText} for '${message.fields.routingKey}'`);
});

let confirmed = 0;
let refused = 0;
const publish = (key, text) => {
  const options = { persistent: true, mandatory: true };
  channel.publish('', key, Buffer.from(text), options, (error) => {
    if (error) refused += 1;
    else confirmed += 1;
    channel.emit('settled');
  });
};

for (let number = 1; number <= count; number++) {
  publish(QUEUE, `message ${number}`);
  while (number - confirmed - refused >= WINDOW) await once(channel, 'settled');
}
publish('no-such-queue', 'nobody wants this');
while (confirmed + refused < count + 1) await once(channel, 'settled');

console.log(`confirmed ${confirmed - returned}, returned ${returned}, refused ${refused}`);
await connection.close();
