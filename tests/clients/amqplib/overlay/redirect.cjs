// Some tests connect to AMQP's own port, whatever URL they are given: lead them to the broker's.
const net = require('node:net');

const { connect } = net;

net.connect = (...args) => {
  const [options] = args;
  if (options?.port === 5672 || options?.port === '5672') {
    args[0] = { ...options, port: Number(process.env.BROKER_PORT) };
  }
  return connect(...args);
};
