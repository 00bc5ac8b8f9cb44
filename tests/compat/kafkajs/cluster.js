'use strict'

const { Kafka, logLevel } = require('kafkajs')

const { COMPAT_BOOTSTRAP } = process.env
if (!COMPAT_BOOTSTRAP) throw new Error('COMPAT_BOOTSTRAP names no nodes; tests/compat/run sets it')

/** A client with this id. */
exports.client = clientId => new Kafka({ clientId, brokers: COMPAT_BOOTSTRAP.split(','), logLevel: logLevel.WARN })
