package trilog.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What an application is told when the cluster refuses something, through Java's clients. */
class RefusalsTest {
    @ParameterizedTest
    @ValueSource(strings = {"none", "lz4"})
    void aRecordWithoutKeyIsBlamedAndTheOthersAreNot(String compression) throws Exception {
        String topic = "compacted-" + compression;
        try (Admin admin = Admin.create(Cluster.config())) {
            NewTopic compacted = new NewTopic(topic, 1, (short) 3).configs(Map.of("cleanup.policy", "compact"));
            admin.createTopics(List.of(compacted)).all().get();
        }
        StringSerializer strings = new StringSerializer();
        // Long enough for all of them to be one batch.
        Map<String, Object> config = Cluster.config("linger.ms", 30_000, "compression.type", compression);
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (Producer<String, String> producer = new KafkaProducer<>(config, strings, strings)) {
            for (String key : new String[] {"a", null, "b"}) {
                sent.add(producer.send(new ProducerRecord<>(topic, key, "value")));
            }
            producer.flush();
        }
        for (int i = 0; i < 3; i++) {
            Future<RecordMetadata> record = sent.get(i);
            Throwable cause = assertThrows(ExecutionException.class, record::get).getCause();
            assertEquals(i == 1, cause instanceof InvalidRecordException, "record " + i + ": " + cause);
        }
    }

    /** Kafka has transactions. Trilog has none yet, and says so in a sentence that reaches the application. */
    @Test
    void aTransactionalProducerIsToldWhatIsMissing() {
        StringSerializer strings = new StringSerializer();
        Map<String, Object> config = Cluster.config("transactional.id", "refusals", "max.block.ms", 20_000);
        try (Producer<String, String> producer = new KafkaProducer<>(config, strings, strings)) {
            if ("kafka".equals(System.getenv("COMPAT_CLUSTER"))) {
                producer.initTransactions();
                return;
            }
            KafkaException refused = assertThrows(KafkaException.class, producer::initTransactions);
            StringBuilder said = new StringBuilder();
            for (Throwable cause = refused; cause != null; cause = cause.getCause()) {
                said.append(cause.getMessage()).append('\n');
            }
            assertTrue(said.toString().contains("does not support transactions"), said.toString());
        }
    }

    /** Neither the first offset that an administrator sets nor the last one that is deleted changes what a group is. */
    @Test
    void aGroupThatWasMadeBySettingOffsetsOutlivesTheLastOfThem() throws Exception {
        Cluster.createTopic("set-and-deleted", 1);
        TopicPartition partition = new TopicPartition("set-and-deleted", 0);
        try (Admin admin = Admin.create(Cluster.config())) {
            String group = "set-by-hand";
            admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(7))).all().get();
            assertEquals(GroupState.EMPTY, state(admin, group));
            admin.deleteConsumerGroupOffsets(group, Set.of(partition)).all().get();
            assertEquals(GroupState.EMPTY, state(admin, group));
            assertTrue(admin.listGroups().all().get().stream().anyMatch(one -> one.groupId().equals(group)));
            admin.deleteConsumerGroups(List.of(group)).all().get();
            ExecutionException gone = assertThrows(ExecutionException.class, () -> state(admin, group));
            assertInstanceOf(org.apache.kafka.common.errors.GroupIdNotFoundException.class, gone.getCause());
        }
    }

    private static GroupState state(Admin admin, String group) throws Exception {
        return admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get().groupState();
    }
}
