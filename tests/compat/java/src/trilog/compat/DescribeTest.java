package trilog.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What {@code kafka-consumer-groups --describe} shows while members come and go. */
class DescribeTest {
    private static final int PARTITIONS = 4;
    private static final int COMMITTED = 10;
    private static final int LAG = 5;

    @ParameterizedTest
    @ValueSource(strings = {"classic", "consumer"})
    void ownersAndLagBeforeDuringAndAfterAMemberJoinsAndLeaves(String protocol) throws Exception {
        String topic = "describe-" + protocol;
        String group = "described-" + protocol;
        Cluster.createTopic(topic, PARTITIONS);
        Cluster.produce(topic, PARTITIONS, COMMITTED);
        try (Member alice = new Member("alice", protocol, group, topic)) {
            Waiting.await(PARTITIONS * COMMITTED, alice::received);
            alice.commit();
            Waiting.await(Map.of("alice", 4), () -> owners(group, 0));
            Cluster.produce(topic, PARTITIONS, LAG);
            Waiting.await(Map.of("alice", 4), () -> owners(group, LAG));

            Member bob;
            try (Member.Busy busy = alice.keepBusy()) {
                bob = new Member("bob", protocol, group, topic);
                Waiting.await(2, () -> members(group).size());
                // Alice is too busy to give anything up, and so bob has nothing yet.
                assertEquals(Map.of("alice", 4), owners(group, LAG));
                Tool.consumerGroups("--describe", "--group", group).mustSay("is rebalancing");
            }
            try (bob) {
                Waiting.await(Map.of("alice", 2, "bob", 2), () -> owners(group, LAG));
                checkMembers(group);
                checkState(protocol, group);
            }

            Waiting.await(Map.of("alice", 4), () -> owners(group, LAG));
        }
        Waiting.await(Map.of("-", 4), () -> owners(group, LAG));
        Tool.consumerGroups("--describe", "--group", group).mustSay("has no active members");
    }

    private static void checkMembers(String group) throws Exception {
        assertEquals(List.of("alice 2 /127.0.0.1", "bob 2 /127.0.0.1"), members(group).stream()
            .map(row -> row.get("CLIENT-ID") + " " + row.get("#PARTITIONS") + " " + row.get("HOST"))
            .sorted().toList());
    }

    private static void checkState(String protocol, String group) throws Exception {
        Map<String, String> row = Tool.consumerGroups("--describe", "--group", group, "--state").rows().get(0);
        assertEquals("Stable", row.get("STATE"));
        assertEquals("2", row.get("#MEMBERS"));
        assertEquals(protocol.equals("classic") ? "range" : "uniform", row.get("ASSIGNMENT-STRATEGY"));
    }

    /** How many partitions each client owns; all of them must have this lag. */
    private static Map<String, Integer> owners(String group, int lag) throws Exception {
        Map<String, Integer> owners = new TreeMap<>();
        for (Map<String, String> row : Tool.consumerGroups("--describe", "--group", group).rows()) {
            assertEquals("" + COMMITTED, row.get("CURRENT-OFFSET"));
            assertEquals("" + (COMMITTED + lag), row.get("LOG-END-OFFSET"));
            assertEquals("" + lag, row.get("LAG"));
            owners.merge(row.get("CLIENT-ID"), 1, Integer::sum);
        }
        return owners;
    }

    private static List<Map<String, String>> members(String group) throws Exception {
        return Tool.consumerGroups("--describe", "--group", group, "--members").rows();
    }
}
