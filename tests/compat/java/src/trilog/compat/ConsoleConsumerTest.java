package trilog.compat;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.tools.consumer.ConsoleConsumer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code kafka-console-consumer}, which people try first, in a JVM of its own: it ends that, and counts in statics. */
class ConsoleConsumerTest {
    @ParameterizedTest
    @ValueSource(strings = {"classic", "consumer"})
    void readsATopicFromItsBeginning(String protocol) throws Exception {
        String topic = "console-" + protocol;
        String group = "console-readers-" + protocol;
        Cluster.createTopic(topic, 3);
        Cluster.produce(topic, 3, 10);

        Process consumer = new ProcessBuilder(
            System.getProperty("java.home") + "/bin/java",
            "-cp", System.getProperty("java.class.path"),
            ConsoleConsumer.class.getName(),
            "--bootstrap-server", Cluster.bootstrap(),
            "--topic", topic,
            "--from-beginning",
            "--max-messages", "30",
            "--group", group,
            "--command-property", "group.protocol=" + protocol)
            .redirectErrorStream(true)
            .start();
        consumer.getOutputStream().close();
        boolean ended = consumer.waitFor(Waiting.PATIENCE.toSeconds(), TimeUnit.SECONDS);
        if (!ended) {
            consumer.destroyForcibly();
        }
        Output output = new Output(new String(consumer.getInputStream().readAllBytes()));
        assertEquals(0, consumer.waitFor(), output.text());
        assertEquals(30, output.text().lines().filter("record"::equals).count(), output.text());
        output.mustSay("Processed a total of 30 messages");

        // It committed what it read, and left.
        List<String> lags = Tool.consumerGroups("--describe", "--group", group).rows().stream()
            .map(row -> row.get("LAG") + " " + row.get("CLIENT-ID")).toList();
        assertEquals(List.of("0 -", "0 -", "0 -"), lags);
    }
}
