package trilog.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What {@code kafka-consumer-groups} changes: offsets reset and deleted, groups deleted. And what it lists. */
class ManageGroupsTest {
    private static final int RECORDS = 10;

    @ParameterizedTest
    @ValueSource(strings = {"classic", "consumer"})
    void offsetsAreResetWhileNobodyConsumes(String protocol) throws Exception {
        String topic = "reset-" + protocol;
        String group = "resetting-" + protocol;
        consumeAll(topic, protocol, group);

        reset(group, topic, "--to-earliest", "--dry-run");
        assertEquals(Map.of("0", "10", "1", "10"), offsets(group));
        reset(group, topic, "--shift-by", "-3", "--execute");
        assertEquals(Map.of("0", "7", "1", "7"), offsets(group));
        reset(group, topic + ":1", "--to-offset", "2", "--execute");
        assertEquals(Map.of("0", "7", "1", "2"), offsets(group));
        try (Member again = new Member("again", protocol, group, topic)) {
            Waiting.await(3 + 8, again::received);
            reset(group, topic, "--to-earliest", "--execute").mustSay("if the group '" + group + "' is inactive");
            again.commit();
        }
        assertEquals(Map.of("0", "10", "1", "10"), offsets(group));
        reset(group, topic, "--to-datetime", "2020-01-01T00:00:00.000", "--execute");
        assertEquals(Map.of("0", "0", "1", "0"), offsets(group));
        reset(group, topic, "--to-latest", "--execute");
        assertEquals(Map.of("0", "10", "1", "10"), offsets(group));
    }

    @ParameterizedTest
    @ValueSource(strings = {"classic", "consumer"})
    void groupsAreListedAndDeleted(String protocol) throws Exception {
        String topic = "delete-" + protocol;
        String group = "deleting-" + protocol;
        consumeAll(topic, protocol, group);
        assertEquals("Empty", states().get(group));

        try (Member member = new Member("member", protocol, group, topic)) {
            Waiting.await("Stable", () -> states().get(group));
            assertEquals("Stable", states("Stable").get(group));
            assertEquals(null, states("Empty").get(group));
            Tool.consumerGroups("--delete", "--group", group).mustSay("GroupNotEmptyException");
            deleteOffsets(group, topic).mustSay("GroupSubscribedToTopicException");
        }
        assertEquals(Map.of("0", "10", "1", "10"), offsets(group));

        deleteOffsets(group, topic + ":1").mustSay("Successful");
        assertEquals(Map.of("0", "10"), offsets(group));
        Tool.consumerGroups("--delete", "--group", group).mustSay("('" + group + "') was successful");
        assertEquals(null, states().get(group));
        Tool.consumerGroups("--describe", "--group", group).mustSay("Group " + group + " not found");
        Tool.consumerGroups("--delete", "--group", group).mustSay("GroupIdNotFoundException");
    }

    /** A topic of two partitions with records, and a group that has consumed and committed them all and is empty. */
    private static void consumeAll(String topic, String protocol, String group) throws Exception {
        Cluster.createTopic(topic, 2);
        Cluster.produce(topic, 2, RECORDS);
        try (Member member = new Member("first", protocol, group, topic)) {
            Waiting.await(2 * RECORDS, member::received);
            member.commit();
        }
        assertEquals(Map.of("0", "10", "1", "10"), offsets(group));
    }

    private static Output reset(String group, String topic, String... how) throws Exception {
        Stream<String> what = Stream.of("--reset-offsets", "--group", group, "--topic", topic);
        return Tool.consumerGroups(Stream.concat(what, Stream.of(how)).toArray(String[]::new));
    }

    private static Output deleteOffsets(String group, String topic) throws Exception {
        return Tool.consumerGroups("--delete-offsets", "--group", group, "--topic", topic);
    }

    /** The committed offset of each partition that has one. */
    private static Map<String, String> offsets(String group) throws Exception {
        return Tool.consumerGroups("--describe", "--group", group).rows().stream()
            .filter(row -> !row.get("CURRENT-OFFSET").equals("-"))
            .collect(Collectors.toMap(row -> row.get("PARTITION"), row -> row.get("CURRENT-OFFSET")));
    }

    /** The state of each group, or of those in the states named. */
    private static Map<String, String> states(String... only) throws Exception {
        String[] arguments = Stream.concat(Stream.of("--list", "--state"), Stream.of(only)).toArray(String[]::new);
        return Tool.consumerGroups(arguments).rows().stream()
            .collect(Collectors.toMap(row -> row.get("GROUP"), row -> row.get("STATE")));
    }
}
