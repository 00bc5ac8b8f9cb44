'use strict'

const assert = require('node:assert')
const { test } = require('node:test')

const { client } = require('./cluster.js')
const { Happenings } = require('./waiting.js')

const PARTITIONS = 4
const KEYS = 200

/** A consumer that notes what it is given and what it is assigned. */
async function join(name, groupId, topic, deliveries) {
  const consumer = client(name).consumer({ groupId, heartbeatInterval: 250, maxWaitTimeInMs: 250 })
  const assignments = new Happenings()
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => assignments.add(payload.memberAssignment[topic] ?? []))
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ partition, message }) =>
      deliveries.add({ name, partition, key: message.key.toString(), value: message.value.toString() })
  })
  return { consumer, assignments }
}

/** Sends each key once, with this value. */
async function produce(topic, value) {
  const producer = client('producer').producer()
  await producer.connect()
  const messages = Array.from({ length: KEYS }, (_, i) => ({ key: `key-${i}`, value }))
  await producer.send({ topic, acks: -1, messages })
  await producer.disconnect()
}

/** Everything with this value came once, and each partition to one consumer; the names of those. */
function checkOnce(deliveries, value) {
  const taken = deliveries.all.filter(delivery => delivery.value === value)
  assert.strictEqual(taken.length, KEYS)
  assert.strictEqual(new Set(taken.map(({ key }) => key)).size, KEYS)
  const owners = new Map(taken.map(({ partition, name }) => [partition, name]))
  assert.strictEqual(owners.size, PARTITIONS)
  for (const { partition, name } of taken) assert.strictEqual(name, owners.get(partition))
  return new Set(owners.values())
}

const allOf = value => all => all.filter(delivery => delivery.value === value).length >= KEYS
const has = partitions => all => all.at(-1)?.length === partitions

test('two consumers share the work, and one takes over when the other leaves', async t => {
  const topic = 'shared'
  const admin = client('admin').admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS, replicationFactor: 3 }] })

  const deliveries = new Happenings()
  const one = await join('one', 'workers', topic, deliveries)
  await one.assignments.until('all partitions for one', has(PARTITIONS))
  const other = await join('other', 'workers', topic, deliveries)
  await other.assignments.until('half of the partitions for other', has(PARTITIONS / 2))
  await one.assignments.until('half of the partitions for one', has(PARTITIONS / 2))

  await produce(topic, 'shared')
  await deliveries.until('every record', allOf('shared'))
  assert.deepStrictEqual(checkOnce(deliveries, 'shared'), new Set(['one', 'other']))

  const rejoined = one.assignments.all.length
  await other.consumer.disconnect()
  await one.assignments.until('one to take over', all => all.length > rejoined && has(PARTITIONS)(all))
  await produce(topic, 'taken over')
  await deliveries.until('every record', allOf('taken over'))
  assert.deepStrictEqual(checkOnce(deliveries, 'taken over'), new Set(['one']))

  await one.consumer.disconnect()
  assert.strictEqual(deliveries.all.length, 2 * KEYS)
  const offsets = await admin.fetchOffsets({ groupId: 'workers', topics: [topic] })
  const committed = offsets[0].partitions.reduce((sum, { offset }) => sum + Number(offset), 0)
  assert.strictEqual(committed, 2 * KEYS)
  await admin.disconnect()
})
