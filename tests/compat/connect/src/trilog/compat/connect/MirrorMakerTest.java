package trilog.compat.connect;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.connect.mirror.MirrorMaker;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** MirrorMaker 2, from this cluster to itself under another name: topics, records and the offsets of groups. */
class MirrorMakerTest {
    private static final int RECORDS = 3000;

    @Test
    void recordsAndOffsetsAreMirroredWithoutAnError(@TempDir Path home) throws Exception {
        Cluster.createTopics("orders");
        List<String> values = IntStream.range(0, RECORDS).mapToObj(Integer::toString).toList();
        Cluster.produce("orders", values);
        commitAllOf("orders", "billing");

        Map<String, Object> settings = new HashMap<>(Map.of(
            "clusters", "east, west",
            "east.bootstrap.servers", Cluster.bootstrap(),
            "west.bootstrap.servers", Cluster.bootstrap(),
            "east->west.enabled", true,
            "east->west.topics", "orders",
            "east->west.groups", "billing",
            "replication.factor", 3));
        settings.putAll(Map.of(
            "offset-syncs.topic.replication.factor", 3,
            "sync.group.offsets.enabled", true,
            "sync.group.offsets.interval.seconds", 1,
            "emit.checkpoints.interval.seconds", 1,
            "sync.topic.acls.interval.seconds", 1,
            "sync.topic.configs.interval.seconds", 1,
            "refresh.topics.interval.seconds", 1,
            "refresh.groups.interval.seconds", 1));
        Path file = Program.properties(home.resolve("mirror.properties"), settings);
        try (Program mirror = Program.start(home, MirrorMaker.class, file)) {
            var mirrored = Cluster.read("east.orders", RECORDS);
            assertEquals(new TreeSet<>(values), new TreeSet<>(mirrored.stream().map(record -> record.value()).toList()));
            assertEquals(RECORDS, mirrored.size());
            Cluster.await(true, () -> offsetsOf("billing").keySet().stream().anyMatch(of -> of.topic().equals("east.orders")));

            List<String> later = IntStream.range(RECORDS, 2 * RECORDS).mapToObj(Integer::toString).toList();
            Cluster.produce("orders", later);
            assertEquals(2 * RECORDS, Cluster.read("east.orders", 2 * RECORDS).size());
            mirror.assertNoErrors();
        }
    }

    private static void commitAllOf(String topic, String group) {
        StringDeserializer strings = new StringDeserializer();
        var config = Cluster.config("group.id", group, "auto.offset.reset", "earliest");
        try (Consumer<String, String> consumer = new KafkaConsumer<>(config, strings, strings)) {
            List<TopicPartition> partitions = IntStream.range(0, 3).mapToObj(i -> new TopicPartition(topic, i)).toList();
            consumer.assign(partitions);
            Map<TopicPartition, OffsetAndMetadata> ends = new HashMap<>();
            consumer.endOffsets(partitions).forEach((partition, end) -> ends.put(partition, new OffsetAndMetadata(end)));
            consumer.commitSync(ends);
        }
    }

    private static Map<TopicPartition, OffsetAndMetadata> offsetsOf(String group) throws Exception {
        try (Admin admin = Admin.create(Cluster.config())) {
            return admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        }
    }
}
