package trilog.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListGroupsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a group is said to be from its first day to its last: one line a step, each with what Kafka says. */
class GroupStatesTest {
    private Admin admin;

    @BeforeEach
    void connect() {
        admin = Admin.create(Cluster.config());
    }

    @AfterEach
    void disconnect() {
        admin.close();
    }

    @Test
    void aGroupThatAnAdministratorMade() throws Exception {
        String topic = topic("states-admin");
        String group = "states-admin";
        List<String> seen = new ArrayList<>();
        seen.add("at first: " + state(group));
        seen.add("offsets of no group: " + offsets(group));
        commit(group, topic, 0, 1);
        seen.add("offsets set: " + state(group) + "; " + offsets(group));
        seen.add("one deleted: " + deleteOffset(group, topic, 0) + "; " + state(group) + "; " + offsets(group));
        seen.add("none deleted: " + deleteOffset(group, topic, 0) + "; " + state(group));
        seen.add("last deleted: " + deleteOffset(group, topic, 1) + "; " + state(group) + "; " + offsets(group));
        commit(group, topic, 2);
        seen.add("set again: " + state(group) + "; " + offsets(group));
        seen.add("deleted: " + delete(group) + "; " + state(group) + "; " + offsets(group));
        seen.add("deleted twice: " + delete(group));
        seen.add("offset of no group deleted: " + deleteOffset(group, topic, 0));
        assertEquals(
            """
            at first: not listed; GroupIdNotFoundException
            offsets of no group: {}
            offsets set: Classic, Empty, ''; Empty, classic, simple, 0 members, ''; {0=10, 1=10}
            one deleted: done; Classic, Empty, ''; Empty, classic, simple, 0 members, ''; {1=10}
            none deleted: done; Classic, Empty, ''; Empty, classic, simple, 0 members, ''
            last deleted: done; Classic, Empty, ''; Empty, classic, simple, 0 members, ''; {}
            set again: Classic, Empty, ''; Empty, classic, simple, 0 members, ''; {2=10}
            deleted: done; not listed; GroupIdNotFoundException; {}
            deleted twice: GroupIdNotFoundException
            offset of no group deleted: GroupIdNotFoundException
            """,
            String.join("\n", seen) + "\n");
    }

    @ParameterizedTest
    @ValueSource(strings = {"classic", "consumer"})
    void aGroupWithAMember(String protocol) throws Exception {
        String topic = topic("states-" + protocol);
        String group = "states-" + protocol;
        List<String> seen = new ArrayList<>();
        Member member = new Member("one", protocol, group, topic);
        Waiting.await("Stable", () -> stateIn(group));
        Waiting.await(3, () -> assigned(group));
        seen.add("joined: " + state(group) + "; " + offsets(group));
        seen.add("deleted: " + delete(group));
        commitWithMember(seen, group, topic);
        seen.add("offset of a member's topic deleted: " + deleteOffset(group, topic, 0));
        member.close();
        Waiting.await("Empty", () -> stateIn(group));
        seen.add("left: " + state(group) + "; " + offsets(group));
        commit(group, topic, 0);
        seen.add("offsets set: " + state(group) + "; " + offsets(group));
        seen.add("last deleted: " + deleteOffset(group, topic, 0) + "; " + state(group));
        commit(group, topic, 1);
        admin.deleteTopics(List.of(topic)).all().get();
        Waiting.await("{}", () -> offsets(group));
        seen.add("topic deleted: " + state(group));
        seen.add("deleted: " + delete(group) + "; " + state(group));
        String type = protocol.equals("classic") ? "Classic" : "Consumer";
        String assignor = protocol.equals("classic") ? "range" : "uniform";
        String empty = protocol.equals("classic") ? "''" : "'" + assignor + "'";
        assertEquals(
            """
            joined: TYPE, Stable, 'consumer'; Stable, type, 1 members, 'ASSIGNOR'; {}
            deleted: GroupNotEmptyException
            offsets set: UnknownMemberIdException
            offset of a member's topic deleted: GroupSubscribedToTopicException
            left: TYPE, Empty, 'consumer'; Empty, type, 0 members, EMPTY; {}
            offsets set: TYPE, Empty, 'consumer'; Empty, type, 0 members, EMPTY; {0=10}
            last deleted: done; TYPE, Empty, 'consumer'; Empty, type, 0 members, EMPTY
            topic deleted: TYPE, Empty, 'consumer'; Empty, type, 0 members, EMPTY
            deleted: done; not listed; GroupIdNotFoundException
            """.replace("TYPE", type).replace("type", protocol).replace("ASSIGNOR", assignor).replace("EMPTY", empty),
            String.join("\n", seen) + "\n");
    }

