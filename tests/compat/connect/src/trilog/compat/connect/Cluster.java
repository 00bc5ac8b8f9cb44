package trilog.compat.connect;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Callable;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.Assertions;

/** The cluster under test, as a plain client sees it. */
final class Cluster {
    /** How long anything may take before it counts as not happening. Far longer than it ever takes. */
    static final Duration PATIENCE = Duration.ofSeconds(90);

    private static final Duration ASK_AGAIN_AFTER = Duration.ofMillis(100);

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
    static Properties config(Object... pairs) {
        Properties config = new Properties();
        config.put("bootstrap.servers", bootstrap());
        for (int i = 0; i < pairs.length; i += 2) {
            config.put(pairs[i], pairs[i + 1]);
        }
        return config;
    }

    /** Makes topics with three partitions and three replicas of each. */
    static void createTopics(String... topics) throws Exception {
        try (Admin admin = Admin.create(config())) {
            admin.createTopics(List.of(topics).stream().map(name -> new NewTopic(name, 3, (short) 3)).toList()).all().get();
        }
    }

    /** Produces values without keys, and waits until all are acknowledged. */
    static void produce(String topic, List<String> values) {
        StringSerializer strings = new StringSerializer();
        try (Producer<String, String> producer = new KafkaProducer<>(config(), strings, strings)) {
            values.forEach(value -> producer.send(new ProducerRecord<>(topic, value)));
            producer.flush();
        }
    }

    /** The records of a topic of three partitions, from the first one, as soon as there are so many. */
    static List<ConsumerRecord<String, String>> read(String topic, int count) {
        StringDeserializer strings = new StringDeserializer();
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        try (Consumer<String, String> consumer = new KafkaConsumer<>(config(), strings, strings)) {
            List<TopicPartition> partitions =
                List.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1), new TopicPartition(topic, 2));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long deadline = System.nanoTime() + PATIENCE.toNanos();
            while (records.size() < count && System.nanoTime() < deadline) {
                consumer.poll(ASK_AGAIN_AFTER).forEach(records::add);
            }
        }
        return records;
    }

    /** The last value of each key in a topic of three partitions, once they are the ones expected. */
    static void awaitLastValues(String topic, Map<String, String> expected) {
        StringDeserializer strings = new StringDeserializer();
        Map<String, String> last = new HashMap<>();
        try (Consumer<String, String> consumer = new KafkaConsumer<>(config(), strings, strings)) {
            List<TopicPartition> partitions =
                List.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1), new TopicPartition(topic, 2));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long deadline = System.nanoTime() + PATIENCE.toNanos();
            while (!last.equals(expected) && System.nanoTime() < deadline) {
                consumer.poll(ASK_AGAIN_AFTER).forEach(record -> last.put(record.key(), record.value()));
            }
        }
        Assertions.assertEquals(expected, last);
    }

    /** Asks again and again until the answer is the one expected, and fails with both. */
    static <T> void await(T expected, Callable<T> question) throws Exception {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        T answer = question.call();
        while (!expected.equals(answer)) {
            if (System.nanoTime() > deadline) {
                Assertions.assertEquals(expected, answer, "in vain");
            }
            Thread.sleep(ASK_AGAIN_AFTER.toMillis());
            answer = question.call();
        }
    }
}
