package trilog.compat;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/** The cluster under test, and what a scenario begins with: a topic with records in it. */
final class Cluster {
    private Cluster() {}

    /** The nodes, as host:port separated by commas. */
    static String bootstrap() {
        String nodes = System.getenv("COMPAT_BOOTSTRAP");
        if (nodes == null || nodes.isEmpty()) {
            throw new IllegalStateException("COMPAT_BOOTSTRAP names no nodes; tests/compat/run sets it");
        }
        return nodes;
    }

    /** Configuration of any client, with further pairs of key and value. */
    static Map<String, Object> config(Object... pairs) {
        Map<String, Object> config = new HashMap<>(Map.of("bootstrap.servers", bootstrap()));
        for (int i = 0; i < pairs.length; i += 2) {
            config.put((String) pairs[i], pairs[i + 1]);
        }
        return config;
    }

    /** Makes a topic with three replicas of each partition. */
    static void createTopic(String topic, int partitions) throws Exception {
        try (Admin admin = Admin.create(config())) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 3))).all().get();
        }
    }

    /** Produces so many records to each of the first partitions of a topic, and waits until all are acknowledged. */
    static void produce(String topic, int partitions, int recordsEach) throws Exception {
        StringSerializer strings = new StringSerializer();
        try (Producer<String, String> producer = new KafkaProducer<>(config(), strings, strings)) {
            for (int partition = 0; partition < partitions; partition++) {
                for (int i = 0; i < recordsEach; i++) {
                    producer.send(new ProducerRecord<>(topic, partition, null, "record")).get();
                }
            }
        }
    }
}