    @Test
    void aListIsOfWhatIsAskedFor() throws Exception {
        String topic = topic("states-listed");
        commit("listed-empty", topic, 0);
        try (Member classic = new Member("one", "classic", "listed-classic", topic);
            Member consumer = new Member("two", "consumer", "listed-consumer", topic)) {
            Waiting.await("Stable", () -> stateIn("listed-classic"));
            Waiting.await("Stable", () -> stateIn("listed-consumer"));
            List<String> seen = new ArrayList<>();
            seen.add("all: " + listed(new ListGroupsOptions()));
            seen.add("empty: " + listed(new ListGroupsOptions().inGroupStates(Set.of(GroupState.EMPTY))));
            seen.add("stable: " + listed(new ListGroupsOptions().inGroupStates(Set.of(GroupState.STABLE))));
            seen.add("dead: " + listed(new ListGroupsOptions().inGroupStates(Set.of(GroupState.DEAD))));
            seen.add("classic: " + listed(new ListGroupsOptions().withTypes(Set.of(GroupType.CLASSIC))));
            seen.add("consumer: " + listed(new ListGroupsOptions().withTypes(Set.of(GroupType.CONSUMER))));
            seen.add("of consumers: " + listed(new ListGroupsOptions().withProtocolTypes(Set.of("consumer"))));
            seen.add("of no kind: " + listed(new ListGroupsOptions().withProtocolTypes(Set.of(""))));
            assertEquals(
                """
                all: [listed-classic, listed-consumer, listed-empty]
                empty: [listed-empty]
                stable: [listed-classic, listed-consumer]
                dead: []
                classic: [listed-classic, listed-empty]
                consumer: [listed-consumer]
                of consumers: [listed-classic, listed-consumer]
                of no kind: [listed-empty]
                """,
                String.join("\n", seen) + "\n");
        }
    }

    private String topic(String name) throws Exception {
        admin.createTopics(List.of(new NewTopic(name, 3, (short) 3))).all().get();
        return name;
    }

    /** What ListGroups and the description say of a group. */
    private String state(String group) throws Exception {
        String listed = "not listed";
        for (GroupListing listing : admin.listGroups(new ListGroupsOptions()).all().get()) {
            if (listing.groupId().equals(group)) {
                listed = listing.type().map(GroupType::toString).orElse("-") + ", "
                    + listing.groupState().map(GroupState::toString).orElse("-") + ", '" + listing.protocol() + "'";
            }
        }
        return listed + "; " + outcome(() -> described(group));
    }

    private String described(String group) throws Exception {
        ConsumerGroupDescription is = admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get();
        return is.groupState() + ", " + is.type().toString().toLowerCase() + (is.isSimpleConsumerGroup() ? ", simple" : "") + ", "
            + is.members().size() + " members, '" + is.partitionAssignor() + "'";
    }

    private String stateIn(String group) throws Exception {
        return outcome(() -> described(group).split(",")[0]);
    }

    private int assigned(String group) throws Exception {
        return admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get().members().stream()
            .mapToInt(member -> member.assignment().topicPartitions().size()).sum();
    }

    /** The committed offset of each partition. */
    private String offsets(String group) throws Exception {
        return outcome(() -> {
            Map<Integer, Long> offsets = new TreeMap<>();
            admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get()
                .forEach((partition, offset) -> offsets.put(partition.partition(), offset.offset()));
            return offsets.toString();
        });
    }

    private void commit(String group, String topic, int... partitions) throws Exception {
        Map<TopicPartition, OffsetAndMetadata> offsets = new TreeMap<>((a, b) -> a.partition() - b.partition());
        for (int partition : partitions) {
            offsets.put(new TopicPartition(topic, partition), new OffsetAndMetadata(10));
        }
        // A node of Kafka's may learn of a topic after it was made.
        Waiting.await("done", () -> done(admin.alterConsumerGroupOffsets(group, offsets).all()));
    }

    /** An administrator may not set what members commit. */
    private void commitWithMember(List<String> seen, String group, String topic) throws Exception {
        Map<TopicPartition, OffsetAndMetadata> offsets = Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(10));
        seen.add("offsets set: " + done(admin.alterConsumerGroupOffsets(group, offsets).all()));
    }

    private String deleteOffset(String group, String topic, int partition) throws Exception {
        return done(admin.deleteConsumerGroupOffsets(group, Set.of(new TopicPartition(topic, partition))).all());
    }

    private String delete(String group) throws Exception {
        return done(admin.deleteConsumerGroups(List.of(group)).all());
    }

    /** The groups of this test, of those that a list has. */
    private List<String> listed(ListGroupsOptions options) throws Exception {
        return admin.listGroups(options).all().get().stream()
            .map(GroupListing::groupId).filter(group -> group.startsWith("listed-")).sorted().toList();
    }

    private static String done(KafkaFuture<Void> future) throws Exception {
        return outcome(() -> {
            future.get();
            return "done";
        });
    }

    private static String outcome(Callable<String> question) throws Exception {
        try {
            return question.call();
        } catch (ExecutionException failure) {
            return failure.getCause().getClass().getSimpleName();
        }
    }
}
