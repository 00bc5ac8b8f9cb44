package trilog.compat.connect;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.connect.cli.ConnectStandalone;
import org.apache.kafka.connect.file.FileStreamSinkConnector;
import org.apache.kafka.connect.file.FileStreamSourceConnector;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Kafka Connect with a file as its source and another one as its sink. */
class ConnectTest {
    @Test
    void linesOfAFileArriveInAnotherOne(@TempDir Path home) throws Exception {
        List<String> lines = IntStream.range(0, 2000).mapToObj(number -> "line " + number).toList();
        Path source = Files.write(home.resolve("source.txt"), lines);
        Path sink = home.resolve("sink.txt");
        Cluster.createTopics("lines-of-a-file");

        Path worker = Program.properties(home.resolve("worker.properties"), new HashMap<>(Map.of(
            "bootstrap.servers", Cluster.bootstrap(),
            "key.converter", "org.apache.kafka.connect.storage.StringConverter",
            "value.converter", "org.apache.kafka.connect.storage.StringConverter",
            "offset.storage.file.filename", home.resolve("offsets"),
            "offset.flush.interval.ms", 500,
            "listeners", "http://127.0.0.1:0")));
        Path from = Program.properties(home.resolve("source.properties"), Map.of(
            "name", "source",
            "connector.class", FileStreamSourceConnector.class.getName(),
            "file", source,
            "topic", "lines-of-a-file"));
        Path to = Program.properties(home.resolve("sink.properties"), Map.of(
            "name", "sink",
            "connector.class", FileStreamSinkConnector.class.getName(),
            "file", sink,
            "topics", "lines-of-a-file"));
        try (Program connect = Program.start(home, ConnectStandalone.class, worker, from, to)) {
            Cluster.await(lines.size(), () -> Files.exists(sink) ? Files.readAllLines(sink).size() : 0);
            assertEquals(lines.stream().sorted().toList(), Files.readAllLines(sink).stream().sorted().toList());
            connect.assertNoErrors();
        }
    }
}
