package trilog.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code kafka-topics --alter --partitions} while a group consumes the topic. */
class AddPartitionsTest {
    @ParameterizedTest
    @ValueSource(strings = {"classic", "consumer"})
    void newPartitionsAreConsumed(String protocol) throws Exception {
        String topic = "grow-" + protocol;
        String group = "growing-" + protocol;
        Cluster.createTopic(topic, 2);
        Cluster.produce(topic, 2, 5);
        try (Member one = new Member("one", protocol, group, topic);
            Member other = new Member("other", protocol, group, topic)) {
            Waiting.await(Set.of(0, 1), () -> owned(group).keySet());
            Waiting.await(2L, () -> owned(group).values().stream().distinct().count());

            Tool.topics("--alter", "--topic", topic, "--partitions", "4");
            Cluster.produce(topic, 4, 5);
            for (int partition : List.of(2, 3)) {
                Waiting.await(5, () -> one.received(partition) + other.received(partition));
            }
            Waiting.await(Set.of(0, 1, 2, 3), () -> owned(group).keySet());
            for (String member : List.of("one", "other")) {
                assertEquals(2, owned(group).values().stream().filter(member::equals).count());
            }
        }
    }

    /** Each partition that somebody owns, and who does. */
    private static Map<Integer, String> owned(String group) throws Exception {
        return Tool.consumerGroups("--describe", "--group", group).rows().stream()
            .filter(row -> !row.get("CLIENT-ID").equals("-"))
            .collect(Collectors.toMap(row -> Integer.valueOf(row.get("PARTITION")), row -> row.get("CLIENT-ID")));
    }
}
