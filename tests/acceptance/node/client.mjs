// A client of eventd in JavaScript, written from ipc/PROTOCOL.md alone.
// node client.mjs [SOCKET] [EVENTS]: stores events and prints their ids, then the status, as JSON lines.
import { decode, encode } from '@msgpack/msgpack';
import { randomUUID } from 'node:crypto';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const [path = process.env.EVENTD_SOCKET, count = '100'] = process.argv.slice(2);
const MAX_UNDER_WAY = 8;
const EVENTS_PER_EMIT = 20;
const RUN = randomUUID();

function makeEvent(seq) {
  const ts = Date.now();
  const data = { role: 'assistant', text: `Message ${seq}: grüß dich 👋` };
  return {
    type: 'conversation.message.out', id: randomUUID(), timestamp: ts, session: 'agent:node:main',
    payload: { runId: RUN, stream: 'assistant', data, sessionKey: 'agent:node:main', seq, ts },
    meta: { runId: RUN, seq },
  };
}

function connect(onMessage) {
  const socket = net.createConnection(path);
  let buffer = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    buffer = Buffer.concat([buffer, chunk]);
    while (buffer.length >= 4 && buffer.length >= 4 + buffer.readUInt32BE(0)) {
      const end = 4 + buffer.readUInt32BE(0);
      onMessage(decode(buffer.subarray(4, end)));
      buffer = buffer.subarray(end);
    }
  });
  return socket;
}

function send(socket, message) {
  const body = encode(message);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  socket.write(Buffer.concat([head, body]));
}

// Emits are kept in order until they are acknowledged: those under way, then those that wait.
const emits = [];
for (let seq = 1; seq <= Number(count); seq += EVENTS_PER_EMIT) {
  const size = Math.min(EVENTS_PER_EMIT, Number(count) - seq + 1);
  emits.push(Array.from({ length: size }, (_, n) => makeEvent(seq + n)));
}

function converse() {
  return new Promise((resolve, reject) => {
    let next = 1;
    let underWay = 0;
    const ids = []; // of the emits under way, oldest first

    const goOn = () => {
      while (underWay < Math.min(emits.length, MAX_UNDER_WAY)) {
        send(socket, { op: 'emit', id: next, events: emits[underWay] });
        ids.push(next++);
        underWay += 1;
      }
      if (emits.length === 0) send(socket, { op: 'status', id: next });
    };
    const socket = connect((message) => {
      if (message.op === 'error') return socket.destroy(new Error(`${message.code}: ${message.message}`));
      if (message.op === 'result') return socket.end(() => resolve(message.data));
      if (message.op === 'ack') {
        if (message.id !== ids.shift()) return socket.destroy(new Error('acks are out of order'));
        const events = emits.shift();
        underWay -= 1;
        events.forEach((event, n) => {
          if (event.id !== message.ids[n]) throw new Error('the ids of an ack are not those of its emit');
          console.log(JSON.stringify({ id: event.id }));
        });
      }
      goOn(); // after welcome and after each ack
    });
    socket.on('connect', () => send(socket, { op: 'hello', protocol: 1, agent: 'node', client: 'client.mjs' }));
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the connection is lost')));
  });
}

for (let pause = 100, left = emits.length; ; pause = Math.min(pause * 2, 5000)) {
  try {
    console.log(JSON.stringify({ status: await converse() }));
    break;
  } catch (error) {
    if (pause >= 5000) throw error; // a program that runs for long would go on
    if (emits.length < left) [left, pause] = [emits.length, 100];
    console.error(`${error.message}; trying again`);
    await sleep(pause * (0.5 + Math.random() / 2));
  }
}
